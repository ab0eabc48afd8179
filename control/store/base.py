"""What every repository shares: rows to frozen values and back, sealing, uniqueness, and noting each change."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Table

from control.domain.errors import InUse, Invalid, NotFound, Problem
from control.store.changes import Change
from control.store.columns import find_problem
from control.store.sealing import Sealer

Entity = TypeVar("Entity")
Key = TypeVar("Key")
# So many keys one query names; more are asked for in several (databases limit parameters).
FEW = 500


def chunks(keys: Iterable[Key]) -> Iterator[list[Key]]:
    """The keys in lists of at most FEW."""
    waiting = list(keys)
    for start in range(0, len(waiting), FEW):
        yield waiting[start : start + FEW]


@dataclass(frozen=True, slots=True)
class Context:
    """What a unit of work lends its repositories."""

    connection: Connection
    sealer: Sealer
    now: datetime
    note: Callable[[Change], None]

    def rows(self, statement: sa.Executable, parameters: Mapping[str, object] | None = None) -> list[Row[Any]]:
        """All rows of a query."""
        return list(self.connection.execute(statement, parameters).all())


class Repository(Generic[Entity]):
    """The objects of one table whose columns are named like the fields of one frozen dataclass.

    A subclass names what is special: fields that are sealed, unique, audited by name, and who may refer to it.
    """

    table: ClassVar[Table]
    entity: ClassVar[type[Any]]
    kind: ClassVar[str]
    key: ClassVar[str] = "id"
    name: ClassVar[str] = "name"
    sealed: ClassVar[tuple[str, ...]] = ()
    unique: ClassVar[tuple[str, ...]] = ()
    order: ClassVar[str] = "name"
    audited: ClassVar[bool] = True

    def __init__(self, context: Context) -> None:
        self.context = context

    def all(self) -> list[Entity]:
        """Every object, in the table's natural order."""
        return self._select()

    def find(self, key: object) -> Entity | None:
        """The object of that id, if there is one."""
        return self._by(self.table.c[self.key], key)

    def get(self, key: object) -> Entity:
        """The object of that id. Raises NotFound."""
        return self._found(self.find(key), str(key))

    def find_many(self, keys: Collection[object]) -> dict[Any, Entity]:
        """Those objects of these ids that there are, by id."""
        column = self.table.c[self.key]
        found = (entity for some in chunks(set(keys)) for entity in self._of(column, some))
        return {getattr(entity, self.key): entity for entity in found}

    def known(self, keys: Collection[object]) -> frozenset[Any]:
        """Those of these ids that there are."""
        column = self.table.c[self.key]
        found = (self.context.rows(sa.select(column).where(column.in_(some))) for some in chunks(keys))
        return frozenset(row[0] for rows in found for row in rows)

    def find_named(self, name: str) -> Entity | None:
        """The object of that name, if there is one."""
        return self._by(self.table.c[self.name], name)

    def get_named(self, name: str) -> Entity:
        """The object of that name. Raises NotFound."""
        return self._found(self.find_named(name), name)

    def count(self) -> int:
        """How many there are."""
        return int(self.context.connection.execute(sa.select(sa.func.count()).select_from(self.table)).scalar_one())

    def add(self, entity: Entity) -> Entity:
        """Create the object, which is returned as it is stored. Raises Invalid when a unique field is taken."""
        self._check_unique(entity)
        entity = self._completed(entity, None)
        self._insert(entity)
        self._note(None, entity)
        return entity

    def update(self, entity: Entity) -> Entity:
        """Store the object's new fields; writes and notes nothing when nothing differs. Raises NotFound, Invalid."""
        before = self.get(getattr(entity, self.key))
        if before != entity:
            entity = self._completed(entity, before)
            self._check_unique(entity)
            self._update(entity)
            self._note(before, entity)
        return entity

    def remove(self, entity: Entity) -> None:
        """Remove the object. Raises InUse when something else names it."""
        for label in self._users_of(entity):
            raise InUse(self.kind, str(getattr(entity, self.name)), label)
        self._note(entity, None)
        self._delete(entity)

    def _completed(self, entity: Entity, before: Entity | None) -> Entity:  # noqa: ARG002 - for subclasses
        """The object with what the store itself gives; `before` is it as it lies there."""
        return entity

    def _insert_many(self, entities: Iterable[Entity]) -> None:
        rows = [self._row(self.table, entity) for entity in entities]
        if rows:
            self.context.connection.execute(sa.insert(self.table), rows)

    def _delete_many(self, keys: Iterable[object]) -> None:
        column = self.table.c[self.key]
        for some in chunks(keys):
            self.context.connection.execute(sa.delete(self.table).where(column.in_(some)))

    def _insert(self, entity: Entity) -> None:
        self.context.connection.execute(sa.insert(self.table), self._row(self.table, entity))

    def _update(self, entity: Entity) -> None:
        where = self.table.c[self.key] == getattr(entity, self.key)
        self.context.connection.execute(sa.update(self.table).where(where).values(**self._row(self.table, entity)))

    def _delete(self, entity: Entity) -> None:
        where = self.table.c[self.key] == getattr(entity, self.key)
        self.context.connection.execute(sa.delete(self.table).where(where))

    def _users_of(self, entity: Entity) -> Iterable[str]:  # noqa: ARG002 - for subclasses to answer
        """What refers to the object and forbids its removal, as `kind 'name'`."""
        return ()

    @classmethod
    def _query(cls) -> sa.Select[Any]:
        return sa.select(cls.table)

    @classmethod
    @cache
    def _lookup(cls, column: sa.Column[Any]) -> sa.Select[Any]:
        """The objects of one value of a column. Built once: that takes longer than the database does."""
        return cls._query().where(column == sa.bindparam("wanted"))

    @classmethod
    @cache
    def _lookups(cls, column: sa.Column[Any]) -> sa.Select[Any]:
        """The objects of any of some values of a column, in the natural order. Built once, too."""
        wanted: sa.BindParameter[Any] = sa.bindparam("wanted", expanding=True)
        return cls._query().where(column.in_(wanted)).order_by(*cls._in_order())

    def _of(self, column: sa.Column[Any], values: Collection[object]) -> list[Entity]:
        return self._entities(self.context.rows(self._lookups(column), {"wanted": list(values)}))

    def _select(self, *where: sa.ColumnElement[bool]) -> list[Entity]:
        statement = self._query().where(*where).order_by(*self._in_order())
        return self._entities(self.context.rows(statement))

    @classmethod
    def _in_order(cls) -> tuple[sa.Column[Any], ...]:
        """The natural order; what is equal there has one all the same, whatever the database has done meanwhile."""
        return cls.table.c[cls.order], cls.table.c[cls.key]

    def _by(self, column: sa.Column[Any], value: object) -> Entity | None:
        if _is_nowhere(value):
            return None
        found = self._entities(self.context.rows(self._lookup(column), {"wanted": value}))
        return found[0] if found else None

    def _one(self, where: sa.ColumnElement[bool]) -> Entity | None:
        found = self._select(where)
        return found[0] if found else None

    def _found(self, entity: Entity | None, name: str) -> Entity:
        if entity is None:
            raise NotFound(self.kind, name)
        return entity

    def _entities(self, rows: Collection[Row[Any]]) -> list[Entity]:
        linked = self._linked([row._mapping[self.key] for row in rows])
        return [self._entity(row._mapping, linked.get(row._mapping[self.key], {})) for row in rows]

    def _entity(self, row: Mapping[Any, Any], linked: Mapping[str, Any]) -> Entity:
        values = {field.name: row[field.name] for field in fields(self.entity) if field.name in row}
        for name in self.sealed:
            if values[name] is not None:
                values[name] = self.context.sealer.open(self._place(name, values[self.key]), values[name])
        return cast("Entity", self.entity(**values, **linked))

    def _linked(self, keys: Collection[object]) -> Mapping[Any, dict[str, Any]]:  # noqa: ARG002 - for subclasses
        """By id, the fields of these objects that lie in other tables: one query for all."""
        return {}

    def _row(self, table: Table, entity: Entity) -> dict[str, Any]:
        names = {field.name for field in fields(self.entity)} & set(table.c.keys())
        values = {name: getattr(entity, name) for name in names}
        problems = [found for name in names - set(self.sealed) if (found := find_problem(table.c[name], values[name]))]
        if problems:
            raise Invalid(problems)
        for name in names & set(self.sealed):
            if values[name] is not None:
                values[name] = self.context.sealer.seal(self._place(name, values[self.key]), values[name])
        return values

    def _place(self, column: str, key: object) -> tuple[str, str, str]:
        return self.table.name, column, str(key)

    def _check_unique(self, entity: Entity) -> None:
        for name in self.unique:
            value = getattr(entity, name)
            if value is not None and self._is_taken(name, value, getattr(entity, self.key)):
                raise Invalid([Problem(field=name, code="already_taken", found=str(value), expected="another one")])

    def _is_taken(self, name: str, value: object, key: object) -> bool:
        return not _is_nowhere(value) and bool(self.context.rows(self._others(name), {"wanted": value, "own": key}))

    @classmethod
    @cache
    def _others(cls, name: str) -> sa.Select[Any]:
        """The keys of other objects that have one value of a unique field."""
        column, key = cls._query().selected_columns[name], cls.table.c[cls.key]
        query = cls._query().with_only_columns(key)
        return query.where(column == sa.bindparam("wanted"), key != sa.bindparam("own"))

    def _note(self, before: Entity | None, after: Entity | None) -> None:
        entity = after if after is not None else before
        target, name = str(getattr(entity, self.key)), str(getattr(entity, self.name))
        self.context.note(Change(kind=self.kind, target=target, name=name, before=before, after=after))


class Quiet(Repository[Entity]):
    """Objects whose life is no change of the configuration: nothing of it is audited, and nobody is woken."""

    def save(self, entities: Iterable[Entity]) -> None:
        """Create or replace objects: in three statements, however many there are. Raises Invalid."""
        given = {getattr(entity, self.key): entity for entity in entities}
        known = self.known(given)
        self._insert_many(entity for key, entity in given.items() if key not in known)
        rows = [{**self._row(self.table, given[key]), "known": key} for key in known]
        if rows:
            statement = sa.update(self.table).where(self.table.c[self.key] == sa.bindparam("known"))
            self.context.connection.execute(statement, rows)

    def forget(self, keys: Iterable[object]) -> None:
        """Drop those of these ids that there are yet."""
        self._delete_many(keys)

    def _note(self, before: Entity | None, after: Entity | None) -> None:
        """Nothing."""


def _is_nowhere(value: object) -> bool:
    """Whether no row has the value: no text of ours holds a NUL, and PostgreSQL can't even be asked for one."""
    return isinstance(value, str) and "\0" in value


class LinkTable:
    """One side of a many-to-many table, read and replaced as a set."""

    def __init__(self, context: Context, owner: sa.Column[Any], other: sa.Column[Any]) -> None:
        self._connection = context.connection
        self._owner = owner
        self._other = other

    def of(self, key: object) -> frozenset[Any]:
        """What `key` is linked to."""
        statement = _links(self._owner, self._other)
        return frozenset(other for _, other in self._connection.execute(statement, {"wanted": [key]}))

    def of_each(self, keys: Collection[object]) -> dict[Any, frozenset[Any]]:
        """What each of `keys` is linked to."""
        found: dict[Any, set[Any]] = {key: set() for key in keys}
        for some in chunks(found):
            for key, other in self._connection.execute(_links(self._owner, self._other), {"wanted": some}):
                found[key].add(other)
        return {key: frozenset(others) for key, others in found.items()}

    def replace(self, key: object, others: Iterable[object], before: frozenset[Any] | None = None) -> None:
        """Make the links of `key` exactly `others`; `before` is what they are, where that is known."""
        known = self.of(key) if before is None else before
        wanted, table = frozenset(others), self._owner.table
        for some in chunks(known - wanted):
            self._connection.execute(sa.delete(table).where(self._owner == key, self._other.in_(some)))
        rows = [{self._owner.name: key, self._other.name: other} for other in sorted(wanted - known, key=str)]
        if rows:
            self._connection.execute(sa.insert(table), rows)


@cache
def _links(owner: sa.Column[Any], other: sa.Column[Any]) -> sa.Select[Any]:
    return sa.select(owner, other).where(owner.in_(sa.bindparam("wanted", expanding=True)))

"""The audit trail: appended to, read a part at a time, and shortened from its old end; nothing in it is ever changed.

A part begins at a place (time and id), not at a number of rows, so that the last page costs what the first one does;
each filter that may be narrow has an index. What is said of events never makes a unit fail: it is cut to fit.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from control.domain.audit import FAILURE, SUCCESS, TEXTS, AuditFilter, Place
from control.domain.security import AuditEvent
from control.store import tables
from control.store.base import Repository, chunks
from control.store.columns import holds

_C = tables.audit_events.c
_WHOLE = tuple(name for name in TEXTS if name not in {"name", "outcome"})


class AuditEvents(Repository[AuditEvent]):
    """The audit trail, newest first."""

    table = tables.audit_events
    entity = AuditEvent
    kind = "audit event"
    order = "at"

    def record(self, events: Iterable[AuditEvent]) -> None:
        """Append events; what is longer than its column is cut, as no unit may fail for what is said of it."""
        self._insert_many(map(_fitting, events))

    def record_new(self, events: Iterable[AuditEvent]) -> int:
        """Append those whose ids the trail doesn't have yet, and say how many: nobody else writes meanwhile."""
        by_id = {event.id: event for event in events}
        known = self.known(by_id.keys())
        self.record(event for key, event in by_id.items() if key not in known)
        return len(by_id) - len(known)

    def latest(self, count: int) -> list[AuditEvent]:
        """The newest events."""
        return self.older(AuditFilter(), None, count)

    def older(self, wanted: AuditFilter, before: Place | None, count: int) -> list[AuditEvent]:
        """The newest events of those wanted, before a place where one is given; newest first."""
        statement = self._query().where(*_matching(wanted)).order_by(_C.at.desc(), _C.id.desc()).limit(count)
        return self._part(statement if before is None else statement.where(_key() < _at(before)))

    def newer(self, wanted: AuditFilter, after: Place | None, count: int) -> list[AuditEvent]:
        """The oldest events of those wanted, after a place where one is given; oldest first."""
        statement = self._query().where(*_matching(wanted)).order_by(_C.at, _C.id).limit(count)
        return self._part(statement if after is None else statement.where(_key() > _at(after)))

    def recorded_after(self, wanted: AuditFilter, place: Place, count: int) -> list[AuditEvent]:
        """The first of those wanted by when they came into the trail, after a place in that order."""
        order = (_C.recorded, _C.id)
        statement = self._query().where(*_matching(wanted), sa.tuple_(*order) > _at(place))
        return self._part(statement.order_by(*order).limit(count))

    def words(self, name: str) -> list[str]:
        """The different words in one column, sorted: quick where it has an index and few of them, however many rows."""
        column = _C[name]
        found = sa.select(sa.func.min(column).label("word")).cte("found", recursive=True)
        following = sa.select(sa.func.min(column)).where(column > found.c.word).scalar_subquery()
        found = found.union_all(sa.select(following).where(found.c.word.is_not(None)))
        rows = self.context.rows(sa.select(found.c.word).where(found.c.word.is_not(None)))
        return [row[0] for row in rows]

    def names_by_target(self, action: str, targets: Collection[str]) -> dict[str, frozenset[str]]:
        """What was called how wherever that was done well to these."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for some in chunks(targets):
            done = (_C.target.in_(some), _C.action == action, _C.outcome == SUCCESS)
            for row in self.context.rows(sa.select(_C.target, _C.name).where(*done).distinct()):
                found[row.target].add(row.name)
        return {target: frozenset(names) for target, names in found.items()}

    def drop_older(self, than: datetime, most: int) -> int:
        """Forget the oldest events, at most so many, if they are older; how many."""
        oldest = sa.select(_C.id).where(_C.at < than).order_by(_C.at).limit(most)
        return self.context.connection.execute(sa.delete(self.table).where(_C.id.in_(oldest))).rowcount

    def _part(self, statement: sa.Select[tuple[object, ...]]) -> list[AuditEvent]:
        return self._entities(self.context.rows(statement))


def _key() -> sa.Tuple:
    return sa.tuple_(_C.at, _C.id)


def _at(place: Place) -> sa.Tuple:
    return sa.tuple_(sa.literal(place.at, _C.at.type), sa.literal(place.id, _C.id.type))


def _matching(wanted: AuditFilter) -> Iterable[sa.ColumnElement[bool]]:
    for name in _WHOLE:
        if text := getattr(wanted, name):
            yield _is(_C[name], text)
    if wanted.name:
        yield holds(_C.name, _stored(wanted.name))
    if wanted.outcome == FAILURE:
        # Written out, as the index of failures is.
        yield tables.IS_FAILURE
    elif wanted.outcome:
        yield _is(_C.outcome, wanted.outcome)
    if wanted.since is not None:
        yield _C.at >= wanted.since
    if wanted.until is not None:
        yield _C.at < wanted.until


def _is(column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
    return column == _stored(text)


def _stored(text: str) -> str:
    """As a column has it: no database takes a NUL, nor what UTF-8 can't say."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


_LENGTHS = {
    name: column.type.length or 0
    for name, column in tables.audit_events.c.items()
    if isinstance(column.type, sa.String)
}


def _fitting(event: AuditEvent) -> AuditEvent:
    texts: dict[str, Any] = {name: _stored(getattr(event, name))[:most] for name, most in _LENGTHS.items()}
    return replace(event, **texts)

"""Users, groups and who is in what."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from control.domain.identity import Group, Person, User, UserKind
from control.store import tables
from control.store.base import Context, LinkTable, Repository, chunks
from control.store.changes import AllSessions, Change, Membership
from control.store.columns import holds
from control.store.nesting import above, below, below_each, ids_above
from control.store.numbers import GROUPS, USERS, take_number


class Users(Repository[User]):
    """The accounts, by username."""

    table = tables.users
    entity = User
    kind = "user"
    name = "username"
    order = "username"
    unique = ("username",)

    def touch_sign_in(self, user: UUID) -> None:
        """Remember that the user signed in now; no change worth an audit event of its own."""
        statement = sa.update(self.table).where(self.table.c.id == user).values(last_sign_in=self.context.now)
        self.context.connection.execute(statement)

    def rehash_password(self, user: UUID, password_hash: str) -> None:
        """The same password hashed with newer parameters; no change, so no session ends."""
        statement = sa.update(self.table).where(self.table.c.id == user).values(password_hash=password_hash)
        self.context.connection.execute(statement)

    def end_sessions(self, user: User) -> None:
        """End whatever session of the user outposts hold, also where its sign-in is over and forgotten."""
        every = AllSessions(user=user.id)
        self.context.note(
            Change(kind="all sessions", target=str(user.id), name=user.username, before=every, after=None)
        )

    def with_sessions(self, users: Collection[UUID], since: datetime) -> frozenset[UUID]:
        """Those of these users that signed in after `since` or are signed in now."""
        signed_in = sa.exists().where(tables.sign_ins.c.user == self.table.c.id)
        recently = sa.or_(self.table.c.last_sign_in > since, signed_in)
        statement = sa.select(self.table.c.id)
        chosen = (statement.where(self.table.c.id.in_(some), recently) for some in chunks(users))
        return frozenset(row[0] for each in chosen for row in self.context.rows(each))

    def usernames(self, users: Collection[UUID]) -> dict[UUID, str]:
        """What those of these users are called that there are."""
        statement = sa.select(self.table.c.id, self.table.c.username)
        found = (self.context.connection.execute(statement.where(self.table.c.id.in_(some))) for some in chunks(users))
        return {key: username for rows in found for key, username in rows}

    def search(self, text: str, kinds: Collection[UserKind], offset: int, limit: int) -> tuple[list[User], int]:
        """One page of the accounts of these kinds whose username, name or e-mail holds `text`; how many there are."""
        if "\0" in text:
            return [], 0
        columns = (self.table.c.username, self.table.c.name, self.table.c.email)
        where: list[sa.ColumnElement[bool]] = [self.table.c.kind.in_(kinds)]
        if text:
            where.append(sa.or_(*(holds(column, text) for column in columns)))
        return self._page(where, offset, limit)

    def members(self, group: UUID, offset: int, limit: int) -> tuple[list[User], int]:
        """One page of the accounts that are directly in a group; how many there are."""
        inside = sa.select(tables.memberships.c.user).where(tables.memberships.c.group == group)
        return self._page([self.table.c.id.in_(inside)], offset, limit)

    def _page(self, where: Iterable[sa.ColumnElement[bool]], offset: int, limit: int) -> tuple[list[User], int]:
        total = sa.select(sa.func.count()).select_from(self.table).where(*where)
        page = self._query().where(*where).order_by(self.table.c.username).offset(offset).limit(limit)
        found = self._entities(self.context.rows(page))
        return found, int(self.context.connection.execute(total).scalar_one())

    def _completed(self, entity: User, before: User | None) -> User:
        return replace(entity, number=before.number if before is not None else take_number(self.context, USERS))

    def _users_of(self, entity: User) -> Iterable[str]:
        yield from bound_applications(self.context, tables.bindings.c.user == entity.id)
        statement = sa.select(tables.outposts.c.name).where(tables.outposts.c.service_account == entity.id)
        for (name,) in self.context.rows(statement):
            yield f"outpost {name!r}"


class Groups(Repository[Group]):
    """The groups, with their parents."""

    table = tables.groups
    entity = Group
    kind = "group"
    unique = ("name",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._parents = LinkTable(context, tables.group_parents.c.group, tables.group_parents.c.parent)
        self._children = LinkTable(context, tables.group_parents.c.parent, tables.group_parents.c.group)

    def by_id(self) -> dict[UUID, Group]:
        """Every group by its id."""
        return {group.id: group for group in self.all()}

    def above(self, groups: Collection[UUID]) -> dict[UUID, Group]:
        """These groups and all above them, by id."""
        found: set[UUID] = set()
        for some in chunks(groups):
            found.update(self.context.connection.execute(ids_above(), {"wanted": some}).scalars())
        return self.find_many(found)

    def is_above(self, group: UUID, others: Collection[UUID]) -> bool:
        """Whether the group is one of these or above one of them."""
        found = (above(some) for some in chunks(others))
        return any(self.context.rows(sa.select(each.c.id).where(each.c.id == group)) for each in found)

    def directly_below(self, group: UUID) -> frozenset[UUID]:
        """The groups whose parent it is."""
        return self._children.of(group)

    def _linked(self, keys: Collection[object]) -> Mapping[Any, dict[str, Any]]:
        return {key: {"parents": parents} for key, parents in self._parents.of_each(keys).items()}

    def _insert(self, entity: Group) -> None:
        super()._insert(entity)
        self._parents.replace(entity.id, entity.parents)

    def _update(self, entity: Group) -> None:
        super()._update(entity)
        self._parents.replace(entity.id, entity.parents)

    def _completed(self, entity: Group, before: Group | None) -> Group:
        return replace(entity, number=before.number if before is not None else take_number(self.context, GROUPS))

    def _users_of(self, entity: Group) -> Iterable[str]:
        yield from bound_applications(self.context, tables.bindings.c.group == entity.id)
        joined = tables.ldap_providers.join(tables.providers)
        statement = sa.select(tables.providers.c.name).select_from(joined)
        for (name,) in self.context.rows(statement.where(tables.ldap_providers.c.search_group == entity.id)):
            yield f"provider {name!r}"


_Pair = Callable[[UUID], Membership]
"""Makes a membership of the id at the other side."""


class Memberships:
    """Who is directly in which group, and what follows from it."""

    def __init__(self, context: Context, groups: Groups) -> None:
        self.context = context
        self._groups = groups
        self._of_user = LinkTable(context, tables.memberships.c.user, tables.memberships.c.group)
        self._of_group = LinkTable(context, tables.memberships.c.group, tables.memberships.c.user)

    def groups_of(self, user: UUID) -> frozenset[UUID]:
        """Groups the user is directly in."""
        return self._of_user.of(user)

    def groups_of_each(self, users: Collection[UUID]) -> dict[UUID, frozenset[UUID]]:
        """Groups each of these users is directly in, in one query."""
        return self._of_user.of_each(users)

    def counts(self) -> dict[UUID, int]:
        """How many direct members each group has; those without any are left out."""
        column = tables.memberships.c.group
        statement = sa.select(column, sa.func.count().label("members")).group_by(column)
        return {row._mapping[column]: int(row._mapping["members"]) for row in self.context.rows(statement)}

    def users_in(self, group: UUID) -> frozenset[UUID]:
        """Users that are directly in the group."""
        return self._of_group.of(group)

    def users_below(self, groups: Collection[UUID]) -> frozenset[UUID]:
        """Users in these groups or in any below them."""
        found: set[UUID] = set()
        for some in chunks(groups):
            nested = below(some)
            joined = nested.join(tables.memberships, tables.memberships.c.group == nested.c.id)
            statement = sa.select(tables.memberships.c.user).select_from(joined).distinct()
            found.update(self.context.connection.execute(statement).scalars())
        return frozenset(found)

    def counts_below(self, groups: Collection[UUID]) -> dict[UUID, int]:
        """How many users are in each of these groups or in any below it; those without any are left out."""
        found: dict[UUID, int] = {}
        for some in chunks(groups):
            nested = below_each(some)
            joined = nested.join(tables.memberships, tables.memberships.c.group == nested.c.id)
            members = sa.func.count(tables.memberships.c.user.distinct()).label("members")
            statement = sa.select(nested.c.root, members).select_from(joined).group_by(nested.c.root)
            found |= {row.root: int(row.members) for row in self.context.rows(statement)}
        return found

    def set_groups(self, user: UUID, groups: Iterable[UUID]) -> None:
        """Make the user's direct groups exactly `groups`."""
        self._replace(self._of_user, user, frozenset(groups), lambda other: Membership(user=user, group=other))

    def set_users(self, group: UUID, users: Iterable[UUID]) -> None:
        """Make the group's direct members exactly `users`."""
        self._replace(self._of_group, group, frozenset(users), lambda other: Membership(user=other, group=group))

    def person(self, user: User) -> Person:
        """The user with every group that applies."""
        groups = self._groups.above(self.groups_of(user.id)).values()
        return Person(user=user, groups=tuple(sorted(groups, key=lambda group: group.name)))

    def _replace(self, links: LinkTable, key: UUID, wanted: frozenset[UUID], membership: _Pair) -> None:
        before = links.of(key)
        links.replace(key, wanted, before)
        for other in sorted(before ^ wanted, key=str):
            pair = membership(other)
            gone = other in before
            self.context.note(
                Change(
                    kind="membership",
                    target=str(pair.user),
                    name=str(pair.group),
                    before=pair if gone else None,
                    after=None if gone else pair,
                )
            )


def bound_applications(context: Context, where: sa.ColumnElement[bool]) -> Iterable[str]:
    """The applications whose bindings match, as `application 'slug'`."""
    joined = tables.bindings.join(tables.applications, tables.bindings.c.application == tables.applications.c.id)
    statement = sa.select(tables.applications.c.slug).select_from(joined).where(where).distinct()
    for (slug,) in context.rows(statement):
        yield f"application {slug!r}"

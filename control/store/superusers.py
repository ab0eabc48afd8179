"""Who administers Garrison: active accounts of people that are in a superuser group or in one below it.

Asked before a change whether anybody would be left, so the rule that somebody must is one query that ends at the
first one found, however many users and groups there are.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from control.domain.identity import UserKind
from control.store import tables
from control.store.base import Context, chunks
from control.store.nesting import above, administering

_ABLE = tables.users.c.active.is_(True) & (tables.users.c.kind == UserKind.INTERNAL)


class Superusers:
    """Questions about the administrators, as things are or were something else."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def usernames(self) -> list[str]:
        """Their usernames, sorted."""
        statement = _of(administering(), tables.users.c.username)
        return sorted({username for (username,) in self.context.rows(statement)})

    def any(self) -> bool:
        """Whether there is one."""
        return self._any(administering())

    def any_but(self, user: UUID) -> bool:
        """Whether somebody else is one."""
        return self._any(administering(), tables.users.c.id != user)

    def any_without_group(self, group: UUID) -> bool:
        """Whether there would be one were the group not there: neither its members nor those it is above."""
        return self._any(administering(without=group))

    def any_without_members_of(self, group: UUID) -> bool:
        """Whether there would be one were nobody directly in the group."""
        return self._any(administering(), tables.memberships.c.group != group)

    def any_among(self, users: Collection[UUID]) -> bool:
        """Whether one of these could be one: is active, and a person's account."""
        return any(
            self._exists(sa.select(tables.users.c.id).where(_ABLE, tables.users.c.id.in_(some)))
            for some in chunks(users)
        )

    def are_made_by(self, groups: Collection[UUID]) -> bool:
        """Whether being in these groups makes a superuser."""
        return any(self._exists(_superuser_group(some)) for some in chunks(groups))

    def _any(self, among: sa.CTE, *where: sa.ColumnElement[bool]) -> bool:
        return self._exists(_of(among, tables.users.c.id).where(*where))

    def _exists(self, statement: sa.Select[Any]) -> bool:
        return bool(self.context.rows(statement.limit(1)))


def _of(among: sa.CTE, column: sa.Column[Any]) -> sa.Select[Any]:
    joined = among.join(tables.memberships, tables.memberships.c.group == among.c.id).join(
        tables.users, tables.users.c.id == tables.memberships.c.user
    )
    return sa.select(column).select_from(joined).where(_ABLE)


def _superuser_group(groups: Collection[UUID]) -> sa.Select[Any]:
    found = above(groups)
    joined = found.join(tables.groups, tables.groups.c.id == found.c.id)
    return sa.select(tables.groups.c.id).select_from(joined).where(tables.groups.c.superuser.is_(True))

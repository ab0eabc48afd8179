"""The numbers that tell users and groups apart in LDAP: each is given once, also when who had it is gone.

Taken within the unit that adds the object: units that write come one after the other, so no two take the same, and one
that is rolled back has given nothing. Groups begin far above users, so that the gids of groups don't meet those of the
users' own groups.
"""

from functools import cache

import sqlalchemy as sa

from control.store import tables
from control.store.base import Context

USERS, GROUPS = "users", "groups"
FIRST = {USERS: 1, GROUPS: 1_000_000}


def take_number(context: Context, name: str) -> int:
    """The next number of that count."""
    return int(context.connection.execute(_taking(), {"counter": name}).scalar_one()) - 1


class Numbers:
    """How far the counts have come."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def last_of_users(self) -> int:
        """The highest that a user can have."""
        return self._next(USERS) - 1

    def last_of_groups(self) -> int:
        """The highest that a group can have."""
        return self._next(GROUPS) - 1

    def _next(self, name: str) -> int:
        statement = sa.select(tables.counters.c.next).where(tables.counters.c.name == name)
        return int(self._context.connection.execute(statement).scalar_one())


@cache
def _taking() -> sa.Executable:
    """Built once: that takes longer than the database does."""
    counter = tables.counters.c
    moved = sa.update(tables.counters).where(counter.name == sa.bindparam("counter")).values(next=counter.next + 1)
    return moved.returning(counter.next)

"""Walking up and down the groups, in the database: what it costs is what it finds, not how many groups there are."""

from collections.abc import Collection
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from control.store import tables

_PARENTS = tables.group_parents.c


@cache
def ids_above() -> sa.Select[Any]:
    """The ids of the groups `wanted` and all above them. Built once: that takes longer than the database does."""
    wanted = tables.groups.c.id.in_(sa.bindparam("wanted", expanding=True))
    return sa.select(_walk(wanted, _PARENTS.group, _PARENTS.parent).c.id)


def above(groups: Collection[UUID]) -> sa.CTE:
    """These groups, as far as they exist, and all above them, as a table with a column `id`; cycles do no harm."""
    return _walk(tables.groups.c.id.in_(groups), _PARENTS.group, _PARENTS.parent)


def below(groups: Collection[UUID]) -> sa.CTE:
    """These groups, as far as they exist, and all below them, as a table with a column `id`."""
    return _walk(tables.groups.c.id.in_(groups), _PARENTS.parent, _PARENTS.group)


def below_each(groups: Collection[UUID]) -> sa.CTE:
    """For each of these groups, its `root`, that group and all below it, as a table of `root` and `id`."""
    every = tables.groups.c.id
    found = sa.select(every.label("root"), every.label("id")).where(every.in_(groups)).cte(recursive=True)
    joined = found.join(tables.group_parents, _PARENTS.parent == found.c.id)
    return found.union(sa.select(found.c.root, _PARENTS.group).select_from(joined))


def administering(without: UUID | None = None) -> sa.CTE:
    """The groups whose members administer Garrison, were the group `without` not there."""
    start = tables.groups.c.superuser.is_(True)
    if without is None:
        return _walk(start, _PARENTS.parent, _PARENTS.group)
    return _walk(start & (tables.groups.c.id != without), _PARENTS.parent, _PARENTS.group, _PARENTS.group != without)


def _walk(
    start: sa.ColumnElement[bool],
    near: sa.Column[Any],
    far: sa.Column[Any],
    passing: sa.ColumnElement[bool] | None = None,
) -> sa.CTE:
    found = sa.select(tables.groups.c.id).where(start).cte(recursive=True)
    step = sa.select(far.label("id")).select_from(found.join(tables.group_parents, near == found.c.id))
    return found.union(step if passing is None else step.where(passing))

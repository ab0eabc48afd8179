"""What the last revisions changed, by kind and id: whoever keeps the database in memory reads again only that.

Each unit leaves a mark besides, so that a database which was restored meanwhile is told from the one that was read.
Nothing here says what an object was or is: those that are gone are simply not found any more.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy as sa

from control.store import tables
from control.store.base import Context
from control.store.changes import Change

# Revisions; a link process that is further behind reads everything.
KEPT = 1_000
# Of one kind in one revision; where there are more it says so, by MANY.
MOST = 200
MANY = "*"
_MARK = "mark"

_RECENT = tables.recent_changes.c
_NEXT = sa.select(tables.revision.c.n + 1).scalar_subquery()
_LOGGED = sa.insert(tables.recent_changes).values(
    revision=_NEXT, kind=sa.bindparam("kind"), target=sa.bindparam("target")
)
_TRIM = sa.delete(tables.recent_changes).where(
    _RECENT.revision <= sa.select(tables.revision.c.n).scalar_subquery() - sa.bindparam("kept")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A revision of one particular database."""

    revision: int
    unit: str


class RecentChanges:
    """Takes note of what one unit of work changes, and tells what others did."""

    def __init__(self, context: Context) -> None:
        self._connection = context.connection
        self._touched: defaultdict[str, set[str]] = defaultdict(set)

    def note(self, change: Change) -> None:
        """Take note of a change."""
        self.touch(change.kind, [change.target])

    def touch(self, kind: str, targets: Iterable[object]) -> None:
        """Take note that these have changed, of which there is no other word."""
        self._touched[kind].update(map(str, targets))

    def write(self) -> None:
        """Log it with the revision that the unit takes: nobody else writes meanwhile."""
        rows = [{"kind": _MARK, "target": str(uuid4())}]
        for kind, targets in self._touched.items():
            rows += [{"kind": kind, "target": target} for target in (targets if len(targets) <= MOST else {MANY})]
        self._connection.execute(_LOGGED, rows)
        self._connection.execute(_TRIM, {"kept": KEPT})

    def find_mark(self) -> Mark | None:
        """Of the newest revision, if there was one."""
        newest = sa.select(sa.func.max(_RECENT.revision)).scalar_subquery()
        row = self._connection.execute(
            sa.select(_RECENT.revision, _RECENT.target).where(_RECENT.kind == _MARK, _RECENT.revision == newest)
        ).first()
        return Mark(revision=row[0], unit=row[1]) if row is not None else None

    def find_since(self, mark: Mark) -> Mapping[str, frozenset[str]] | None:
        """Ids by kind of what has changed since; None where that is not known."""
        rows = self._connection.execute(
            sa.select(_RECENT.revision, _RECENT.kind, _RECENT.target).where(_RECENT.revision >= mark.revision)
        ).all()
        if (mark.revision, _MARK, mark.unit) not in {tuple(row) for row in rows}:
            return None
        changed: defaultdict[str, set[str]] = defaultdict(set)
        for revision, kind, target in rows:
            if revision > mark.revision and kind != _MARK:
                changed[kind].add(target)
        return {kind: frozenset(targets) for kind, targets in changed.items()}

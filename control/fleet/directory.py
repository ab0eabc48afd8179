"""Which outposts hold the directory, what of it they may see, and reading it for them: news since a place, or pages.

Only outposts of type ldap that serve a provider, and what they get are the accounts of people and services, never those
of outposts, and all groups. Nothing of it reaches an outpost of another type, nor one that serves nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from uuid import UUID

from control.domain.directory import Cursor, Entry, Position, key_of
from control.domain.identity import UserKind
from control.domain.outpost import Outpost, OutpostType
from control.store import Store, Unit
from control.store.directory import Page

EXPOSED_KINDS = (UserKind.INTERNAL, UserKind.SERVICE)
# So many entries are read in one look at the database: some 20 ms, and a few hundred kB.
PAGE = 500
# A place in no history: whoever is there holds nothing, and gets a whole copy.
NOWHERE = Position(epoch=UUID(int=0), revision=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What changed after a place, as it is now, and how far that goes; `complete` when there is no more of it."""

    entries: tuple[Entry, ...]
    removed: tuple[str, ...]
    reached: Cursor
    complete: bool


def exposes_directory(outpost: Outpost) -> bool:
    """Whether the outpost may hold users and groups, while it serves a provider."""
    return outpost.type is OutpostType.LDAP


def find_news(unit: Unit, after: Cursor) -> News | None:
    """What comes after a place, as far as one page goes; None when only a whole copy leads from there to the present.

    That is so where the log doesn't reach back so far, and where the place is of another history.
    """
    if not unit.directory.leads_on(after.position):
        return None
    touched = unit.directory.touched(after, PAGE)
    entries = tuple(unit.directory.entries(EXPOSED_KINDS, touched))
    held = {entry.key for entry in entries}
    keys = dict.fromkeys(key_of(each.kind, each.target) for each in touched)
    complete = len(touched) < PAGE
    return News(
        entries=entries,
        removed=tuple(key for key in keys if key not in held),
        reached=Cursor(position=unit.directory.position()) if complete else replace(after, beyond=touched[-1]),
        complete=complete,
    )


def read_position(store: Store) -> Position:
    """The present end of the feed."""
    with store.read() as unit:
        return unit.directory.position()


def read_all(store: Store) -> Iterator[tuple[Entry, ...]]:
    """All users and groups in pages, each as of when it is asked for: what changes meanwhile has to be read after."""
    yield from _pages(store, lambda unit, after: unit.directory.groups(after, PAGE))
    yield from _pages(store, lambda unit, after: unit.directory.users(EXPOSED_KINDS, after, PAGE))


def _pages(store: Store, read: Callable[[Unit, UUID | None], Page]) -> Iterator[tuple[Entry, ...]]:
    entries, after = _read(store, read, None)
    while after is not None:
        yield entries
        entries, after = _read(store, read, after)


def _read(store: Store, read: Callable[[Unit, UUID | None], Page], after: UUID | None) -> Page:
    with store.read() as unit:
        return read(unit, after)

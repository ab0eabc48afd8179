"""Which outposts hold the directory, what of it they may see, and reading it for them: news since a place, or pages.

Only outposts of type ldap that serve a provider, and what they get are the accounts of people and services, never those
of outposts, and all groups. Nothing of it reaches an outpost of another type, nor one that serves nothing. They get the
attributes that the providers show which they serve, by the same view of the database that the entries are of.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from uuid import UUID

from control.domain.directory import Cursor, Entry, Position, Shown, key_of
from control.domain.identity import UserKind
from control.domain.outpost import Outpost, OutpostType
from control.fleet.assignment import assigned_ids, names_its_own
from control.store import Store, Unit
from control.store.directory import Page

EXPOSED_KINDS = (UserKind.INTERNAL, UserKind.SERVICE)
# So many entries are read in one look at the database: some 20 ms, and a few hundred kB.
PAGE = 500
# A place in no history: whoever is there holds nothing, and gets a whole copy.
NOWHERE = Position(epoch=UUID(int=0), revision=0)


class ShowsOther(Exception):
    """What the outpost is shown of attributes has changed."""


class ShowsNothing(ShowsOther):
    """The outpost serves no provider that shows the directory."""


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


def shown_to_each(unit: Unit, outposts: Collection[UUID]) -> dict[UUID, Shown]:
    """What those of these outposts are shown of attributes that hold the directory."""
    shown = unit.ldap_providers.shown()
    found = [each for each in unit.outposts.find_many(outposts).values() if exposes_directory(each)]
    others = () if all(map(names_its_own, found)) else unit.outposts.all()
    served = {outpost.id: assigned_ids(outpost, others, shown) for outpost in found}
    return {key: reduce(or_, (shown[each] for each in some)).completed() for key, some in served.items() if some}


def get_shown(unit: Unit, outpost: UUID) -> Shown:
    """What an outpost is shown of attributes. Raises ShowsNothing."""
    shown = shown_to_each(unit, [outpost]).get(outpost)
    if shown is None:
        raise ShowsNothing
    return shown


def find_news(unit: Unit, after: Cursor, shown: Shown) -> News | None:
    """What comes after a place, as far as one page goes; None when only a whole copy leads from there to the present.

    That is so where the log doesn't reach back so far, and where the place is of another history or another `shown`.
    """
    if not unit.directory.leads_on(after.position, shown):
        return None
    touched = unit.directory.touched(after, PAGE)
    entries = tuple(unit.directory.entries(EXPOSED_KINDS, shown, touched))
    held = {entry.key for entry in entries}
    keys = dict.fromkeys(key_of(each.kind, each.target) for each in touched)
    complete = len(touched) < PAGE
    return News(
        entries=entries,
        removed=tuple(key for key in keys if key not in held),
        reached=Cursor(position=unit.directory.position(shown)) if complete else replace(after, beyond=touched[-1]),
        complete=complete,
    )


def read_all(store: Store, outpost: UUID, shown: Shown) -> Iterator[tuple[Entry, ...]]:
    """All users and groups in pages, each as of when it is asked for: what changes meanwhile has to be read after.

    Raises ShowsOther where the outpost is no more shown this.
    """

    def pages(read: Callable[[Unit, UUID | None], Page]) -> Iterator[tuple[Entry, ...]]:
        after: UUID | None = None
        while True:
            with store.read() as unit:
                if get_shown(unit, outpost) != shown:
                    raise ShowsOther
                entries, after = read(unit, after)
            if after is None:
                return
            yield entries

    yield from pages(lambda unit, after: unit.directory.groups(shown, after, PAGE))
    yield from pages(lambda unit, after: unit.directory.users(EXPOSED_KINDS, shown, after, PAGE))

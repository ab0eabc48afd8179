"""One page of the audit trail, as the address asks for it: a filter, and the place before or after which it begins.

A page has no number, since the trail grows while somebody reads: a link leads to the same events whenever it is opened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import request

from control.domain.audit import TEXTS, TIMES, AuditFilter, Place, find_place, place_of, read_filter
from control.domain.security import AuditEvent
from control.store import Unit
from control.web.audit.words import Line, line_of, outpost_names

SIZE = 50
# What the list of events may be narrowed to by choosing, as the trail has it.
CHOSEN = ("action", "kind", "outpost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The events of one page, newest first, and where those around them begin, if there are any."""

    lines: Sequence[Line]
    newer: Place | None
    older: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of the trail in the order of time, and whether there is more on either side."""

    events: Sequence[AuditEvent]
    more_newer: bool
    more_older: bool


def given() -> dict[str, Any]:
    """What the address narrows the trail to: by name, those only that aren't empty."""
    return {name: text for name in (*TEXTS, *TIMES) if (text := request.args.get(name, "").strip())}


def is_first() -> bool:
    """Whether the page with the newest events is asked for."""
    return _asked("before") is None and _asked("after") is None


def read_listing(unit: Unit) -> Listing:
    """The page that the address asks for. Raises Invalid."""
    page = _read(unit, read_filter(given()))
    outposts = outpost_names(unit)
    return Listing(
        lines=[line_of(event, outposts, event.count) for event in page.events],
        newer=place_of(page.events[0]) if page.events and page.more_newer else None,
        older=place_of(page.events[-1]) if page.events and page.more_older else None,
    )


def read_choices(unit: Unit) -> Mapping[str, Sequence[str]]:
    """What there is to choose from, by filter."""
    return {name: [word for word in unit.audit.words(name) if word] for name in CHOSEN}


def minutes(when: datetime | None) -> str:
    """A time as the browser's own field for it has it (HTML, valid local date and time string)."""
    return "" if when is None else when.strftime("%Y-%m-%dT%H:%M")


def _read(unit: Unit, wanted: AuditFilter) -> Page:
    before, after = _asked("before"), _asked("after")
    if after is not None and before is None:
        found = unit.audit.newer(wanted, after, SIZE + 1)
        if len(found) > SIZE:
            return Page(events=found[SIZE - 1 :: -1], more_newer=True, more_older=True)
        # There is nothing newer than that page: it is the first one.
    found = unit.audit.older(wanted, before, SIZE + 1)
    return Page(events=found[:SIZE], more_newer=before is not None, more_older=len(found) > SIZE)


def _asked(name: str) -> Place | None:
    return find_place(request.args.get(name, ""))

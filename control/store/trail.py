"""The audit trail from end to end, a part at a time: for exports, and for whoever follows it as it grows.

Each part is read in a unit of its own: memory stays bounded, and no snapshot is held while somebody reads slowly.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from control.domain.audit import AuditFilter, Place, place_of
from control.domain.security import AuditEvent
from control.store.unit import Store

PART = 1_000
# Who follows looks back so far each time, for what was recorded by a clock that was set back meanwhile.
OVERLAP = timedelta(seconds=10)
_FIRST = UUID(int=0)


def parts(store: Store, wanted: AuditFilter, size: int = PART) -> Iterator[list[AuditEvent]]:
    """All events wanted that there are by now, the oldest first."""
    with store.read() as unit:
        end = unit.now + timedelta(microseconds=1)
    bounded = replace(wanted, until=min(wanted.until or end, end))
    place: Place | None = None
    while True:
        with store.read() as unit:
            found = unit.audit.newer(bounded, place, size)
        if found:
            yield found
        if len(found) < size:
            return
        place = place_of(found[-1])


def follow(
    store: Store, wanted: AuditFilter, begin: datetime | None, pause: Callable[[], None], size: int = PART
) -> Iterator[list[AuditEvent]]:
    """The events wanted that came into the trail at `begin` or later, or from now on, in that order, for ever.

    Each comes once. `pause` is between two looks.
    """
    begun, told = (begin, {}) if begin is not None else _begin_now(store, wanted, size)
    since = begun
    while True:
        for found in _recorded(store, wanted, max(begun, since - OVERLAP), size):
            fresh = [event for event in found if event.id not in told]
            since = max(since, found[-1].recorded)
            told |= {event.id: event.recorded for event in fresh}
            told = {key: recorded for key, recorded in told.items() if recorded >= since - OVERLAP}
            if fresh:
                yield fresh
        pause()


def _begin_now(store: Store, wanted: AuditFilter, size: int) -> tuple[datetime, dict[UUID, datetime]]:
    """Where to begin, and what came since without being told: a unit that is under way may be older than now."""
    with store.read() as unit:
        begun = unit.now - OVERLAP
    there = (event for found in _recorded(store, wanted, begun, size) for event in found)
    return begun, {event.id: event.recorded for event in there}


def _recorded(store: Store, wanted: AuditFilter, since: datetime, size: int) -> Iterator[list[AuditEvent]]:
    place = Place(at=since, id=_FIRST)
    while True:
        with store.read() as unit:
            found = unit.audit.recorded_after(wanted, place, size)
        if found:
            yield found
        if len(found) < size:
            return
        place = Place(at=found[-1].recorded, id=found[-1].id)

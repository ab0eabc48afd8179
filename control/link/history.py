"""What happens to instances, on its way into their history: bounded, since one that flaps would fill the database.

Of one instance so many events an hour are kept word by word, and so many of all instances of one outpost; the rest of
that hour comes to one line. Pure but for the clock; the roster writes what `take` returns.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from control.domain.outpost import InstanceEvent, InstanceEventKind
from control.link.ledger import Key

WINDOW = timedelta(hours=1)
MOST_IN_WINDOW = 30
# Two thousand replicas that are replaced by others, one after the other.
MOST_OF_OUTPOST = 6_000
MOST_DETAIL = 1_000


@dataclass(slots=True)
class _Window:
    """An hour of one instance, or of one outpost: how much of it was told, and what was not."""

    begun: datetime
    told: int = 0
    untold: int = 0
    last: InstanceEvent | None = None


class History:
    """Events that are not written yet."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._windows: dict[Key | UUID, _Window] = {}
        self._waiting: list[InstanceEvent] = []

    def note(self, key: Key, kind: InstanceEventKind, detail: str) -> None:
        """Something happened."""
        now = self._clock()
        told = detail[:MOST_DETAIL]
        event = InstanceEvent(id=uuid4(), outpost=key[0], uid=key[1], at=now, kind=kind, detail=told)
        outpost = self._window(key[0], now)
        # Of one whose outpost has had its share not even a line of its own: there may be ever new ones.
        window = outpost if outpost.told >= MOST_OF_OUTPOST else self._window(key, now)
        if window is not outpost and window.told < MOST_IN_WINDOW:
            window.told += 1
            outpost.told += 1
            self._waiting.append(event)
        else:
            window.untold += 1
            window.last = event

    def take(self) -> list[InstanceEvent]:
        """What is to be written now."""
        now = self._clock()
        for key in [key for key, window in self._windows.items() if _is_over(window, now)]:
            self._close(key)
        taken, self._waiting = self._waiting, []
        return taken

    def take_all(self) -> list[InstanceEvent]:
        """What is to be written at the end."""
        for key in tuple(self._windows):
            self._close(key)
        return self.take()

    def give_back(self, events: Iterable[InstanceEvent]) -> None:
        """These could not be written."""
        self._waiting[:0] = events

    def _window(self, key: Key | UUID, now: datetime) -> _Window:
        window = self._windows.get(key)
        if window is None or _is_over(window, now):
            self._close(key)
            self._windows[key] = window = _Window(now)
        return window

    def _close(self, key: Key | UUID) -> None:
        window = self._windows.pop(key, None)
        if window is not None and window.last is not None:
            self._waiting.append(_summary(window.last, window.untold))


def _is_over(window: _Window, now: datetime) -> bool:
    # A clock that went back ends it too.
    return not timedelta() <= now - window.begun < WINDOW


def _summary(last: InstanceEvent, untold: int) -> InstanceEvent:
    if untold == 1:
        return last
    return replace(last, detail=f"the last of {untold} events more within the hour: {last.detail}".rstrip(": "))

"""How the workers of each slot fare: which keep ending, and since when nobody serves. Pure; times come in, in seconds.

A worker that has lived for long enough has settled: how its predecessors ended is nobody's trouble any more.
"""

import math
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

LOOPING = 3
"""Deaths in a row that are no accident."""


@dataclass(slots=True)
class _Slot:
    began: float = -math.inf
    deaths: int = 0
    last: str = ""


@dataclass(slots=True, kw_only=True)
class Fates:
    """What has become of the workers; one that lives for `settled` seconds is well."""

    settled: float
    _slots: dict[int, _Slot] = field(default_factory=dict)
    _serving: set[int] = field(default_factory=set)
    _unserved_since: float = -math.inf

    def began(self, slot: int, now: float) -> None:
        """A worker was started."""
        self._slots.setdefault(slot, _Slot()).began = now

    def serves(self, slot: int) -> None:
        """It serves."""
        self._serving.add(slot)

    def rests(self, slot: int, now: float) -> None:
        """It serves no more."""
        if slot in self._serving:
            self._serving.remove(slot)
            self._unserved_since = now

    def ended(self, slot: int, how: str, now: float) -> int:
        """It has ended; how many have by now, one soon after the other."""
        self.rests(slot, now)
        fate = self._slots.setdefault(slot, _Slot())
        fate.deaths = 1 if now - fate.began >= self.settled else fate.deaths + 1
        fate.last = how
        return fate.deaths

    def unserved(self, now: float) -> float:
        """For how long nobody has been serving: 0 while somebody does, infinite when nobody ever has."""
        return 0.0 if self._serving else now - self._unserved_since

    def looping(self, now: float) -> tuple[int, ...]:
        """The slots whose workers keep ending."""
        return tuple(slot for slot, fate in self._slots.items() if self._loops(slot, fate, now))

    def trouble(self, now: float) -> str:
        """What an admin has to know of it; empty while all is well."""
        return "; ".join(self._troubles(now))

    def _troubles(self, now: float) -> Iterator[str]:
        for slot in self.looping(now):
            fate = self._slots[slot]
            yield f"worker {slot} keeps ending ({fate.deaths} times in a row, the last time {fate.last})"

    def _loops(self, slot: int, fate: _Slot, now: float) -> bool:
        settled = slot in self._serving and now - fate.began >= self.settled
        return fate.deaths >= LOOPING and not settled


def describe_exit(status: int) -> str:
    """A return code in words."""
    if status >= 0:
        return f"with exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"

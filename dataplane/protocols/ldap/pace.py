"""When a search that goes on for long lets others run: by the time it has worked, which a cheap count stands for."""

from collections.abc import Callable
from typing import Final

NOT_YET: Final = -1
"""Comes in place of a result where others should run."""

_LOOK_EVERY: Final = 64
"""Units of work, of some microseconds at most, between two looks at the clock."""

_SLICE: Final = 0.002
"""Seconds of work after which it is others' turn."""


class Pace:
    """How long one search has worked at a stretch. `clock` tells seconds."""

    __slots__ = ("_clock", "_left", "_since")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = _LOOK_EVERY
        self._since = clock()

    def is_due(self, cost: int) -> bool:
        """Whether others should run now that so much more has been done."""
        self._left -= cost
        if self._left > 0:
            return False
        self._left = _LOOK_EVERY
        now = self._clock()
        if now - self._since < _SLICE:
            return False
        self._since = now
        return True

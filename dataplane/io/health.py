"""Whether an address can be connected to, as connecting to it shows; nobody is asked beyond that.

One that fails rests, for longer each time; then one request tries it while others still go elsewhere. Connecting ends
the rest. That the pauses are short again takes a whole answer: who takes connections and breaks them is not well. But
who has just answered others is: one who makes it break off takes it away from nobody.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SHORTEST, _LONGEST = 1.0, 30.0
"""Seconds of rest."""
_WELL = 2.0
"""Seconds after an answer, in which breaking off says something of that request alone."""


class Health:
    """Of one address. `now` is in seconds."""

    __slots__ = ("_now", "_pause", "_trying", "_until", "_well_until", "troubled")

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._pause = _SHORTEST
        self._until = self._well_until = 0.0
        self._trying = False
        self.troubled = False
        """It could not be connected to, and has not been since."""

    @property
    def is_resting(self) -> bool:
        """Whether others should be asked first."""
        return self.troubled and (self._trying or self._now() < self._until)

    def fail(self) -> None:
        """It could not be connected to."""
        now = self._now()
        if self.troubled and now < self._until:  # several that tried at the same time are one failure
            return
        self.troubled = True
        self._until = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST)

    def blame(self) -> None:
        """It was connected to, and broke off without an answer."""
        if self._now() >= self._well_until:
            self.fail()

    def recover(self) -> None:
        """It was connected to."""
        self.troubled = False

    def prove(self) -> None:
        """It has answered."""
        self._pause = _SHORTEST
        self._well_until = self._now() + _WELL

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Somebody tries it: as long as that lasts others don't, if it was in trouble."""
        if self._trying or not self.troubled:
            yield
            return
        self._trying = True
        try:
            yield
        finally:
            self._trying = False

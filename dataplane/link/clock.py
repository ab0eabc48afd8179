"""The time by control's clock, which dates sessions: what ends them here has to go by the same.

While this host's clock agrees with what control says, it is the clock. Where it doesn't, time is what control said plus
what the monotonic clock has counted since, so that whoever sets this host's clock moves no session's end.
"""

from collections.abc import Callable

# Clocks that differ by no more than that agree, in seconds.
TOLERATED = 1.0


class ControlClock:
    """Control's time in POSIX seconds. `monotonic` counts spans."""

    __slots__ = ("_ahead", "_wall", "monotonic")

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic
        self._wall = wall
        # Of the monotonic clock; None while the wall clock agrees.
        self._ahead: float | None = None

    def __call__(self) -> float:
        """What it shows now."""
        return self._wall() if self._ahead is None else self.monotonic() + self._ahead

    def heard(self, time: float, asked: float) -> None:
        """Control's clock showed `time` somewhen between `asked`, by the monotonic clock, and now."""
        now = self.monotonic()
        ours = self._wall() - now
        agrees = time - now - TOLERATED <= ours <= time - asked + TOLERATED
        self._ahead = None if agrees else time - now

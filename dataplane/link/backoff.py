"""Full-jitter backoff: how long to wait before the next try. Pure; randomness and time come in."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The window of the first wait, the longest window, and how long a connection must last to count as stable."""

    first: float = 0.5
    longest: float = 30.0
    stable: float = 60.0


class Backoff:
    """Waits are uniform between 0 and a window that doubles from `first` to `longest`."""

    __slots__ = ("_failures", "_pace", "_uniform")

    def __init__(self, pace: Pace, uniform: Callable[[float, float], float]) -> None:
        self._pace = pace
        self._uniform = uniform
        self._failures = 0

    def wait_after(self, lasted: float) -> float:
        """The wait after a try that kept a connection for `lasted` seconds (0 when there was none)."""
        if lasted >= self._pace.stable:
            self._failures = 0
        # 2**32 half seconds are past any window; the bound keeps the integer small over years of failures.
        window = min(self._pace.longest, self._pace.first * 2 ** min(self._failures, 32))
        self._failures += 1
        return self._uniform(0.0, window)

    def wait_refused(self) -> float:
        """The wait after control has said that it does not serve us: somebody has to upgrade something first."""
        return self._uniform(self._pace.longest / 2, self._pace.longest)

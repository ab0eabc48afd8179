"""A circuit breaker: after two failures in a row callers are answered at once, and one probe at a time finds out.

Pure: the time comes in.
"""

FAILURES = 2
PAUSE = 2.0


class Breaker:
    """Closed at first. `opened` counts how often it opened."""

    __slots__ = ("_failures", "_probing", "_retry_at", "opened")

    def __init__(self) -> None:
        self._failures = 0
        self._retry_at = 0.0
        self._probing = False
        self.opened = 0

    @property
    def is_open(self) -> bool:
        """Whether callers are turned away."""
        return self._failures >= FAILURES

    def admits(self, now: float) -> bool:
        """Whether a call may be made; one that may must report its outcome."""
        if not self.is_open:
            return True
        if self._probing or now < self._retry_at:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """Control answered, whatever it said."""
        self._failures = 0
        self._probing = False

    def failed(self, now: float) -> None:
        """Control did not answer."""
        self._failures += 1
        self._probing = False
        if self.is_open:
            self._retry_at = now + PAUSE
            self.opened += self._failures == FAILURES

"""Lines that any thread says now and then, on their way to a descriptor that nobody may be reading.

Whoever writes never waits: a line is handed over to the pen at once, and where too many bytes are waiting it is left
out and counted; a line that says so stands where they are missing. Knows neither greenlets nor event loops, so that
supervisors, workers, their hubs and the threads of libraries all say what they have to say in the same way.
"""

import time
from collections.abc import Callable

from dataplane.io.pen import MOST, Pen, original

HELD = 256 * 1024
"""Bytes that wait at most."""
_LOOK = 0.002
# Nothing that holds it waits for anything, so one of the system holds up no greenlet. Reentrant, as what is collected
# as garbage meanwhile may have something to say.
_new_lock, _sleep = original("_thread", "RLock"), original("time", "sleep")


class Notes:
    """Lines to one descriptor, which stays open. `lost` makes a line of how many are missing, in any thread."""

    def __init__(self, descriptor: int, lost: Callable[[int], bytes], most: int = HELD) -> None:
        self._most = most
        self._lost = lost
        self._lock = _new_lock()
        self._given = 0
        """Bytes taken so far."""
        self._refused = 0
        self._said = 0
        self._pen = Pen(descriptor, self._rests)

    @property
    def dropped(self) -> int:
        """Lines that found no room, or could not be written."""
        return self._refused + self._pen.failed

    @property
    def held(self) -> int:
        """Bytes that are not written yet."""
        return self._given - self._pen.done

    def write(self, line: bytes) -> None:
        """Take a line with its end; never waits."""
        with self._lock:
            if self.held + len(line) > self._most or len(line) > MOST:
                self._refused += 1
            else:
                self._say_lost()
                self._add(line)

    def settle(self, seconds: float) -> bool:
        """Wait until all is written, for so long at most, with the whole thread; whether it is."""
        deadline = time.monotonic() + seconds
        with self._lock:
            self._say_lost()
        while self.held and time.monotonic() < deadline:
            _sleep(_LOOK)
        return not self.held

    def _rests(self) -> None:
        """It flows again, and nobody may have anything to say for long."""
        with self._lock:
            if not self.held:
                self._say_lost()

    def _say_lost(self) -> None:
        """Into a pipe that nobody reads any more it is never said."""
        dropped = self.dropped
        if self._said < dropped and self._pen.flows:
            line = self._lost(dropped - self._said)
            self._said = dropped
            self._add(line)

    def _add(self, line: bytes) -> None:
        self._given += len(line)
        self._pen.take([line])

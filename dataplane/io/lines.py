"""Many lines on their way to a descriptor that others write to as well and whose reader may be slow, or gone.

Whoever writes never waits: lines lie in a bounded buffer until they are worth a batch, and the pen writes them. What
finds no room is left out and counted; a line that says so stands where they are missing. For the greenlets of one hub.
"""

from collections.abc import Callable
from dataclasses import dataclass

import gevent
from gevent import get_hub

from dataplane.io.pen import MOST, Batch, Pen

_LOOK = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLimits:
    """`held` bytes wait at most; what is `batch` bytes, or has waited for `delay` seconds, is written."""

    held: int = 1024 * 1024
    batch: int = 64 * 1024
    delay: float = 0.1


class Lines:
    """Lines to one descriptor, which stays open. `lost` makes the line that says how many are missing."""

    def __init__(self, descriptor: int, lost: Callable[[int], bytes], limits: LineLimits | None = None) -> None:
        self._limits = limits or LineLimits()
        self._lost = lost
        self._waiting: Batch = []
        self._size = 0
        self._given = 0
        """Bytes taken so far."""
        self._refused = 0
        self._said = 0
        self._due = False
        self._timer = get_hub().loop.timer(self._limits.delay)
        self._pen = Pen(descriptor)

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
        size = len(line)
        if self._given - self._pen.done + size > self._limits.held or size > MOST:
            self._refused += 1
        else:
            if self._said < self.dropped:
                self._say_lost()
            self._add(line, size)
        if self._size >= self._limits.batch:
            self._hand_over()
        elif not self._due:
            self._due = True
            self._timer.start(self._hand_over)

    def settle(self, seconds: float) -> bool:
        """Wait until all is written, for so long at most; whether it is."""
        deadline = get_hub().loop.now() + seconds
        self._hand_over()
        while self.held and get_hub().loop.now() < deadline:
            gevent.sleep(_LOOK)
        return not self.held

    def _add(self, line: bytes, size: int) -> None:
        self._waiting.append(line)
        self._size += size
        self._given += size

    def _say_lost(self) -> None:
        """Where they are missing, once it flows again; into a pipe that nobody reads any more it never does."""
        if self._pen.flows:
            dropped = self.dropped
            line = self._lost(dropped - self._said)
            self._said = dropped
            self._add(line, len(line))

    def _hand_over(self) -> None:
        self._due = False
        if self._said < self.dropped:
            if self.held < self._limits.held:
                self._say_lost()
            elif not self._due:
                self._due = True
                self._timer.start(self._hand_over)
        if self._waiting:
            self._pen.take(self._waiting)
            self._waiting, self._size = [], 0

"""Lines on their way to a descriptor that others write to as well and whose reader may be slow, or gone.

Whoever writes never waits: lines lie in a bounded buffer, and a thread of the system writes them, blocking as it
likes. What finds no room is left out and counted; a line that says so stands where they are missing. Each write is
of whole lines and at most PIPE_BUF bytes, which POSIX never mixes with those of others, so lines have to be shorter.

Not by making the descriptor non-blocking: it would be so for every process that has it.
"""

import os
import queue
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import gevent
from gevent import get_hub
from gevent.monkey import get_original

MOST = 4096
"""Bytes of a line with its end, and of what is written to a pipe at once."""
_MOST_OF_A_FILE = 64 * 1024
_LOOK = 0.005
_WRITABLE = 4  # select.POLLOUT, which gevent's select doesn't name on every system
# Those of the system: the thread knows no greenlets.
_new_queue, _start_thread, _new_poll = (
    get_original("queue", "SimpleQueue"),
    get_original("_thread", "start_new_thread"),
    get_original("select", "poll"),
)

Batch = list[bytes]


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
        self._pen = _Pen(descriptor)

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


class _Pen:
    """The thread that writes. It alone counts here, so that nothing is counted twice or not at all."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._batches: queue.SimpleQueue[Batch] | None = None
        self.done = 0
        """Bytes written, or given up."""
        self.failed = 0
        """Lines given up."""
        self.flows = True

    def take(self, batch: Batch) -> None:
        """Write this next."""
        if self._batches is None:
            self._batches = _new_queue()
            _start_thread(self._run, (self._batches,))
        self._batches.put(batch)

    def _run(self, batches: "queue.SimpleQueue[Batch]") -> None:
        most = self._most()
        while True:
            for piece, lines in packed(batches.get(), most):
                self.flows = _write(self._descriptor, piece)
                if not self.flows:
                    self.failed += lines
                self.done += len(piece)

    def _most(self) -> int:
        try:
            return _MOST_OF_A_FILE if stat.S_ISREG(os.fstat(self._descriptor).st_mode) else MOST
        except OSError:
            return MOST


def packed(lines: Sequence[bytes], most: int) -> Iterator[tuple[bytes, int]]:
    """The lines in pieces of at most so many bytes, none of them cut; with how many are in each."""
    piece: Batch = []
    size = 0
    for line in lines:
        if size + len(line) > most and piece:
            yield b"".join(piece), len(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield b"".join(piece), len(piece)


def _write(descriptor: int, piece: bytes) -> bool:
    """Write all of it, however long that takes; False where it can't be."""
    while piece:
        try:
            piece = piece[os.write(descriptor, piece) :]
        except BlockingIOError:  # somebody else who has it made it so
            poll = _new_poll()
            poll.register(descriptor, _WRITABLE)
            poll.poll()
        except OSError:
            return False
    return True

"""A thread of the system that writes lines to a descriptor whose reader may be slow, or gone; it blocks as it likes.

Each write is of whole lines and at most PIPE_BUF bytes, which POSIX never mixes with those of others, so lines have to
be shorter. Not by making the descriptor non-blocking: it would be so for every process that has it. What gevent may
have patched is taken as it was; a process that has no gevent needs none.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol

MOST = 4096
"""Bytes of a line with its end, and of what is written to a pipe at once."""
_MOST_OF_A_FILE = 64 * 1024
_WRITABLE = 4  # select.POLLOUT, which gevent's select doesn't name on every system

Batch = list[bytes]


def original(module: str, name: str) -> Any:  # noqa: ANN401 - whatever it is there
    """What a module of the standard library had before it was patched, if it was."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original(module, name) if monkey else vars(import_module(module))[name]


# Those of the system: the thread knows no greenlets.
_new_queue, _start_thread, _new_poll = (
    original("queue", "SimpleQueue"),
    original("_thread", "start_new_thread"),
    original("select", "poll"),
)


class _Queue(Protocol):
    def put(self, item: Batch) -> None: ...
    def get(self) -> Batch: ...


class Pen:
    """The thread. It alone counts here, so that nothing is counted twice or not at all; after each batch it `rests`."""

    def __init__(self, descriptor: int, rests: Callable[[], None] = lambda: None) -> None:
        self._descriptor = descriptor
        self._rests = rests
        self._batches: _Queue | None = None
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

    def _run(self, batches: _Queue) -> None:
        most = self._most()
        while True:
            for piece, lines in packed(batches.get(), most):
                self.flows = _write(self._descriptor, piece)
                if not self.flows:
                    self.failed += lines
                self.done += len(piece)
            self._rests()

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

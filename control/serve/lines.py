"""Lines on their way to a descriptor that nobody may be reading: whoever has something to say never waits for that.

A thread writes them, blocking as it likes; where too many bytes wait already a line is left out and counted, and one
that says so stands where they are missing. Each is given to the system in one piece, and up to PIPE_BUF bytes POSIX
mixes none with what other processes write there. A forked process goes on with a thread of its own.
"""

import os
import select
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

HELD = 256 * 1024
"""Bytes that wait at most."""
_LOOK = 0.002


class Lines:
    """Lines to one descriptor, which stays open. `lost` makes a line of how many are missing."""

    def __init__(self, descriptor: int, lost: Callable[[int], bytes], most: int = HELD) -> None:
        self._descriptor = descriptor
        self._lost = lost
        self._most = most
        self.dropped = 0
        """Lines that found no room, or could not be written."""
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    @property
    def held(self) -> int:
        """Bytes that are not written yet."""
        return self._given - self._done

    def write(self, line: bytes) -> None:
        """Take a line with its end; never waits."""
        with self._lock:
            if self.held + len(line) > self._most:
                self.dropped += 1
            else:
                self._say_lost()
                self._add(line)

    def settle(self, seconds: float) -> bool:
        """Wait until all is written, for so long at most; whether it is."""
        deadline = time.monotonic() + seconds
        with self._lock:
            self._say_lost()
        while self.held and time.monotonic() < deadline:
            time.sleep(_LOOK)
        return not self.held

    def _begin(self) -> None:
        """What another process has taken it writes itself; its thread isn't ours."""
        # Reentrant, as what is collected as garbage meanwhile may have something to say.
        self._lock = threading.RLock()
        self._waiting: SimpleQueue[bytes] | None = None
        self._given = self._done = 0
        self._said = self.dropped
        self._flows = True

    def _say_lost(self) -> None:
        """Into a pipe that nobody reads any more it is never said."""
        if self._said < self.dropped and self._flows:
            line = self._lost(self.dropped - self._said)
            self._said = self.dropped
            self._add(line)

    def _add(self, line: bytes) -> None:
        self._given += len(line)
        if self._waiting is None:
            self._waiting = SimpleQueue()
            threading.Thread(target=self._run, args=(self._waiting,), daemon=True, name="log").start()
        self._waiting.put(line)

    def _run(self, waiting: "SimpleQueue[bytes]") -> None:
        while True:
            line = waiting.get()
            flows = _write(self._descriptor, line)
            with self._lock:
                self._flows = flows
                self._done += len(line)
                self.dropped += not flows
                if not self.held:
                    self._say_lost()


def _write(descriptor: int, line: bytes) -> bool:
    """Write all of it, however long that takes; False where it can't be."""
    while line:
        try:
            line = line[os.write(descriptor, line) :]
        except BlockingIOError:  # somebody else who has it made it so
            select.select((), (descriptor,), ())
        except OSError:
            return False
    return True

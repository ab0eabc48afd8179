"""A network of a test's own: only its loopback is there at first, and what is made in it no other program is told of.

A browser gives up what it loads when the machine's networks change, so bridges and cables are made in here. A thread
enters it (setns(2)) with all that it starts meanwhile, threads and programs, and leaves it again. Needs root.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.peers_program import require

_CURRENT = "/proc/thread-self/ns/net"
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Two open namespaces: this one, and the one it was made from."""

    own: int
    outer: int

    @property
    def outside(self) -> Path:
        """The file of the network from which this one was made, for as long as this one is there."""
        return Path(f"/proc/{os.getpid()}/fd/{self.outer}")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread, and what it starts, in this network until the block ends."""
        with _opened() as before:
            _enter(self.own)
            try:
                yield
            finally:
                _enter(before)


@contextmanager
def new_network() -> Iterator[Network]:
    """Make one; what still runs there when the block ends keeps it."""
    with _opened() as outer:
        _check(_LIBC.unshare(_CLONE_NEWNET))
        try:
            subprocess.run([require("ip", "iproute2"), "link", "set", "lo", "up"], check=True)
            # Or each end of a cable would get an address by itself, a moment after it was made.
            Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
            own = os.open(_CURRENT, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _enter(outer)
        try:
            yield Network(own=own, outer=outer)
        finally:
            os.close(own)


@contextmanager
def _opened() -> Iterator[int]:
    """The network that this thread is in."""
    found = os.open(_CURRENT, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield found
    finally:
        os.close(found)


def _enter(namespace: int) -> None:
    _check(_LIBC.setns(namespace, _CLONE_NEWNET))


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

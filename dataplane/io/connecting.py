"""A connected socket to one of several addresses: the next one is tried when one fails, or is not there soon.

RFC 8305 in spirit: an address that drops what it is sent (a dead IPv6, as a rule) costs a quarter of a second and not
all of the time there is. Sockets are the operating system's, non-blocking.
"""

import errno
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gevent
from gevent import get_hub
from gevent.event import Event
from gevent.monkey import get_original

from dataplane.io.stream import WRITE, give_way

_STAGGER = 0.25
"""Seconds until the next address is tried as well (RFC 8305 section 5)."""
_RETRY = 0.005
_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK}
_RawSocket: Any = get_original("socket", "socket")
_getaddrinfo: Any = get_original("socket", "getaddrinfo")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a socket connects to."""

    family: int
    address: Any
    host: str = ""
    """As it was given."""


def find_numeric(host: str, port: int) -> Endpoint | None:
    """The endpoint of an address as text; None where it is a name."""
    try:
        found = _getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        return None
    family, _, _, _, address = found[0]
    return Endpoint(family, address, host)


def connect_local(path: str, timeout: float) -> socket.socket:
    """A connection to a unix socket. Raises OSError, TimeoutError among them."""
    sock: socket.socket = _RawSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _enter_queue(sock, path, time.monotonic() + timeout)
    except BaseException:
        sock.close()
        raise
    return sock


def _enter_queue(sock: socket.socket, path: str, deadline: float) -> None:
    """Such a connect is done at once or not at all: with a full queue there is nothing to wait upon (connect(2))."""
    while (code := sock.connect_ex(path)) == errno.EAGAIN:
        if time.monotonic() >= deadline:
            raise TimeoutError(f"the queue of {path} is full")
        gevent.sleep(_RETRY)
    if code:
        raise OSError(code, os.strerror(code), path)


def connect_first(endpoints: Sequence[Endpoint], timeout: float) -> tuple[socket.socket, Sequence[Endpoint]]:
    """A connection to the first of `endpoints` that takes it, and those that were tried before it in vain.

    Raises what the last one failed with, or TimeoutError.
    """
    race = _Race()
    try:
        return race.run(endpoints, timeout)
    finally:
        race.close()


def is_own(sock: socket.socket) -> bool:
    """Whether a socket is connected to itself.

    That happens on one machine, where nobody listens and the port that we are given is the one that we connect to.
    """
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:  # over already, as reading it will show
        return False


class _Race:
    """What is being tried."""

    def __init__(self) -> None:
        self._open: dict[Endpoint, tuple[socket.socket, Callable[[], object]]] = {}
        self._ready: deque[Endpoint] = deque()
        self._awake = Event()
        self._error: OSError | None = None

    def run(self, endpoints: Sequence[Endpoint], timeout: float) -> tuple[socket.socket, Sequence[Endpoint]]:
        deadline = time.monotonic() + timeout
        for tried, endpoint in enumerate(endpoints):
            self._start(endpoint)
            is_last = tried + 1 == len(endpoints)
            until = deadline if is_last else min(deadline, time.monotonic() + _STAGGER)
            won = self._find_winner(until, patient=is_last)
            if won is not None:
                sock, close = self._open.pop(won)
                close()
                return sock, [each for each in endpoints[: tried + 1] if each != won]
        raise self._error if self._error is not None and not self._open else TimeoutError("no connection in time")

    def _start(self, endpoint: Endpoint) -> None:
        sock: socket.socket = _RawSocket(endpoint.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            code = sock.connect_ex(endpoint.address)
        except OSError as error:
            sock.close()
            self._error = error
            return
        watcher = get_hub().loop.io(sock.fileno(), WRITE)
        self._open[endpoint] = (sock, watcher.close)
        if code in _UNDER_WAY:
            watcher.start(self._mark, endpoint, watcher.stop)
        elif code:
            self._drop(endpoint, code)
        else:
            self._ready.append(endpoint)

    def _mark(self, endpoint: Endpoint, stop: Callable[[], object]) -> None:
        stop()
        self._ready.append(endpoint)
        self._awake.set()

    def _find_winner(self, until: float, *, patient: bool) -> Endpoint | None:
        """None when it is time for the next one: after a failure at once, for who is `patient` when all have failed."""
        while self._open:
            while self._ready:
                endpoint = self._ready.popleft()
                sock = self._open[endpoint][0]
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code and is_own(sock):
                    code = errno.ECONNREFUSED
                if not code:
                    return endpoint
                self._drop(endpoint, code)
                if not patient:
                    return None
            if not self._open or not self._wait(until):
                return None
        return None

    def _wait(self, until: float) -> bool:
        self._awake.clear()
        if not self._awake.wait(max(0.0, until - time.monotonic())):
            give_way()  # who was held up for so long has not looked yet
        return self._awake.is_set()

    def _drop(self, endpoint: Endpoint, code: int) -> None:
        sock, close = self._open.pop(endpoint)
        close()
        sock.close()
        self._error = _os_error(code, endpoint)

    def close(self) -> None:
        for sock, close in self._open.values():
            close()
            sock.close()


def _os_error(code: int, endpoint: Endpoint) -> OSError:
    """Of the fitting class, as OSError makes them: ConnectionRefusedError and others."""
    return OSError(code, f"{os.strerror(code)} ({endpoint.host})")

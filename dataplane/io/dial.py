"""The way out: a connection to an upstream over TCP or a unix socket, plain or in TLS, with a deadline on each step.

It is read by the same technique as those that were accepted (`stream`). A deadline costs a comparison: one timer a
connection looks whether it has passed, and is set anew only where it would look too late.
"""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from gevent import get_hub

from dataplane.io.connecting import connect_first, connect_local, find_numeric
from dataplane.io.keepalive import keep_asking
from dataplane.io.resolve import RESOLVER, Resolver
from dataplane.io.stream import Expired, SocketStream
from dataplane.io.tls import TlsStream
from dataplane.io.tls_client import ClientTls, Resumption

_NEVER = float("inf")
_READ_SIZE = 120 * 1024
"""Answers are larger than requests; what malloc takes from the heap and doesn't map anew each time (128 KiB)."""
_LATE = "late"


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpAddress:
    """A host by name or address, and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixAddress:
    """A socket in the file system."""

    path: str


Address = TcpAddress | UnixAddress


class Upstream:
    """A connection we made. Reads and writes raise OSError, TimeoutError and ssl.SSLError among them.

    TLS that ends without its goodbye is an error too, ConnectionAbortedError, and no end.
    """

    __slots__ = (
        "_below",
        "_closed",
        "_deadline",
        "_due",
        "_hear",
        "_heard",
        "_notice",
        "_resumption",
        "_stop_timer",
        "_stream",
        "_tls",
        "born",
        "rested",
    )

    def __init__(self, sock: socket.socket) -> None:
        self.born = self.rested = time.monotonic()
        """When it was made, and when it was last laid to rest."""
        self._below = SocketStream(sock, _NEVER, read_size=_READ_SIZE)
        self._below.until(_NEVER, _LATE)
        self._stream: SocketStream | TlsStream = self._below
        self._tls: TlsStream | None = None
        self._resumption: Resumption | None = None
        self._deadline = _NEVER
        self._due = _NEVER
        self._stop_timer: Callable[[], object] = _nothing
        self._notice: Callable[[Upstream], object] = _nothing
        self._hear: Callable[[bool], object] = self._on_readable
        self._heard = False
        self._closed = False

    def read(self, timeout: float | None) -> bytes:
        """The next bytes; empty at the end. None waits for ever."""
        self._wait_until(timeout)
        try:
            return self._stream.read()
        except Expired as expired:
            raise _translated(expired) from expired

    def write(self, data: bytes, timeout: float) -> None:
        """Send all of `data`; `timeout` counts while nothing moves."""
        self._below.write_timeout = timeout
        try:
            self._stream.write(data)
        except Expired as expired:
            raise TimeoutError("the upstream takes nothing") from expired

    def secure(self, tls: ClientTls, timeout: float) -> None:
        """Begin TLS. Raises ssl.SSLError, TimeoutError."""
        self._resumption = tls.resumption
        self._tls = self._stream = TlsStream(self._below, tls.context, tls.server_name, tls.resumption.find())
        self._below.write_timeout = timeout
        self._wait_until(timeout)
        try:
            self._tls.handshake()
        except Expired as expired:
            raise TimeoutError("no TLS handshake in time") from expired
        except ConnectionError as error:
            raise ssl.SSLError(ssl.SSL_ERROR_SYSCALL, "the connection was broken off in the TLS handshake") from error

    def rest(self, notice: "Callable[[Upstream], object]") -> None:
        """Nothing is asked for now: `notice` is called in the hub when the upstream ends or says something."""
        if self._tls is not None and self._resumption is not None:
            self._resumption.keep(self._tls)
            self._resumption = None
        self.rested = time.monotonic()
        self._deadline = _NEVER
        self._notice = notice
        self._below.rest(self._hear)

    def stir(self) -> None:
        """The end of a rest."""
        self._below.stir()

    def is_stale(self) -> bool:
        """Whether a connection on which nothing is asked has ended, or said something: it is of no use any more."""
        if self._heard or self._closed:
            return True
        return not (self._tls.hears_nothing() if self._tls is not None else self._below.is_silent)

    def interrupt(self) -> None:
        """Wake a waiting reader; it gets ConnectionAbortedError."""
        self._below.interrupt("interrupted")

    def half_close(self) -> None:
        """Say that nothing more comes."""
        try:
            self._stream.half_close()
        except (OSError, Expired):
            return

    def abort(self) -> None:
        """Close so that the upstream sees a reset, and takes nothing for whole."""
        if not self._closed:
            self._below.abort()
            self.close()

    def close(self) -> None:
        """Close both ways; whoever waits here gets ConnectionAbortedError."""
        if not self._closed:
            self._closed = True
            self._stop_timer()
            if self._tls is not None and not self._below.aborted:
                self._tls.take_leave()
            self._below.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_readable(self, is_readable: bool) -> None:
        if not is_readable:  # closed in its rest
            return
        if self._tls is not None and self._tls.hears_nothing():
            self._below.rest(self._hear)
            return
        self._heard = True
        self._notice(self)

    def _wait_until(self, timeout: float | None) -> None:
        if timeout is None:
            self._deadline = _NEVER
            return
        self._deadline = deadline = time.monotonic() + timeout
        if deadline < self._due:
            self._look_in(timeout, deadline)

    def _look_in(self, seconds: float, due: float) -> None:
        self._stop_timer()
        timer = get_hub().loop.timer(seconds)
        timer.start(self._look)
        self._due, self._stop_timer = due, timer.close

    def _look(self) -> None:
        """Called in the hub: wake a reader who is late, or look again when the one that reads now would be."""
        self._stop_timer()
        self._due, self._stop_timer = _NEVER, _nothing
        left = self._deadline - time.monotonic()
        if left <= 0:
            self._below.wake()
        elif left < _NEVER:
            self._look_in(left, self._deadline)


def dial(address: Address, timeout: float, tls: ClientTls | None = None, resolver: Resolver = RESOLVER) -> Upstream:
    """Connect, and shake hands if need be, within `timeout` seconds.

    Raises TimeoutError for what is late, ssl.SSLError for TLS, and OSError for all else.
    """
    started = time.monotonic()
    upstream = Upstream(_connect(address, timeout, resolver))
    if tls is not None:
        try:
            upstream.secure(tls, started + timeout - time.monotonic())
        except BaseException:
            upstream.close()
            raise
    return upstream


def _connect(address: Address, timeout: float, resolver: Resolver) -> socket.socket:
    match address:
        case UnixAddress(path=path):
            return connect_local(path, timeout)
        case TcpAddress(host=host, port=port):
            sock = _connect_tcp(host, port, timeout, resolver)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keep_asking(sock)
            return sock


def _connect_tcp(host: str, port: int, timeout: float, resolver: Resolver) -> socket.socket:
    endpoint = find_numeric(host, port)
    if endpoint is not None:
        return connect_first((endpoint,), timeout)[0]
    started = time.monotonic()
    addresses = resolver.get_addresses(host, timeout)
    endpoints = [endpoint for address in addresses if (endpoint := find_numeric(address, port)) is not None]
    if not endpoints:
        raise OSError(f"{host} has no address that can be used")
    sock, in_vain = connect_first(endpoints, started + timeout - time.monotonic())
    for loser in in_vain:
        resolver.shun(host, loser.host)
    return sock


def _translated(expired: Expired) -> OSError:
    if expired.limit == _LATE:
        return TimeoutError("the upstream says nothing")
    return ConnectionAbortedError(expired.limit)


def _nothing(*_: object) -> None:
    """Where nothing is to be done."""

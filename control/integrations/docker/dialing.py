"""Connections to an engine, and HTTP over whatever carries them: a local socket, TCP, TLS, or a channel of SSH.

A dialer opens connections and can cut all that it has open from another thread: that is what ends a call that takes too
long, however the engine trickles its answer. Nothing here knows what is asked.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Protocol
from weakref import WeakSet

import paramiko
import requests.adapters
import urllib3
import urllib3.connection

Wire = socket.socket | paramiko.Channel


class Dialer(Protocol):
    """How an engine is reached."""

    @property
    def host(self) -> str:
        """What HTTP calls the engine."""
        ...

    def dial(self, within: float) -> Wire:
        """A new connection, established within that many seconds. Raises OSError or TargetAway."""
        ...

    def cut(self) -> None:
        """End all connections at once; whoever waits on one is told. From any thread."""
        ...

    def words(self) -> str:
        """What the other side said, beside its answers, about why it ended a connection; may be empty."""
        ...

    def close(self) -> None:
        """Give back what connections share."""
        ...


class Sockets:
    """The sockets that a dialer has open."""

    def __init__(self) -> None:
        self._open: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()

    def add(self, wire: socket.socket) -> socket.socket:
        """Remember one."""
        with self._lock:
            self._open.add(wire)
        return wire

    def cut(self) -> None:
        """Shut all of them down. They are closed by who reads them."""
        with self._lock:
            for wire in tuple(self._open):
                with contextlib.suppress(OSError):
                    # Not the method of SSLSocket: that takes the session away from the thread that reads.
                    socket.socket.shutdown(wire, socket.SHUT_RDWR)


class UnixDialer:
    """The engine of this machine, at the path of its socket."""

    # Only what HTTP calls it; docker-py wants a port.
    host = "localhost:2375"

    def __init__(self, path: str) -> None:
        self._path = path
        self._sockets = Sockets()

    def dial(self, within: float) -> Wire:
        """As in Dialer."""
        wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            wire.settimeout(within)
            wire.connect(self._path)
        except OSError as error:
            wire.close()
            # What the system says of a socket doesn't tell which.
            raise type(error)(error.errno, error.strerror or str(error), self._path) from error
        return self._sockets.add(wire)

    def cut(self) -> None:
        """As in Dialer."""
        self._sockets.cut()

    def words(self) -> str:
        """As in Dialer."""
        return ""

    def close(self) -> None:
        """As in Dialer."""


class TcpDialer:
    """An engine on the network, with TLS where there is a context for it."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._name, self._port, self._context = host, port, context
        self._sockets = Sockets()

    @property
    def host(self) -> str:
        """As in Dialer."""
        name = f"[{self._name}]" if ":" in self._name else self._name
        return f"{name}:{self._port}"

    def dial(self, within: float) -> Wire:
        """As in Dialer."""
        wire = self._sockets.add(socket.create_connection((self._name, self._port), within))
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is None:
            return wire
        # Not shaken hands with before it can be cut.
        sealed = self._context.wrap_socket(wire, server_hostname=self._name, do_handshake_on_connect=False)
        self._sockets.add(sealed)
        try:
            sealed.do_handshake()
        except OSError:
            sealed.close()
            raise
        return sealed

    def cut(self) -> None:
        """As in Dialer."""
        self._sockets.cut()

    def words(self) -> str:
        """As in Dialer."""
        return ""

    def close(self) -> None:
        """As in Dialer."""


@contextlib.contextmanager
def cutting(dialer: Dialer, seconds: float) -> Iterator[threading.Event]:
    """Cut all connections unless the block ends in time; the event tells whether that happened."""
    was_cut = threading.Event()

    def cut() -> None:
        was_cut.set()
        dialer.cut()

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield was_cut
    finally:
        timer.cancel()


class DialAdapter(requests.adapters.HTTPAdapter):
    """All requests of a session through one dialer, whatever their URL says; no proxy, no certificates of requests'."""

    def __init__(self, dialer: Dialer) -> None:
        super().__init__()
        self._pool = _Pool(dialer)

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,  # noqa: ARG002 - as requests calls it
        verify: bool | str | None,  # noqa: ARG002 - likewise
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002 - likewise
        cert: object = None,  # noqa: ARG002 - likewise
    ) -> urllib3.HTTPConnectionPool:
        """As requests asks for it."""
        return self._pool

    def close(self) -> None:
        """End what is kept open."""
        self._pool.close()
        super().close()


class _Connection(urllib3.connection.HTTPConnection):
    dialer: Dialer

    def connect(self) -> None:
        within = self.timeout if isinstance(self.timeout, int | float) else 0.0
        self.sock = self.dialer.dial(within)  # a channel does as well for what is called

    @property
    def is_connected(self) -> bool:
        # A channel would open a pipe to be waited on.
        if isinstance(self.sock, paramiko.Channel):
            return not self.sock.closed and not self.sock.eof_received
        return super().is_connected


class _Pool(urllib3.HTTPConnectionPool):
    def __init__(self, dialer: Dialer) -> None:
        super().__init__("engine", maxsize=2)
        self._dialer = dialer

    def _new_conn(self) -> urllib3.connection.HTTPConnection:
        connection = _Connection("engine")
        connection.dialer = self._dialer
        return connection

    def _get_conn(self, timeout: float | None = None) -> urllib3.connection.HTTPConnection:  # noqa: ARG002 - as called
        # urllib3 itself would look at the socket, by a descriptor that a channel makes for it and keeps.
        connection = self.pool.get(block=False) if self.pool is not None and not self.pool.empty() else None
        if connection is not None and not connection.is_connected:
            connection.close()
        return connection or self._new_conn()

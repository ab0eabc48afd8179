"""Drives any sans-I/O session over accepted TCP connections, one greenlet each.

The server knows no protocol: it feeds bytes to a session, hands its events to a handler and writes what comes
back. It owns the limits (connections, time) and counts each time one is hit. It ends gracefully: whoever waits in a
listener's queue is served, and whoever is connected is told to go or sees a clean end, never a reset.
"""

import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import gevent
from gevent import Greenlet, get_hub
from gevent.event import Event as Signal
from gevent.monkey import get_original

from dataplane.io.backlog import Backlog
from dataplane.io.connection import Connection, Handler
from dataplane.io.keepalive import keep_asking
from dataplane.io.limits import Counts, Limits
from dataplane.io.passage import Passage, PassageSettings
from dataplane.io.preamble import find_source
from dataplane.io.stream import READ, Expired, LimitHit, SocketStream, Stream, loop_now
from dataplane.io.tls import TlsStream
from dataplane.sansio import PeerError, Session
from dataplane.sansio.clients import client_of

_log = logging.getLogger("dataplane.io")
_SCARCE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_AGAIN = 0.1
"""Seconds before accept is tried again that failed."""
_SILENCE = 60.0
"""Seconds between two log lines about the same trouble."""
_DRAIN_TICK = 0.05
"""Seconds between two looks at the deadlines in a drain."""
_RawSocket = get_original("socket", "socket")

Conversation = Callable[[Connection[Any]], tuple[Session[Any, Any], Handler[Any]]]


class Keeper(Protocol):
    """Who has something to do when a conversation is over."""

    def farewell(self, connection: Connection[Any]) -> bytes:
        """The last words to a peer that has done nothing wrong; empty for none."""
        ...

    def closed(self, connection: Connection[Any]) -> None:
        """The connection is about to be closed, whatever has ended it."""
        ...


class TcpServer:
    """Accepts on listeners it was given and runs `open_conversation` for each connection.

    With a `passage`, TLS connections for its server name are not ours: they are passed on as they are. Who `relays` may
    say in the PROXY protocol whose connection it is. The `keeper` is told of each end.
    """

    def __init__(
        self,
        open_conversation: Conversation,
        limits: Limits,
        passage: PassageSettings | None = None,
        *,
        relays: Callable[[str], bool] | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self._open = open_conversation
        self._relays = relays
        self._keeper = keeper
        self.limits = limits
        self.counts = Counts()
        self._backlog = Backlog(limits.unsent)
        self.draining = False
        self._passage = Passage(passage) if passage is not None else None
        self._live: dict[Connection[Any], tuple[SocketStream, Greenlet[..., None]]] = {}
        self._per_peer: Counter[str] = Counter()
        self._listeners: list[tuple[socket.socket, Callable[[], ssl.SSLContext] | None]] = []
        self._acceptors: list[Greenlet[..., None]] = []
        self._empty = Signal()
        self._silent_until: dict[str, float] = {}
        self.now: Callable[[], float] = get_hub().loop.now
        """The event loop's clock."""
        self._ticker = get_hub().loop.timer(limits.tick, limits.tick)

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._live)

    @property
    def passing(self) -> int:
        """How many of them pass."""
        return len(self._passage) if self._passage is not None else 0

    def serve(self, listener: socket.socket, tls: Callable[[], ssl.SSLContext] | None = None) -> None:
        """Accept on `listener` from now on; `tls` gives the context of each new connection."""
        listener.setblocking(False)
        keep_asking(listener)
        if not self._acceptors:
            self._ticker.start(self._tick)
        self._listeners.append((listener, tls))
        self._acceptors.append(gevent.spawn(self._accept_all, listener, tls))

    def drain(self, seconds: float) -> None:
        """Accept who waits and close the listeners; let all finish what they ask, and cut it after `seconds`."""
        self.draining = True
        started = self.now()
        if self._passage is not None:
            self._passage.cut()
        for connection, (stream, _) in list(self._live.items()):
            if connection.idle and not connection.busy:
                stream.until(min(started, connection.since) + self.limits.parting, "drain")
        self._ticker.stop()
        self._ticker = get_hub().loop.timer(_DRAIN_TICK, _DRAIN_TICK)
        self._ticker.start(self._tick)
        gevent.sleep(min(self.limits.settle, seconds))
        self._close_listeners()
        self._empty.clear()
        if self._live and not self._empty.wait(max(0.0, started + seconds - self.now())):
            self.counts.limits["drain_timeout"] += len(self._live)
            gevent.killall([greenlet for _, greenlet in self._live.values()])
        self._ticker.stop()

    def _close_listeners(self) -> None:
        """A listener that is closed resets who waits in its queue: nobody does, for nothing else runs meanwhile."""
        gevent.killall(self._acceptors)
        for listener, tls in self._listeners:
            try:
                while self._accept_waiting(listener, tls):
                    continue
            except Exception as error:  # noqa: BLE001  # whatever it is, the others are to be served
                self._report(error)
            listener.close()
        self._listeners.clear()

    def _accept_all(self, listener: socket.socket, tls: Callable[[], ssl.SSLContext] | None) -> None:
        hub = get_hub()
        watcher = hub.loop.io(listener.fileno(), READ)
        try:
            while True:
                hub.wait(watcher)
                try:
                    self._accept_waiting(listener, tls)
                except Exception as error:  # noqa: BLE001  # a listener that nobody accepts on would look healthy
                    self._report(error)
                    gevent.sleep(_AGAIN)
        finally:
            watcher.stop()
            watcher.close()

    def _accept_waiting(self, listener: socket.socket, tls: Callable[[], ssl.SSLContext] | None) -> bool:
        """Accept some; whether there may be more."""
        for _ in range(64):  # then let others run
            try:
                # The system's own accept: gevent's would wait, and wrap the socket in another loop's machinery.
                descriptor, address = _accept(listener)
            except BlockingIOError:
                return False
            except ConnectionAbortedError:
                return True
            self._admit(_RawSocket(listener.family, listener.type, listener.proto, descriptor), address, tls)
        return True

    def _report(self, error: Exception) -> None:
        """Count what stopped an accept; accept(2) also hands on errors of the network that concern one peer only."""
        scarce = isinstance(error, OSError) and error.errno in _SCARCE
        limit = "descriptors" if scarce else "accept_error"
        self.counts.limits[limit] += 1
        if loop_now() >= self._silent_until.get(limit, 0.0):
            self._silent_until[limit] = loop_now() + _SILENCE
            _log.error("connections can't be accepted", exc_info=error, extra={"limit": limit})

    def _admit(self, sock: socket.socket, address: object, tls: Callable[[], ssl.SSLContext] | None) -> None:
        peer = peer_name(address)
        self.counts.accepted += 1
        limit = self._find_connection_limit(peer)
        if limit is not None:
            self.counts.limits[limit] += 1
            sock.close()
            return
        try:
            connection, stream, secured = self._connection(sock, peer, tls)
        except BaseException:
            sock.close()
            raise
        self._per_peer[client_of(peer)] += 1
        greenlet = Greenlet(self._run, connection, stream, secured)
        self._live[connection] = (stream, greenlet)
        greenlet.start()

    def _connection(
        self, sock: socket.socket, peer: str, tls: Callable[[], ssl.SSLContext] | None
    ) -> tuple[Connection[Any], SocketStream, Stream]:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = tls() if tls is not None else None
        stream = SocketStream(sock, self.limits.write, self._backlog)
        secured = TlsStream(stream, context) if context is not None else stream
        return Connection(secured, peer, secure=context is not None, server=self), stream, secured

    def _find_connection_limit(self, peer: str) -> str | None:
        if len(self._live) >= self.limits.connections:
            return "connections"
        if self._per_peer[client_of(peer)] >= self.limits.connections_per_peer:
            return "connections_per_peer"
        return None

    def _run(self, connection: Connection[Any], stream: SocketStream, secured: Stream) -> None:
        try:
            self._carry(connection, stream, secured)
        except LimitHit as hit:
            if hit.limit != "drain":
                self.counts.limits[hit.limit] += 1
            if hit.limit in {"write_timeout", "unsent"}:
                stream.abort()
        except gevent.GreenletExit:  # the end of a drain: half an answer must not look whole
            if not connection.idle:
                stream.abort()
        except OSError as error:  # reset, broken pipe, failed handshake: the peer's doing, and its loss
            _log.debug("connection of %s ended: %s", connection.peer, error)
        except Exception:  # noqa: BLE001  # a bug of ours, whatever it is; half an answer must not look whole
            self.counts.limits["internal_error"] += 1
            _log.exception("a connection broke: a bug", extra={"peer": connection.peer})
            stream.abort()
        finally:
            stream.close()
            self._forget(connection)

    def _carry(self, connection: Connection[Any], stream: SocketStream, secured: Stream) -> None:
        """From the first byte to the last. Raises LimitHit and OSError."""
        self._introduce(connection, stream)
        if isinstance(secured, TlsStream):
            deadline = loop_now() + (self.limits.parting if self.draining else self.limits.handshake)
            if self._passage is not None and self._passage.take(stream, secured, connection.peer):
                self._linger(stream)
                return
            stream.until(deadline, "handshake_timeout")
            secured.handshake()
        self._converse(connection)
        if not stream.aborted:  # no last word is left to be read, and TLS must not say that all was well
            self._linger(connection.stream)

    def _converse(self, connection: Connection[Any]) -> None:
        session, handler = self._open(connection)
        try:
            connection.converse(session, handler)
            if self._keeper is not None and (words := self._keeper.farewell(connection)):
                connection.send(words)
        except PeerError as error:
            connection.send(handler.refuse(error, connection))
        finally:
            if self._keeper is not None:
                self._keeper.closed(connection)

    def _introduce(self, connection: Connection[Any], stream: SocketStream) -> None:
        """Count the connection as its client's, where its peer is believed. Raises LimitHit and OSError."""
        if self._relays is None or not self._relays(connection.peer):
            return
        patience = self.limits.parting if self.draining else self.limits.first or self.limits.handshake
        stream.until(loop_now() + patience, "proxy_header_timeout")
        try:
            source = find_source(stream)
        except PeerError as error:
            raise LimitHit("proxy_header", error.reason) from error
        if source is None:
            return
        if self._per_peer[client_of(source)] >= self.limits.connections_per_peer:
            raise LimitHit("connections_per_peer")
        self._leave_peer(connection.peer)
        self._per_peer[client_of(source)] += 1
        connection.peer = source

    def _linger(self, stream: Stream) -> None:
        """Closing with bytes unread resets the connection, which may take our last answer with it (RFC 9112 9.6)."""
        stream.half_close()
        stream.until(loop_now() + self.limits.linger, "")
        try:
            while stream.read():
                continue
        except (Expired, OSError, gevent.GreenletExit):
            return

    def _forget(self, connection: Connection[Any]) -> None:
        del self._live[connection]
        self._leave_peer(connection.peer)
        if not self._live:
            self._empty.set()

    def _leave_peer(self, peer: str) -> None:
        client = client_of(peer)
        self._per_peer[client] -= 1
        if not self._per_peer[client]:
            del self._per_peer[client]

    def _tick(self) -> None:
        now = loop_now()
        for stream, _ in list(self._live.values()):
            stream.expire(now)


def peer_name(address: object) -> str:
    """An address as accept gives it, as text: IPv4-mapped IPv6 as IPv4, a unix socket's as "unix"."""
    if not isinstance(address, tuple):
        return "unix"
    host: str = address[0]
    return host.removeprefix("::ffff:") if "." in host else host


def _accept(listener: socket.socket) -> tuple[int, Any]:
    raw: Any = getattr(listener, "_sock", listener)  # inside gevent's socket lies the system's
    descriptor, address = raw._accept()
    return descriptor, address

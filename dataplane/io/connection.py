"""A connection as its protocol's handler sees it, and the loop that feeds the one and asks the other.

One greenlet reads and handles; others may send, each whole pieces, and end the connection. TLS may begin in the middle
of it.
"""

import ssl
from typing import Any, Generic, Protocol, TypeVar

from dataplane.io.limits import Counts, Limits
from dataplane.io.stream import Expired, SocketStream, Stream, give_way, loop_now
from dataplane.io.tls import TlsStream
from dataplane.sansio import PeerError, Session

_TURN = 16
"""Events of one connection that are handled in a row."""

E = TypeVar("E")
Event_contra = TypeVar("Event_contra", contravariant=True)


class Handler(Protocol[Event_contra]):
    """What answers a session's events."""

    def handle(self, event: Event_contra, connection: "Connection[Any]") -> bytes:
        """Bytes to send; empty for none. May call `connection` to read or send in between."""
        ...

    def refuse(self, error: PeerError, connection: "Connection[Any]") -> bytes:
        """The last words to a peer that broke the protocol."""
        ...


class Host(Protocol):
    """What a connection belongs to."""

    limits: Limits
    counts: Counts
    draining: bool

    def now(self) -> float:
        """The event loop's clock."""
        ...


class Connection(Generic[E]):
    """A connection as its handler sees it."""

    __slots__ = (
        "_limits",
        "_next",
        "_session",
        "busy",
        "finished",
        "idle",
        "patience",
        "peer",
        "secure",
        "server",
        "since",
        "stream",
    )

    def __init__(self, stream: Stream, peer: str, *, secure: bool, server: Host) -> None:
        self.stream = stream
        self._limits = server.limits
        self._session: Session[E, Any] | None = None
        self._next: ssl.SSLContext | None = None
        self.peer = peer
        """The address, without a port; IPv4 in its own form also on dual-stack listeners."""
        self.secure = secure
        self.server = server
        self.finished = False
        self.idle = True
        self.since = float("inf")
        """When the last message was done with, by the loop's clock."""
        self.patience = server.limits.idle
        """Seconds between messages."""
        self.busy = 0
        """How much is still being answered beside the conversation; meanwhile silence is no idleness."""

    def send(self, data: bytes) -> None:
        """Write now, waiting for a slow reader; what other greenlets write comes before or after, never between."""
        self.stream.write(data)

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not taken yet."""
        return self.stream.unsent

    def settle(self) -> None:
        """Wait until the peer has taken all."""
        self.stream.settle()

    def finish(self) -> None:
        """Close once the answer at hand is written."""
        self.finished = True

    def end(self) -> None:
        """Close now, as another greenlet finds: as soon as what is being answered is."""
        self.finished = True
        self.stream.interrupt("ended")

    def begin(self) -> None:
        """Something is answered beside the conversation."""
        self.busy += 1

    def done(self) -> None:
        """It is answered."""
        self.busy -= 1
        if self.idle and not self.busy:
            self._rest()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS once the answer at hand is written. Nobody else may be about to send anything."""
        self._next = context
        self.finished = True

    def read(self, timeout: float | None = None, limit: str = "read_timeout") -> bytes:
        """Raw bytes, for what comes after an upgrade; `timeout` defaults to the read limit, `limit` names it."""
        self.stream.until(loop_now() + (self._limits.read if timeout is None else timeout), limit)
        return self.stream.read()

    def interrupt(self) -> None:
        """Wake a greenlet that reads here; it gets Expired."""
        self.stream.interrupt("interrupted")

    def abort(self) -> None:
        """Break the connection so that the peer can't take a part for the whole."""
        self.stream.abort()

    def find_next_event(self, timeout: float | None = None, limit: str = "read_timeout") -> E | None:
        """The session's next event, reading as needed; None when the peer has closed. Raises PeerError, Expired.

        `timeout` is for the whole event: bytes that amount to none of it (the frame of a chunk) win no time.
        """
        session = self._session
        assert session is not None  # noqa: S101  # bound before any handler runs
        deadline = loop_now() + (self._limits.read if timeout is None else timeout)
        while True:
            for event in session.events():
                return event
            self.stream.until(deadline, limit)
            data = self.stream.read()
            session.receive(data)
            if not data:
                return next(iter(session.events()), None)

    def converse(self, session: Session[E, Any], handler: Handler[E]) -> None:
        """Feed, handle and write until either side has had enough."""
        self._session = session
        self._talk(session, handler)
        while self._next is not None:
            self._secure(self._next)
            self._talk(session, handler)

    def _talk(self, session: Session[E, Any], handler: Handler[E]) -> None:
        stream, limits = self.stream, self._limits
        receive, events, handle, write = session.receive, session.events, handler.handle, stream.write
        now = self.server.now
        stream.until(now() + self._first(), "message_timeout" if limits.first is None else "idle_timeout")
        while (data := self._maybe_read(stream)) is not None:
            receive(data)
            complete = False
            for handled, event in enumerate(events(), 1):
                complete = True
                self.idle = False
                if not handled % _TURN:  # a pipeline that the kernel takes at once would never let others run
                    give_way()
                answer = handle(event, self)
                if answer:
                    write(answer)
                if self.finished:
                    return
            if not data or (complete and self.server.draining and not self.busy):
                return
            if complete:
                self.idle = True
                self.since = since = now()
                stream.until(since + self.patience, "idle_timeout")
            elif self.idle:  # the deadline counts from a message's first byte, however slowly the rest trickles in
                self.idle = False
                stream.until(now() + limits.message, "message_timeout")

    def _first(self) -> float:
        limits = self._limits
        if self.server.draining:
            return limits.parting
        return limits.message if limits.first is None else limits.first

    def _rest(self) -> None:
        self.since = now = self.server.now()
        if self.server.draining:
            self.stream.until(now, "drain")
        else:
            self.stream.until(now + self.patience, "idle_timeout")

    def _secure(self, context: ssl.SSLContext) -> None:
        """Shake hands. Raises Expired and OSError."""
        below = self.stream
        assert isinstance(below, SocketStream)  # noqa: S101  # there is no TLS within TLS
        self._next, self.finished = None, False
        secured = TlsStream(below, context)
        below.until(loop_now() + self._limits.handshake, "handshake_timeout")
        secured.handshake()
        self.stream, self.secure = secured, True

    def _maybe_read(self, stream: Stream) -> bytes | None:
        """What comes next, empty for the end; None where somebody else has ended the connection."""
        while not self._is_over():
            try:
                return stream.read()
            except Expired as expired:
                if self._is_over():
                    break
                if not self.idle:
                    raise
                if not self.busy:
                    return self._last_look(expired)
                stream.until(self.server.now() + self.patience, "idle_timeout")
        return None

    def _is_over(self) -> bool:
        """Asked anew each time: other greenlets end connections too."""
        return self.finished

    def _last_look(self, expired: Expired) -> bytes:
        """Between two messages: what has come in this very moment, empty for the end."""
        data = self.stream.take()
        if not data and expired.limit != "drain":
            self.server.counts.limits[expired.limit] += 1
        return data

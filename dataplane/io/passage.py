"""Passes TLS for one server name on to another listener, untouched, so that a site may open one port only.

Whom a connection is for shows in its ClientHello. TLS stays end to end: neither key nor plain text is seen here, and
who may enter is decided over there: in a few seconds, so that whoever stays longer is no stranger. What was read to
find out goes on to whoever serves the connection. The two ends ping each other (gRPC after ten seconds of silence), so
one that is silent for much longer is dead.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import gevent
from gevent import Greenlet, get_hub, getcurrent

from dataplane.io.dial import TcpAddress, Upstream, dial
from dataplane.io.places import Places, Room
from dataplane.io.stream import Expired, LimitHit, SocketStream, give_way, loop_now
from dataplane.io.tls import TlsStream
from dataplane.sansio import PeerError
from dataplane.sansio.clienthello import HelloReader, TooLarge, find_server_name

_log = logging.getLogger("dataplane.io")
_ENDED = "link_ended"
_SILENCE = 60.0
"""Seconds between two log lines about the same limit: strangers can cause them as often as they like."""


Owner: TypeAlias = "Greenlet[..., None]"


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageSettings:
    """Where connections for `server_name` (in lower case) go, and what they may take; times in seconds."""

    server_name: str
    addresses: tuple[TcpAddress, ...]
    """Tried in turn."""
    hello: float = 5.0
    """From accept to the end of the ClientHello, whomever it is for."""
    connect: float = 5.0
    """To each address."""
    proven: float = 6.0
    """After the other listener's first answer: by then it has cut who can't prove itself (it gives them 5 s)."""
    newcomers: int = 1024
    """Open at once that may be anybody's; the client that has most of them makes room for others."""
    connections: int = 2048
    """Open at once that are proven."""
    connections_per_peer: int = 1024
    """Proven and open at once, of one client; who passes TLS on in front of us is one client."""
    write: float = 30.0
    """Without any progress of a write to the other listener; to the client it is the listener's own limit."""
    idle: float = 120.0
    """Without a byte either way."""
    half_closed: float = 10.0
    """From the client's end to that of the other listener; when that one ends, all is over."""


class Passage:
    """The connections that pass. What cuts one is LimitHit, which the caller counts; each kind has its log line."""

    def __init__(self, settings: PassageSettings) -> None:
        self._settings = settings
        self._bytes = settings.server_name.encode()
        self._places = Places[Owner](
            Room(
                newcomers=settings.newcomers,
                settled=settings.connections,
                settled_per_client=settings.connections_per_peer,
            )
        )
        self._silent_until: dict[str, float] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._places)

    def take(self, stream: SocketStream, ours: TlsStream, peer: str) -> bool:
        """Carry a connection to its end, True, or leave it to our own TLS with what has been read of it, False.

        Raises LimitHit and OSError.
        """
        reader = HelloReader()
        try:
            if not self._is_wanted(stream, reader):
                ours.begin_with(reader.taken)
                return False
            with self._place(peer) as owner, self._dial() as upstream:
                self._splice(stream, upstream, reader.taken, owner)
            return True
        except LimitHit as hit:
            self._tell(hit, peer)
            raise

    def cut(self) -> None:
        """For a drain: end all that pass, without waiting, and let no more in. Outposts come back by themselves."""
        self._closed = True
        gevent.killall([*self._places], block=False)

    def _is_wanted(self, stream: SocketStream, reader: HelloReader) -> bool:
        """Whether the client wants the other listener; what makes no sense is left to our own TLS and its alerts."""
        stream.until(loop_now() + self._settings.hello, "client_hello_timeout")
        while True:
            data = stream.read()
            reader.receive(data)
            try:
                hello = reader.maybe_read()
                if hello is not None:
                    return self._is_named(hello)
            except TooLarge as error:
                raise LimitHit("client_hello_size", error.reason) from error
            except PeerError:
                return False
            if not data:
                return False

    def _is_named(self, hello: bytes) -> bool:
        # Most visitors want us, and that shows without taking their ClientHello apart.
        return self._bytes in hello.lower() and find_server_name(hello) == self._settings.server_name

    @contextmanager
    def _place(self, peer: str) -> Iterator[Owner]:
        if self._closed:
            raise LimitHit("drain")
        owner = getcurrent()
        assert isinstance(owner, Greenlet)  # noqa: S101  # the server runs each connection in one
        displaced = self._places.enter(owner, peer)
        if displaced is not None:
            displaced.kill(LimitHit("link_newcomers"), block=False)
        try:
            yield owner
        finally:
            self._places.leave(owner)

    def _dial(self) -> Upstream:
        last = OSError("no address")
        for address in self._settings.addresses:
            try:
                return dial(address, self._settings.connect)
            except OSError as error:
                last = error
        limit = "link_connect_timeout" if isinstance(last, TimeoutError) else "link_unreachable"
        raise LimitHit(limit, str(last)) from last

    def _splice(self, stream: SocketStream, upstream: Upstream, begun: bytes, owner: Owner) -> None:
        """Both ways until both have ended, or the other listener has."""
        back = gevent.spawn(self._pump_back, stream, upstream, owner)
        try:
            self._pump_on(stream, upstream, begun, back)
            upstream.half_close()
            back.join(self._settings.half_closed)
            if not back.ready():
                raise Expired("link_half_closed")
        finally:
            back.kill()

    def _pump_on(self, stream: SocketStream, upstream: Upstream, begun: bytes, back: "Greenlet[..., bool]") -> None:
        """From the client to the other listener, until either has ended."""
        data = begun
        while data:
            self._write(upstream, data)
            if back.value:
                return
            self._awake(stream)
            try:
                data = stream.read()
            except Expired as expired:
                if expired.limit == _ENDED:
                    return
                raise

    def _write(self, upstream: Upstream, data: bytes) -> None:
        try:
            upstream.write(data, self._settings.write)
        except TimeoutError as error:
            raise LimitHit("link_write_timeout") from error

    def _pump_back(self, stream: SocketStream, upstream: Upstream, owner: Owner) -> bool:
        """From the other listener to the client; whether it has ended. What breaks this way breaks the other."""
        settling = get_hub().loop.timer(self._settings.proven)
        answered = False
        try:
            while data := upstream.read(None):
                if not answered:
                    answered = True
                    settling.start(self._places.settle, owner)
                stream.write(data)
                self._awake(stream)
                give_way()  # between two fast ends nothing waits, and nobody else would have a turn
        except (LimitHit, OSError) as error:
            owner.kill(error, block=False)
            return False
        else:
            stream.interrupt(_ENDED)
            return True
        finally:
            settling.stop()
            settling.close()

    def _awake(self, stream: SocketStream) -> None:
        stream.until(loop_now() + self._settings.idle, "link_idle_timeout")

    def _tell(self, hit: LimitHit, peer: str) -> None:
        now = loop_now()
        if hit.limit != "drain" and now >= self._silent_until.get(hit.limit, 0.0):
            self._silent_until[hit.limit] = now + _SILENCE
            fields = {"limit": hit.limit, "reason": hit.reason, "peer": peer, "open": len(self._places)}
            _log.warning("a connection hit a limit of the passage to the link", extra=fields)

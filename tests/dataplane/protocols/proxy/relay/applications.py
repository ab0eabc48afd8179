"""A relay for an application on real sockets: upstreams that play a script, and all that was told of exchanges."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import h11
from gevent import socket as gevent_socket
from gevent import ssl as gevent_ssl

from dataplane.io.connection import Connection
from dataplane.io.dial import TcpAddress
from dataplane.io.limits import Limits
from dataplane.io.pool import PoolLimits, Target, Upstreams
from dataplane.io.tcp import TcpServer
from dataplane.protocols.proxy.messages import Event, Headers, Request, Response, UpstreamHead
from dataplane.protocols.proxy.relay.exchange import End, Failure, Onward, Outcome
from dataplane.protocols.proxy.relay.flow import RelayLimits
from dataplane.protocols.proxy.relay.headers import passing
from dataplane.protocols.proxy.relay.relay import Relay
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.wire import encode_request_head
from dataplane.sansio import PeerError
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.servers import Peer

QUICK = Limits(message=1, read=1, write=2, idle=2, handshake=1, linger=0.1, tick=0.02, settle=0)
PATIENT = RelayLimits(
    dial=1, answer=5, idle=5, stall=5, lag=5, rate=512, gather=0.1, uploads=None, patience=1, reuse=True, ask=0.1,
    left=0.1, parting=0.2, per_client=100,
)  # fmt: skip
STATUS = {Failure.LATE_ANSWER: 504, Failure.CROWDED: 503, Failure.FULL: 503, Failure.CLIENT_SLOW: 408,
          Failure.HANDSHAKE: 400, Failure.REQUEST: 400}  # fmt: skip
GET = b"GET / HTTP/1.1\r\nHost: app\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n"

Play = Callable[[Peer], object]


class Application:
    """What a test sees of it."""

    def __init__(self, relay: Relay, server: TcpServer, port: int) -> None:
        self.relay = relay
        self.server = server
        self.port = port
        self.outcomes: list[Outcome] = []
        self.ends: list[End] = []
        """How to end each exchange, in their order."""
        self.open = 0
        self.addresses: tuple[str, ...] = ()

    def last(self) -> Outcome:
        """How the latest exchange went, once it has."""
        until(lambda: self.outcomes)
        return self.outcomes[-1]


class _Exchange:
    def __init__(self, application: Application, request: Request, client: str) -> None:
        headers = (*passing(request), (b"X-Request-Id", b"1"))
        self.onward = Onward(request.method, encode_request_head(request.method, request.target, headers)[:-2])
        self.client = client
        self._application = application

    def fail(self, failure: Failure, detail: str) -> Response:
        return Response(status=STATUS.get(failure, 502), body=f"{failure}: {detail}".encode())

    def answer(self, head: UpstreamHead) -> Headers:
        return tuple(header for header in head.headers if header[0] != b"X-Dropped")

    def begin(self, end: End) -> None:
        self._application.open += 1
        self._application.ends.append(end)

    def done(self) -> None:
        self._application.open -= 1


class _Handler:
    def __init__(self, application: Callable[[], Application], session: HttpSession) -> None:
        self._application = application
        self._session = session

    def handle(self, event: Event, connection: Connection[Any]) -> bytes:
        if isinstance(event, Request):
            application = self._application()
            exchange = _Exchange(application, event, connection.peer)
            outcome = application.relay.forward(event, self._session, connection, exchange)
            application.outcomes.append(outcome)
        return b""

    def refuse(self, error: PeerError, connection: Connection[Any]) -> bytes:
        connection.finish()
        return self._session.refuse(Response(status=error.code, body=error.reason.encode()))


@contextmanager
def application(
    *plays: Play | None, limits: RelayLimits = PATIENT, connections: int = 100, tls: ssl.SSLContext | None = None
) -> Iterator[Application]:
    """One address for each of `plays`, by which its connections are answered; nobody listens where it is None."""
    listeners = [_listener() for _ in plays]
    ports = [listener.getsockname()[1] for listener in listeners]
    playing: list[gevent.Greenlet[..., None]] = []
    for listener, play in zip(listeners, plays, strict=True):
        if play is None:
            listener.close()
        else:
            playing.append(gevent.spawn(_accept, listener, play, playing))
    targets = [
        Target(text=f"http://127.0.0.1:{port}", address=TcpAddress(host="127.0.0.1", port=port)) for port in ports
    ]
    source = Upstreams(targets, PoolLimits(connections=connections, connect=limits.dial))
    made: list[Application] = []

    def open_(_: Connection[Any]) -> tuple[HttpSession, _Handler]:
        session = HttpSession()
        return session, _Handler(lambda: made[0], session)

    server = TcpServer(open_, QUICK)
    with socket.socket() as front:
        front.bind(("127.0.0.1", 0))
        front.listen(64)
        server.serve(front, (lambda: tls) if tls is not None else None)
        made.append(Application(Relay(source, limits), server, front.getsockname()[1]))
        made[0].addresses = tuple(target.text for target in targets)
        try:
            yield made[0]
        finally:
            server.drain(0.05)
            source.close()
            gevent.killall(playing)
            for listener in listeners:
                listener.close()
    assert made[0].open == 0


def _listener() -> Peer:
    listener = gevent_socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def _accept(listener: Peer, play: Play, playing: "list[gevent.Greenlet[..., None]]") -> None:
    while True:
        peer, _ = listener.accept()
        playing.append(gevent.spawn(_play, peer, play))


def _play(peer: Peer, play: Play) -> None:
    with peer:
        try:
            play(peer)
        except ConnectionError:
            return


def post(length: int, *more: bytes, method: bytes = b"POST") -> bytes:
    """The head of a request with a body of so many bytes."""
    return b"\r\n".join([method + b" / HTTP/1.1", b"Host: app", b"Content-Length: %d" % length, *more, b"", b""])


def read_body(peer: Peer) -> bytes:
    """A request's body, as h11 understands it."""
    server, body = h11.Connection(h11.SERVER), b""
    while not isinstance(event := server.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            server.receive_data(peer.recv(65536))
        elif isinstance(event, h11.Data):
            body += event.data
    return body


def longer(outcomes: list[Outcome], count: int) -> bool:
    """Whether there are more than so many."""
    return len(outcomes) > count


def trusting() -> gevent_ssl.SSLContext:
    """A client's context that takes any certificate."""
    context = gevent_ssl.SSLContext(gevent_ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = gevent_ssl.CERT_NONE
    return context

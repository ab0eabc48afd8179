"""A proxy server on a real socket, and an upstream on a unix socket that plays a script."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import h11
from gevent import socket as gevent_socket

from dataplane.io.limits import Limits
from dataplane.protocols.proxy.relay.flow import RelayLimits
from dataplane.protocols.proxy.server import ProxyServer, ProxySettings
from dataplane.protocols.proxy.told.told import Outlets
from dataplane.sansio.clients import DEFAULT_TRUSTED
from tests.dataplane.protocols.proxy.builders import Clock, Randomness, TableGate

QUICK = Limits(message=1, read=1, write=2, idle=2, handshake=1, linger=0.1, tick=0.02, settle=0)
QUICK_RELAY = RelayLimits(
    stall=0.3, lag=0.3, rate=100_000, spool=1000, uploads=1, ahead=8_000_000, per_client=2, patience=0.1
)
Peer = gevent_socket.socket


@contextmanager
def running(  # noqa: PLR0913  what tests differ in, all but one by name
    control: Path | None = None,
    *,
    tls: bool = False,
    trusted: tuple[str, ...] = DEFAULT_TRUSTED,
    outlets: Outlets | None = None,
    limits: Limits = QUICK,
    relay: RelayLimits = QUICK_RELAY,
) -> Iterator[tuple[ProxyServer, int]]:
    """A server with nothing to serve yet."""
    settings = ProxySettings(
        version="1.0",
        control_socket=str(control) if control else None,
        limits=limits,
        relay=relay,
        trusted_cidrs=trusted,
        outlets=outlets or Outlets(),
    )
    server = ProxyServer(settings, TableGate(), Clock(), Randomness())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        server.serve(listener, tls=tls)
        try:
            yield server, listener.getsockname()[1]
        finally:
            server.drain(0.05)


@contextmanager
def upstream(path: Path, play: Callable[[Peer], None]) -> Iterator[None]:
    """Accepts on `path`; each connection is given to `play`."""
    with gevent_socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        with _accepting(listener, play):
            yield


@contextmanager
def http_upstream(play: Callable[[Peer], None]) -> Iterator[str]:
    """The same at an http:// address, which may have a path."""
    with gevent_socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        with _accepting(listener, play):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _accepting(listener: Peer, play: Callable[[Peer], None]) -> Iterator[None]:
    listener.listen(16)
    accepting = gevent.spawn(_accept, listener, play)
    try:
        yield
    finally:
        accepting.kill()


def _accept(listener: Peer, play: Callable[[Peer], None]) -> None:
    while True:
        peer, _ = listener.accept()
        gevent.spawn(_play, peer, play)


def _play(peer: Peer, play: Callable[[Peer], None]) -> None:
    with peer:
        try:
            play(peer)
        except ConnectionError:
            return


def connect(port: int, source: str = "127.0.0.1") -> Peer:
    """A client's socket."""
    return gevent_socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0))


def limit_hits(server: ProxyServer) -> dict[str, float]:
    """How often each limit was hit."""
    counters = server.metrics()["counters"]
    return {
        each["labels"]["limit"]: each["value"] for each in counters if each["name"] == "garrison_proxy_limits_total"
    }


def read_head(peer: Peer) -> bytes:
    """Up to the empty line, byte by byte so that nothing behind it is taken."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = peer.recv(1)
        if not byte:
            return data
        data += byte
    return data


def read_all(peer: Peer) -> bytes:
    """Until the end."""
    data = b""
    while piece := peer.recv(65536):
        data += piece
    return data


def fetch(port: int, raw: bytes, method: str = "GET") -> tuple[h11.Response, bytes]:
    """Send `raw` and read one response as h11 understands it."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    body = b""
    with connect(port) as peer:
        peer.sendall(raw)
        while True:
            event = client.next_event()
            if event is h11.NEED_DATA:
                client.receive_data(peer.recv(65536))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return response, body

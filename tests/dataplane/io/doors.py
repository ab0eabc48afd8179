"""A server with a passage to another listener, what plays that listener, and addresses where none is."""

import datetime as dt
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import gevent
from gevent import socket as gevent_socket

from dataplane.io.dial import TcpAddress
from dataplane.io.limits import Limits
from dataplane.io.passage import PassageSettings
from dataplane.io.self_signed import self_signed
from dataplane.io.tcp import TcpServer
from dataplane.io.tls import ServerNames, server_context
from tests.dataplane.io.echo import open_conversation
from tests.dataplane.io.lines import listen
from tests.dataplane.sansio.test_clienthello import made_by_python

NAME = "link.garrison.internal"
HELLO = made_by_python(NAME, ssl.TLSVersion.TLSv1_3)
OWN = self_signed(dt.datetime.now(dt.UTC))
QUICK = Limits(handshake=0.6, idle=1, write=0.2, linger=0.2, tick=0.01)
QUICK_PROOF = 0.01
PASSAGE = PassageSettings(
    server_name=NAME,
    addresses=(),
    hello=0.2,
    connect=0.2,
    proven=QUICK_PROOF,
    write=0.2,
    idle=0.2,
    half_closed=0.2,
    connections=4,
)
Peer = gevent_socket.socket
Play = Callable[[Peer], None]


@dataclass(frozen=True)
class Door:
    """A server with a passage, and its port."""

    server: TcpServer
    port: int

    @property
    def hits(self) -> dict[str, int]:
        return dict(self.server.counts.limits)

    def ended(self) -> bool:
        return self.server.connections == 0


@contextmanager
def there(play: Play) -> Iterator[TcpAddress]:
    """The other listener: `play` gets each connection."""
    with gevent_socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        accepting = gevent.spawn(_accept, listener, play)
        try:
            yield TcpAddress(host="127.0.0.1", port=listener.getsockname()[1])
        finally:
            accepting.kill()


def _accept(listener: Peer, play: Play) -> None:
    while True:
        gevent.spawn(_play, listener.accept()[0], play)


def _play(peer: Peer, play: Play) -> None:
    with peer:
        try:
            play(peer)
        except OSError:
            return


@contextmanager
def door(*addresses: TcpAddress, behind_proxies: bool = False, **changes: Any) -> Iterator[Door]:
    names = ServerNames(server_context(*OWN))
    server = TcpServer(
        open_conversation, QUICK, replace(PASSAGE, addresses=addresses, **changes), relays=lambda _: behind_proxies
    )
    with listen() as listener:
        server.serve(listener, names.context)
        try:
            yield Door(server, listener.getsockname()[1])
        finally:
            server.drain(0.05)
        assert (server.connections, server.passing) == (0, 0)


def hold(peer: Peer) -> None:
    """Answers nothing, until the other side ends."""
    while peer.recv(65536):
        continue


def echo(peer: Peer) -> None:
    while data := peer.recv(65536):
        peer.sendall(data)


def sleep(_: Peer) -> None:
    """Takes nothing, says nothing."""
    gevent.sleep(9)


def take(peer: Peer, size: int) -> bytes:
    """So many bytes, or what comes before the end."""
    data = b""
    while len(data) < size and (piece := peer.recv(size - len(data))):
        data += piece
    return data


def nowhere() -> TcpAddress:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return TcpAddress(host="127.0.0.1", port=taken.getsockname()[1])


@contextmanager
def black_hole() -> Iterator[TcpAddress]:
    """An address that answers nothing: its queue is full, so the kernel drops what comes."""
    with ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield TcpAddress(host="127.0.0.1", port=listener.getsockname()[1])


def reset(peer: Peer) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    peer.close()

"""A server in mode proxy before an application that plays a script, and somebody signed in."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dataplane.config import Edit, ProxyMode, ProxyProvider, Resource, Upstream
from dataplane.gate import ProxySession
from dataplane.protocols.proxy.cookies import seal_session, split_token
from dataplane.protocols.proxy.server import ProxyServer
from dataplane.protocols.proxy.told.told import Outlets
from dataplane.sansio.clients import DEFAULT_TRUSTED
from tests.dataplane.protocols.proxy.builders import OPTIONS, WIKI, Answer, Clock, TableGate, read_answer, session
from tests.dataplane.protocols.proxy.servers import Peer, connect, read_all, read_head, running, upstream


def standing_before(*addresses: str, provider: ProxyProvider = WIKI, **changes: Any) -> ProxyProvider:
    """The wiki in mode proxy."""
    return replace(
        provider, mode=ProxyMode.PROXY, internal_host="\n".join(addresses),
        upstream=Upstream(addresses=addresses, **changes),
    )  # fmt: skip


@dataclass
class Site:
    """What a test has of it."""

    server: ProxyServer
    port: int
    seen: list[bytes]
    """Heads of requests that came to the application."""

    def commit(self, **resources: Resource) -> dict[str, str]:
        """Apply these; what is refused."""
        prepared, refused = self.server.prepare(Edit(changed=resources))
        if not refused:
            self.server.commit(prepared)
        return dict(refused)

    @property
    def clock(self) -> Clock:
        """The server's."""
        clock = self.server._doors.clock
        assert isinstance(clock, Clock)
        return clock

    @property
    def gate(self) -> TableGate:
        """What control answers."""
        gate = self.server._doors.sessions._gate
        assert isinstance(gate, TableGate)
        return gate

    @property
    def open(self) -> int:
        """Exchanges under way."""
        return len(self.server._doors.live)

    def cookie(self, held: ProxySession | None = None, provider: str = "p1") -> bytes:
        """A Cookie header's value that holds a session."""
        applications = self.server._prepared.routes.applications
        application = next(each for each in applications if each.provider.id == provider)
        values = split_token(seal_session(application.sealer, held or session()))
        names = [application.cookie, application.cookie + b"_1", application.cookie + b"_2"]
        return b"; ".join(b"%s=%s" % pair for pair in zip(names, values, strict=False))

    def request(
        self, target: bytes = b"/", *lines: bytes, method: bytes = b"GET", signed_in: bool | ProxySession = True
    ) -> bytes:
        """A request of somebody signed in."""
        held = session() if signed_in is True else signed_in
        cookie = (b"Cookie: " + self.cookie(held),) if held else ()
        head = (b"%s %s HTTP/1.1" % (method, target), b"Host: wiki.example.com", *cookie, *lines)
        return b"\r\n".join(head) + b"\r\n\r\n"

    def ask(
        self, target: bytes = b"/", *lines: bytes, method: bytes = b"GET", signed_in: bool | ProxySession = True
    ) -> Answer:
        """The whole answer."""
        raw = self.request(target, b"Connection: close", *lines, method=method, signed_in=signed_in)
        return read_answer(self.ask_raw(raw))

    def ask_raw(self, raw: bytes) -> bytes:
        """The whole answer to these bytes."""
        with connect(self.port) as client:
            client.sendall(raw)
            return read_all(client)


Play = Callable[[Peer, bytes], None] | bytes
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
UPGRADE = (
    b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip
"""A handshake with the key of RFC 6455 section 1.3, and what accepts it."""


@contextmanager
def site(  # noqa: PLR0913  what a test may want otherwise, all but two by name
    tmp_path: Path,
    play: Play = OK,
    *,
    provider: ProxyProvider = WIKI,
    resources: Mapping[str, Resource] | None = None,
    trusted: tuple[str, ...] = DEFAULT_TRUSTED,
    control: Path | None = None,
    outlets: Outlets | None = None,
    **changes: Any,
) -> Iterator[Site]:
    """`play` is what the application does with each connection after its first head, or an answer to each request."""
    seen: list[bytes] = []

    def serve(peer: Peer) -> None:
        while head := read_head(peer):
            seen.append(head)
            if isinstance(play, bytes):
                peer.sendall(play)
            else:
                play(peer, head)

    path = tmp_path / "application.sock"
    with upstream(path, serve), running(control, trusted=trusted, outlets=outlets) as (server, port):
        served = Site(server, port, seen)
        there = standing_before(f"unix://{path}", provider=provider, **changes)
        refused = served.commit(options=OPTIONS, **{"provider/p1": there}, **(resources or {}))
        assert not refused, refused
        yield served


def fields(head: bytes) -> dict[str, list[str]]:
    """The headers of a request, by lower-case names."""
    found: dict[str, list[str]] = {}
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.decode("latin-1").partition(": ")
        found.setdefault(name.lower(), []).append(value)
    return found

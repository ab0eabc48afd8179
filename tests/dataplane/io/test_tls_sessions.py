"""TLS as clients meet it beyond the first handshake: sessions that resume, protocols by name, old versions, floods."""

import datetime as dt
import socket
import ssl
from collections.abc import Iterator

import pytest
from gevent import socket as gevent_socket
from gevent import ssl as gevent_ssl

from dataplane.io.limits import Limits
from dataplane.io.self_signed import self_signed
from dataplane.io.tcp import TcpServer
from dataplane.io.tls import ServerNames, server_context
from tests.dataplane.io.echo import open_conversation
from tests.dataplane.io.lines import until

DEFAULT, NAMED, RENEWED = (self_signed(dt.datetime.now(dt.UTC)) for _ in range(3))
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
Peer = gevent_ssl.SSLSocket


class Door:
    """A server with a certificate of its own for app.test."""

    def __init__(self, handshake: float = 30) -> None:
        self.names = ServerNames(server_context(*DEFAULT))
        self.show(NAMED)
        self.server = TcpServer(open_conversation, Limits(handshake=handshake, idle=5, linger=0.2, tick=0.02, settle=0))
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1024)
        self.server.serve(self._listener, self.names.context)
        self.port = self._listener.getsockname()[1]

    def show(self, pair: tuple[str, str]) -> None:
        context = server_context(*pair)
        self.names.replace({"app.test": context}.get)

    def close(self) -> None:
        self.server.drain(0.05)
        self._listener.close()


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.close()


def client_context(version: ssl.TLSVersion | None = None) -> gevent_ssl.SSLContext:
    context = gevent_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def connect(
    door: Door, context: gevent_ssl.SSLContext, name: str | None, session: ssl.SSLSession | None = None
) -> Peer:
    plain = gevent_socket.create_connection(("127.0.0.1", door.port), 5)
    return context.wrap_socket(plain, server_hostname=name, session=session)


def talk(client: Peer) -> ssl.SSLSession:
    """A word each way, behind which the tickets of TLS 1.3 have come; what resumes the session."""
    client.sendall(b"one\n")
    assert client.recv(10) == b"ONE\n"
    session = client.session
    assert session is not None
    return session


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [None, "other.test", "app.test"])
def test_a_session_resumes_by_a_ticket(door: Door, version: ssl.TLSVersion, name: str | None) -> None:
    context = client_context(version)
    with connect(door, context, name) as first:
        session = talk(first)
        assert session.has_ticket
        assert not first.session_reused
    with connect(door, context, name, session) as second:
        talk(second)
        assert second.session_reused


@pytest.mark.parametrize("version", VERSIONS)
def test_it_resumes_when_the_certificate_is_renewed(door: Door, version: ssl.TLSVersion) -> None:
    context = client_context(version)
    with connect(door, context, "app.test") as first:
        session = talk(first)
    door.show(RENEWED)
    with connect(door, context, "app.test", session) as second:
        talk(second)
        assert second.session_reused


@pytest.mark.parametrize("name", [None, "app.test"])
@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["http/1.1"], "http/1.1"),
        (["h2", "http/1.1"], "http/1.1"),
        (["h2"], None),
        (["h3", "spdy/3"], None),
        ([], None),
    ],
)
def test_http_1_1_is_all_there_is(door: Door, name: str | None, offered: list[str], chosen: str | None) -> None:
    context = client_context()
    if offered:
        context.set_alpn_protocols(offered)
    with connect(door, context, name) as client:
        assert client.selected_alpn_protocol() == chosen
        talk(client)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.parametrize("name", [None, "app.test"])
def test_older_versions_are_refused_by_an_alert(door: Door, version: ssl.TLSVersion, name: str | None) -> None:
    context = client_context(version)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        connect(door, context, name)


def test_a_flood_of_handshakes_that_never_end_holds_up_nobody() -> None:
    door = Door(handshake=5)
    flood = [gevent_socket.create_connection(("127.0.0.1", door.port), 5) for _ in range(300)]
    try:
        for each in flood:
            each.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        with connect(door, client_context(), "app.test") as client:
            talk(client)
            assert door.server.connections > len(flood)
        until(lambda: door.server.connections == 0)
        assert door.server.counts.limits == {"handshake_timeout": 300}
    finally:
        for each in flood:
            each.close()


def test_a_client_can_not_negotiate_again(door: Door) -> None:
    """Each would cost a handshake, on one connection (CVE-2011-1473); TLS 1.3 has none."""
    with connect(door, client_context(ssl.TLSVersion.TLSv1_2), None) as client:
        talk(client)
    assert ssl.OP_NO_RENEGOTIATION in door.names.context().options
    assert ssl.OP_NO_COMPRESSION in door.names.context().options

import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace

import gevent
import pytest
from cryptography import x509
from gevent import socket as gevent_socket
from gevent import ssl as gevent_ssl

from dataplane.io.limits import Limits
from dataplane.io.self_signed import self_signed
from dataplane.io.tcp import TcpServer
from dataplane.io.tls import ServerNames, server_context
from tests.dataplane.io.echo import open_conversation

NOW = dt.datetime.now(dt.UTC)
DEFAULT = self_signed(NOW)
NAMED = self_signed(NOW)


def serial(pem: str) -> int:
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


@pytest.fixture
def running() -> Iterator[tuple[TcpServer, ServerNames, int]]:
    names = ServerNames(server_context(*DEFAULT))
    server = TcpServer(open_conversation, Limits(linger=0.2, tick=0.02))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    server.serve(listener, names.context)
    yield server, names, listener.getsockname()[1]
    server.drain(0.05)
    listener.close()


def connect(
    port: int, name: str | None = None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> gevent_ssl.SSLSocket:
    context = gevent_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    return context.wrap_socket(gevent_socket.create_connection(("127.0.0.1", port), 5), server_hostname=name)


def shown(client: gevent_ssl.SSLSocket) -> int:
    certificate = client.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_answers_both_ways(running: tuple[TcpServer, ServerNames, int], version: ssl.TLSVersion) -> None:
    with connect(running[2], version=version) as client:
        client.sendall(b"peer\none\n")
        data = b""
        while data.count(b"\n") < 2:
            data += client.recv(100)
        assert data == b"127.0.0.1 True\nONE\n"


def test_a_large_answer_to_a_slow_reader(running: tuple[TcpServer, ServerNames, int]) -> None:
    with connect(running[2]) as client:
        client.sendall(b"big 3000000\nbye\n")
        received = 0
        while piece := client.recv(65536):
            received += len(piece)
            gevent.sleep(0)
        assert received == 3_000_004


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_is_refused(running: tuple[TcpServer, ServerNames, int]) -> None:
    with pytest.raises(ssl.SSLError):
        connect(running[2], version=ssl.TLSVersion.TLSv1_1)


def test_the_certificate_follows_the_name(running: tuple[TcpServer, ServerNames, int]) -> None:
    _, names, port = running
    by_name = {"app.test": server_context(*NAMED), "*.corp.test": server_context(*NAMED)}

    def find(name: str) -> ssl.SSLContext | None:
        return by_name.get(name)

    names.replace(find)
    for name, pem in (
        ("app.test", NAMED),
        ("APP.test", NAMED),
        ("a.corp.test", NAMED),
        ("corp.test", DEFAULT),
        ("a.b.corp.test", DEFAULT),
        ("other.test", DEFAULT),
        (None, DEFAULT),
    ):
        with connect(port, name) as client:
            assert shown(client) == serial(pem[0]), name
    names.replace(lambda _: None)
    with connect(port, "app.test") as client:
        assert shown(client) == serial(DEFAULT[0])


def test_a_half_open_handshake_is_cut_and_counted(running: tuple[TcpServer, ServerNames, int]) -> None:
    """CVE-2026-7776: who connects and shakes no hands must not hold anything."""
    server, _, port = running
    server.limits = replace(server.limits, handshake=0.2)
    clients = [gevent_socket.create_connection(("127.0.0.1", port), 5) for _ in range(5)]
    for client in clients:
        client.sendall(b"\x16\x03\x01")
    for client in clients:
        assert client.recv(10) == b""
        client.close()
    assert server.counts.limits == {"handshake_timeout": 5}


@pytest.mark.parametrize("rubbish", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00" * 100, b"\x16\x03\x01\x00\x05hello"])
def test_what_is_no_tls_is_closed_and_harms_nobody(running: tuple[TcpServer, ServerNames, int], rubbish: bytes) -> None:
    with gevent_socket.create_connection(("127.0.0.1", running[2]), 5) as client:
        client.sendall(rubbish)
        while client.recv(100):
            continue
    with connect(running[2]) as good:
        good.sendall(b"one\n")
        assert good.recv(10) == b"ONE\n"


@pytest.mark.parametrize(
    ("chain", "key"), [("", ""), ("x", "y"), (DEFAULT[0], NAMED[1]), (DEFAULT[0], ""), ("", DEFAULT[1])]
)
def test_what_does_not_fit_together_is_refused(chain: str, key: str) -> None:
    with pytest.raises(ValueError, match="certificate and private key"):
        server_context(chain, key)


def test_the_self_signed_one_is_valid_now_and_for_a_server() -> None:
    certificate = x509.load_pem_x509_certificate(DEFAULT[0].encode())
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc

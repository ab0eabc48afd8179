"""Behind a balancer that speaks the PROXY protocol: whoever it names is the client, for applications and for limits."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import gevent
import pytest
from gevent import ssl as gevent_ssl

from dataplane.protocols.proxy.session import HttpSession
from dataplane.sansio import PeerError
from dataplane.sansio.clients import SETTING
from tests.dataplane.protocols.proxy.servers import Peer, connect, limit_hits, read_all, read_head, running, upstream

V2 = b"\r\n\r\n\0\r\nQUIT\n"
TRUSTED = ("127.0.0.0/8",)
STRANGERS = ("192.0.2.0/24",)
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def line(client: str) -> bytes:
    return b"PROXY TCP4 %s 198.51.100.1 4000 443\r\n" % client.encode()


HEADERS = [
    (line("203.0.113.7"), "203.0.113.7"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 4000 443\r\n", "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (V2 + b"\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\x0f\xa0\x01\xbb", "203.0.113.7"),
    (V2 + b"\x21\x11\0\x13\xcb\0\x71\x07\x7f\0\0\x01\x0f\xa0\x01\xbb\x04\0\x04nope", "203.0.113.7"),
    (V2 + b"\x20\0\0\0", "127.0.0.1"),
    (b"", "127.0.0.1"),
]


@contextmanager
def application(path: Path) -> Iterator[list[str]]:
    """Answers 200; gives the X-Forwarded-For it has seen."""
    seen: list[str] = []

    def play(peer: Peer) -> None:
        while head := read_head(peer):
            lines = head.decode().split("\r\n")
            seen.extend(each.partition(": ")[2] for each in lines if each.lower().startswith("x-forwarded-for: "))
            peer.sendall(OK)

    with upstream(path, play):
        yield seen


def secured(peer: Peer) -> Peer:
    context = gevent_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(peer, server_hostname="a.test")


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(("header", "client"), HEADERS)
def test_the_application_is_told_whom_a_trusted_peer_names(
    tmp_path: Path, header: bytes, client: str, *, tls: bool
) -> None:
    path = tmp_path / "s"
    with application(path) as seen, running(path, tls=tls, trusted=TRUSTED) as (_, port), connect(port) as peer:
        peer.sendall(header)
        with secured(peer) if tls else peer as spoken:
            spoken.sendall(GET)
            assert read_all(spoken).startswith(b"HTTP/1.1 200 ")
        assert seen == [client]


def test_what_the_client_itself_says_of_others_counts_by_its_own_address(tmp_path: Path) -> None:
    path = tmp_path / "s"
    forged = GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 203.0.113.99\r\n\r\n")
    with application(path) as seen, running(path, trusted=TRUSTED) as (_, port):
        for client in ("203.0.113.7", "127.0.0.9"):
            with connect(port) as peer:
                peer.sendall(line(client) + forged)
                read_all(peer)
    assert seen == ["203.0.113.7", "203.0.113.99"]


@pytest.mark.parametrize("header", [line("203.0.113.7"), HEADERS[3][0]])
@pytest.mark.parametrize("tls", [False, True])
def test_of_others_it_is_malformed(tmp_path: Path, header: bytes, *, tls: bool) -> None:
    path = tmp_path / "s"
    with application(path) as seen, running(path, tls=tls, trusted=STRANGERS) as (server, port), connect(port) as peer:
        peer.sendall(header + GET)
        answer = read_all(peer)
        assert tls or (answer.startswith(b"HTTP/1.1 400 ") and SETTING.encode() in answer)
        gevent.sleep(0)
        assert seen == []
        assert not limit_hits(server).get("internal_error")


@pytest.mark.parametrize("size", [1, 1000])
def test_the_reason_is_said_however_it_is_cut(size: int) -> None:
    session, raw = HttpSession(), line("203.0.113.7")
    with pytest.raises(PeerError, match=SETTING):
        for start in range(0, len(raw), size):
            session.receive(raw[start : start + size])
            list(session.events())


@pytest.mark.parametrize("method", [b"P", b"PUT", b"POST", b"PATCH", b"PROPFIND", b"PURGE", b"PRO"])
def test_request_lines_that_begin_alike_are_not_held_up(tmp_path: Path, method: bytes) -> None:
    path = tmp_path / "s"
    with application(path), running(path, trusted=TRUSTED) as (_, port), connect(port) as peer, gevent.Timeout(30):
        for byte in method:
            peer.sendall(bytes([byte]))
            gevent.sleep(0)
        peer.sendall(b" / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert read_all(peer).startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 501 "))


def test_clients_behind_one_balancer_have_lanes_of_their_own(tmp_path: Path) -> None:
    """One that fills its lane is refused, and nobody else."""

    def play(peer: Peer) -> None:
        if b"203.0.113.1" not in read_head(peer):
            peer.sendall(OK)
        peer.recv(1)

    with upstream(tmp_path / "s", play), running(tmp_path / "s", trusted=TRUSTED) as (_, port), ExitStack() as held:
        for _ in range(2):
            held.enter_context(connect(port)).sendall(line("203.0.113.1") + GET)
        with connect(port) as third, connect(port) as other:
            gevent.sleep(0.05)
            third.sendall(line("203.0.113.1") + GET)
            assert read_head(third).startswith(b"HTTP/1.1 503 ")
            other.sendall(line("203.0.113.2") + GET)
            assert read_head(other).startswith(b"HTTP/1.1 200 ")


def test_a_header_that_is_malformed_or_never_ends_is_counted(tmp_path: Path) -> None:
    with running(tmp_path / "s", trusted=TRUSTED) as (server, port):
        for header, limit in ((b"PROXY TCP4 nobody\r\n", "proxy_header"), (b"PROXY TCP4 ", "proxy_header_timeout")):
            with connect(port) as peer:
                peer.sendall(header)
                assert read_all(peer) == b""
            assert limit_hits(server)[limit] == 1

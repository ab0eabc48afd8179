"""Clients that are as slow as can be in each phase of a connection: each ends by a limit, and the limit is counted."""

import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import gevent
import pytest
from gevent import ssl as gevent_ssl

from dataplane.io.limits import Limits
from dataplane.protocols.proxy.server import ProxyServer
from tests.dataplane.protocols.proxy.servers import (
    QUICK,
    Peer,
    connect,
    limit_hits,
    read_all,
    read_head,
    running,
    upstream,
)

CHUNK = b"X: y\r\n"
HEAD = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
CHUNKED = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /p HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MEGABYTES = 30
PATIENCE = 20
"""Seconds that nothing here comes near, unless a phase has no end."""
STRANGERS = ("192.0.2.0/24",)
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
"""The beginning of a ClientHello."""


@contextmanager
def served(
    tmp_path: Path, *, tls: bool = False, trusts: bool = False, limits: Limits = QUICK
) -> Iterator[tuple[ProxyServer, int]]:
    """A server before an application that answers at once: at length to /large."""

    def play(peer: Peer) -> None:
        while head := read_head(peer):
            if b" /large " not in head:
                peer.sendall(OK)
                continue
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MEGABYTES << 20))
            for _ in range(MEGABYTES):
                peer.sendall(bytes(1 << 20))

    path = tmp_path / "s"
    trusted = ("127.0.0.0/8",) if trusts else STRANGERS
    with upstream(path, play), running(path, tls=tls, trusted=trusted, limits=limits) as (server, port):
        yield server, port


def secured(peer: Peer) -> Peer:
    context = gevent_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(peer, server_hostname="a.test")


def trickle(peer: Peer, begun: bytes, drop: bytes) -> None:
    """Say `begun`, then `drop` again and again, until the server has had enough."""
    with gevent.Timeout(PATIENCE):
        try:
            peer.sendall(begun)
            while drop:
                peer.sendall(drop)
                gevent.sleep(0.02)
            read_all(peer)
        except (OSError, ssl.SSLError):
            return


def ended(server: ProxyServer) -> bool:
    with gevent.Timeout(30):
        while server.connections:
            gevent.sleep(0.01)
    return True


PHASES = {
    "nothing at all": (b"", b"", "message_timeout"),
    "request line": (b"GET /", b"a", "message_timeout"),
    "empty lines": (b"", b"\r\n", "message_timeout"),
    "head": (b"GET / HTTP/1.1\r\nHost: a\r\n", CHUNK, "message_timeout"),
    "head that stands still": (b"GET / HTTP/1.1\r\nHost: a\r\n", b"", "message_timeout"),
    "body": (HEAD, b"a", "slow_body"),
    "body that stands still": (HEAD, b"", "slow_body"),
    "chunks": (CHUNKED, b"1\r\na\r\n", "slow_body"),
    "size of a chunk": (CHUNKED, b"0", "slow_body"),
    "trailers": (CHUNKED + b"0\r\n", CHUNK, "slow_body"),
    "between requests": (GET, b"", "idle_timeout"),
}


HANDSHAKES = {"nothing": (b"", b""), "half": (HELLO, b""), "trickle": (HELLO, b"\0"), "one byte": (b"\x16", b"")}
HEADERS = (b"P", b"PROXY TCP4 192.0.2.1 ", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\0")


@pytest.mark.parametrize("tls", [False, True])
def test_each_phase_has_its_end(tmp_path: Path, *, tls: bool) -> None:
    """All at once, each from an address of its own."""

    def suffer(source: str, begun: bytes, drop: bytes) -> None:
        with connect(port, source) as peer, secured(peer) if tls else peer as spoken:
            trickle(spoken, begun, drop)

    with served(tmp_path, tls=tls) as (server, port):
        sources = (f"127.0.0.{number}" for number in range(2, 100))
        clients = [gevent.spawn(suffer, next(sources), begun, drop) for begun, drop, _ in PHASES.values()]
        gevent.joinall(clients, timeout=PATIENCE, raise_error=True)
        assert [phase for phase, client in zip(PHASES, clients, strict=True) if not client.ready()] == []
        assert ended(server)
        assert limit_hits(server) == Counter(limit for _, _, limit in PHASES.values())


def test_a_handshake_has_its_end(tmp_path: Path) -> None:
    with served(tmp_path, tls=True) as (server, port):
        clients = [gevent.spawn(_try, port, *each) for each in HANDSHAKES.values()]
        gevent.joinall(clients, timeout=PATIENCE, raise_error=True)
        assert ended(server)
        assert limit_hits(server) == {"handshake_timeout": len(HANDSHAKES)}


def test_a_proxy_header_has_its_end(tmp_path: Path) -> None:
    with served(tmp_path, trusts=True) as (server, port):
        clients = [gevent.spawn(_try, port, begun, b"") for begun in HEADERS]
        gevent.joinall(clients, timeout=PATIENCE, raise_error=True)
        assert ended(server)
        assert limit_hits(server) == {"proxy_header_timeout": len(HEADERS)}


def _try(port: int, begun: bytes, drop: bytes) -> None:
    with connect(port) as peer:
        trickle(peer, begun, drop)


@pytest.mark.parametrize("tls", [False, True])
def test_reading_an_answer_has_its_end(tmp_path: Path, *, tls: bool) -> None:
    with served(tmp_path, tls=tls) as (server, port), connect(port) as peer:
        with secured(peer) if tls else peer as spoken:
            spoken.sendall(GET.replace(b"/p", b"/large"))
            assert spoken.recv(12) == b"HTTP/1.1 200"
            assert ended(server)
        assert limit_hits(server) == {"slow_reader": 1}


def test_a_crowd_of_them_stops_nobody(tmp_path: Path) -> None:
    with served(tmp_path, limits=replace(QUICK, message=20)) as (server, port):
        crowd = [connect(port) for _ in range(200)]
        try:
            for number, each in enumerate(crowd):
                each.sendall([b"", b"GET /", b"GET / HTTP/1.1\r\nHost: a\r\n"][number % 3])
            with connect(port) as other:
                other.sendall(GET)
                assert read_head(other).startswith(b"HTTP/1.1 200 ")
                assert server.connections > len(crowd)
        finally:
            for each in crowd:
                each.close()
        assert ended(server)

"""Several greenlets on one connection, TLS in the middle of one, and whose it is behind a proxy."""

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gevent
import pytest
from gevent import socket as gevent_socket
from gevent.ssl import SSLContext

from dataplane.io.connection import Connection
from dataplane.io.limits import Limits
from dataplane.io.tcp import Keeper, TcpServer
from tests.dataplane.io.echo import open_conversation
from tests.dataplane.io.lines import LONG, QUICK, Start, connect, listen, read_all, until

HASTY = replace(QUICK, handshake=0.2)


def read_line(client: gevent_socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        piece = client.recv(1)
        assert piece, data
        data += piece
    return data


def test_a_piece_of_one_greenlet_comes_whole_however_slow_the_reader(start: Start) -> None:
    _, port = start()
    size = 3_000_000
    with connect(port) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(b"twice %d\n" % size)
        received = b""
        while len(received) < 2 * size:
            piece = client.recv(50_000)
            assert piece, len(received)
            received += piece
            gevent.sleep(0)
        assert received in {b"a" * size + b"b" * size, b"b" * size + b"a" * size}
        client.sendall(b"bye\n")
        assert read_all(client) == b"BYE\n"


def test_a_reader_that_stops_is_cut_whoever_writes(start: Start) -> None:
    server, port = start(QUICK)
    with connect(port) as client:
        client.sendall(b"twice 9000000\n")
        gevent.sleep(0)
        client.sendall(b"big 9000000\n")
        until(lambda: server.connections == 0)
        assert server.counts.limits["write_timeout"] == 1


def test_others_are_answered_while_something_takes_longer(start: Start) -> None:
    server, port = start(replace(QUICK, idle=0.1))
    with connect(port) as client:
        client.sendall(b"later 0.4\none\n")
        assert read_line(client) == b"ONE\n"
        assert read_line(client) == b"LATE\n", "to wait for an answer is not to be idle"
        assert read_all(client) == b""
        assert server.counts.limits == {"idle_timeout": 1}, "but afterwards it is"


def test_a_drain_waits_for_what_is_still_answered(start: Start) -> None:
    server, port = start(replace(LONG, idle=60))
    with connect(port) as client:
        client.sendall(b"later 0.3\none\n")
        assert read_line(client) == b"ONE\n"
        gevent.spawn(server.drain, 5.0)
        assert read_all(client) == b"LATE\n"
        until(lambda: server.connections == 0)
        assert not server.counts.limits


def test_another_greenlet_ends_a_connection_that_only_listens(start: Start) -> None:
    server, port = start(LONG)
    with connect(port) as client:
        client.sendall(b"end 0.05\none\n")
        assert read_all(client) == b"ONE\n"
        assert not server.counts.limits


def test_and_one_in_the_middle_of_a_message(start: Start) -> None:
    server, port = start(LONG)
    with connect(port) as client:
        client.sendall(b"end 0.05\nhalf a li")
        assert read_all(client) == b""
        assert not server.counts.limits


def test_some_open_connections_before_they_need_them(start: Start) -> None:
    server, port = start(replace(LONG, message=0.05, first=60))
    with connect(port) as client:
        gevent.sleep(0.15)
        client.sendall(b"one\n")
        assert read_line(client) == b"ONE\n"
        assert server.counts.limits == {}
    server, port = start(replace(LONG, message=0.05, first=0.1))
    with connect(port) as silent:
        assert read_all(silent) == b""
        assert server.counts.limits == {"idle_timeout": 1}


def trusting() -> SSLContext:
    context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_tls_begins_in_the_middle(start: Start) -> None:
    _, port = start()
    with connect(port) as client:
        client.sendall(b"peer\n")
        assert read_line(client) == b"127.0.0.1 False\n"
        client.sendall(b"tls\n")
        assert read_line(client) == b"GO ON\n"
        with trusting().wrap_socket(client) as secured:
            secured.sendall(b"peer\n")
            assert secured.recv(100) == b"127.0.0.1 True\n"
            secured.sendall(b"twice 300000\n")
            received = 0
            while received < 600_000:
                received += len(secured.recv(65536))
            secured.sendall(b"bye\n")
            assert secured.recv(100) == b"BYE\n"
            assert secured.recv(100) == b""


def test_who_speaks_plainly_where_tls_was_to_begin_is_cut(start: Start) -> None:
    server, port = start(HASTY)
    with connect(port) as client:
        client.sendall(b"tls\n")
        assert read_line(client) == b"GO ON\n"
        client.sendall(b"one\n" * 10)
        read_all(client)
        until(lambda: server.connections == 0)
    with connect(port) as client:
        client.sendall(b"tls\n")
        assert read_line(client) == b"GO ON\n"
        until(lambda: server.counts.limits["handshake_timeout"] == 1)


Behind = Callable[..., tuple[TcpServer, int]]


@pytest.fixture
def behind() -> Iterator[Behind]:
    """Behind a proxy at 127.0.0.1; 127.0.0.2 is anybody."""
    running: list[TcpServer] = []

    def run(limits: Limits = LONG, keeper: Keeper | None = None) -> tuple[TcpServer, int]:
        server = TcpServer(open_conversation, limits, relays=lambda peer: peer == "127.0.0.1", keeper=keeper)
        listener = listen()
        server.serve(listener)
        running.append(server)
        return server, listener.getsockname()[1]

    yield run
    for server in running:
        server.drain(0.05)
        assert server.connections == 0


V2 = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (b"", b"127.0.0.1"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 389\r\n", b"192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4000 389\r\n", b"2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", b"127.0.0.1"),
        (V2 + b"\x21\x11\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\x0f\xa0\x01\x85", b"192.0.2.7"),
        (V2 + b"\x20\0\0\0", b"127.0.0.1"),
    ],
)
def test_a_proxy_says_whose_connection_it_is(behind: Behind, header: bytes, peer: bytes) -> None:
    _, port = behind()
    for pieces in ([header + b"peer\n"], [bytes([byte]) for byte in header + b"peer\n"]):
        with connect(port) as client:
            for piece in pieces:
                client.sendall(piece)
                gevent.sleep(0)
            assert read_line(client) == peer + b" False\n"


def test_of_others_a_header_is_no_header(behind: Behind) -> None:
    _, port = behind()
    with connect(port, "127.0.0.2") as client:
        client.sendall(b"PROXY UNKNOWN\r\npeer\n")
        assert read_line(client) == b"PROXY UNKNOWN\r\n"
        assert read_line(client) == b"127.0.0.2 False\n"


def test_a_header_that_is_malformed_or_never_ends_ends_the_connection(behind: Behind) -> None:
    server, port = behind(HASTY)
    for header, limit in ((b"PROXY TCP4 nonsense\r\n", "proxy_header"), (b"PROXY TCP4 ", "proxy_header_timeout")):
        with connect(port) as client:
            client.sendall(header)
            assert read_all(client) == b""
        assert server.counts.limits[limit] == 1


def test_clients_behind_a_proxy_have_limits_of_their_own(behind: Behind) -> None:
    server, port = behind(replace(LONG, connections_per_peer=1))
    header = b"PROXY TCP4 192.0.2.%d 198.51.100.1 4000 389\r\npeer\n"
    with connect(port) as first:
        first.sendall(header % 1)
        read_line(first)
        with connect(port) as second:
            second.sendall(header % 2)
            assert read_line(second) == b"192.0.2.2 False\n"
            with connect(port) as third:
                third.sendall(header % 1)
                assert read_all(third) == b""
    assert server.counts.limits == {"connections_per_peer": 1}


def test_addresses_of_one_network_are_one_client(behind: Behind) -> None:
    """Whoever has one address of an IPv6 /64 has all of them (RFC 6177 section 2)."""
    server, port = behind(replace(LONG, connections_per_peer=1))
    header = b"PROXY TCP6 2001:db8:0:%d::%d 2001:db8::1 4000 389\r\npeer\n"
    with connect(port) as first:  # one after the other: until its header is read, each is the proxy's
        first.sendall(header % (1, 1))
        assert read_line(first) == b"2001:db8:0:1::1 False\n"
        with connect(port) as second:
            second.sendall(header % (1, 2))
            assert read_all(second) == b""
        with connect(port) as other:
            other.sendall(header % (2, 1))
            assert read_line(other) == b"2001:db8:0:2::1 False\n"
    assert server.counts.limits == {"connections_per_peer": 1}


class Polite:
    def __init__(self) -> None:
        self.ends: list[str] = []

    def farewell(self, _: Connection[Any]) -> bytes:
        return b"WELL\n"

    def closed(self, connection: Connection[Any]) -> None:
        self.ends.append(connection.peer)


def test_who_cares_is_told_of_each_end_and_has_the_last_word(behind: Behind) -> None:
    keeper = Polite()
    _, port = behind(keeper=keeper)
    answers = []
    for words in (b"bye\n", b"!\n", b""):
        with connect(port) as client:
            client.sendall(words)
            client.shutdown(socket.SHUT_WR)
            answers.append(read_all(client))
    until(lambda: len(keeper.ends) == 3)
    assert answers == [b"BYE\nWELL\n", b"no exclamations\n", b"WELL\n"]
    with connect(port) as client:
        client.sendall(b"crash\n")
        until(lambda: len(keeper.ends) == 4)

"""The driver on real sockets. Limits that tests are about are scaled down, and others far.

Nothing waits but on a socket or a condition with a deadline.
"""

import contextlib
import errno
import socket
import ssl

import gevent
import pytest
from gevent import socket as gevent_socket

from dataplane.io import tcp
from dataplane.io.limits import Limits
from dataplane.io.tcp import TcpServer, peer_name
from tests.dataplane.io.echo import open_conversation
from tests.dataplane.io.lines import QUICK, Start, connect, listen, read_all, until


def test_answers_and_keeps_the_connection(start: Start) -> None:
    _, port = start()
    with connect(port) as client:
        for word in (b"one", b"two"):
            client.sendall(word + b"\n")
            assert client.recv(100) == word.upper() + b"\n"


def test_pipelined_messages_are_answered_in_order(start: Start) -> None:
    _, port = start()
    with connect(port) as client:
        client.sendall(b"".join(b"%d\n" % number for number in range(1000)) + b"bye\n")
        assert read_all(client).split() == [b"%d" % number for number in range(1000)] + [b"BYE"]


def test_a_message_may_arrive_in_single_bytes(start: Start) -> None:
    _, port = start()
    with connect(port) as client:
        for byte in b"slow\n":
            client.sendall(bytes([byte]))
            gevent.sleep(0)
        assert client.recv(100) == b"SLOW\n"


def test_a_slow_reader_gets_everything(start: Start) -> None:
    """The kernel takes only a part at once: what is left has to follow."""
    _, port = start()
    size = 8_000_000
    with connect(port) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(b"big %d\nbye\n" % size)
        received = 0
        while piece := client.recv(20_000):
            received += len(piece)
            gevent.sleep(0)
        assert received == size + 4


def test_a_reader_that_stops_is_cut_and_counted(start: Start) -> None:
    server, port = start(QUICK)
    with connect(port) as client:
        client.sendall(b"big 20000000\n")
        until(lambda: server.counts.limits["write_timeout"] == 1)
        until(lambda: server.connections == 0)
        with pytest.raises(ConnectionResetError):  # not a clean end: what came is not the whole
            read_all(client)


def test_an_idle_connection_is_closed_and_counted(start: Start) -> None:
    server, port = start(QUICK)
    with connect(port) as client:
        client.sendall(b"one\n")
        assert read_all(client) == b"ONE\n"
        assert server.counts.limits == {"idle_timeout": 1}


def test_a_message_that_trickles_is_cut_although_it_never_rests(start: Start) -> None:
    """Slowloris: the deadline counts from the first byte."""
    server, port = start(QUICK)
    with connect(port) as client:
        client.sendall(b"one\n")
        assert client.recv(10) == b"ONE\n"
        with pytest.raises((ConnectionResetError, BrokenPipeError)), gevent.Timeout(30):
            while True:
                client.sendall(b"x")
                gevent.sleep(0.01)
        assert server.counts.limits == {"message_timeout": 1}


def test_who_says_nothing_is_cut(start: Start) -> None:
    server, port = start(QUICK)
    with connect(port) as client:
        assert read_all(client) == b""
        assert server.counts.limits == {"message_timeout": 1}


def test_a_handler_can_pull_the_next_message(start: Start) -> None:
    _, port = start()
    with connect(port) as client:
        client.sendall(b"pull\n")
        gevent.sleep(0.01)
        client.sendall(b"it\n")
        assert client.recv(100) == b"pulled it\n"


def test_a_pull_has_its_own_deadline(start: Start) -> None:
    server, port = start(QUICK)
    with connect(port) as client:
        client.sendall(b"pull\n")
        assert read_all(client) == b""
        assert server.counts.limits == {"read_timeout": 1}


def test_data_that_comes_while_the_handler_is_busy_is_not_lost(start: Start) -> None:
    """The watcher fires for a greenlet that is not reading: it must neither wake it nor spin."""
    _, port = start()
    with connect(port) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(b"big 4000000\n")
        gevent.sleep(0.01)
        client.sendall(b"next\nbye\n")
        assert read_all(client).endswith(b"NEXT\nBYE\n")


def test_a_broken_protocol_gets_its_reason_before_the_end(start: Start) -> None:
    _, port = start()
    with connect(port) as client:
        client.sendall(b"one\n!two\n" + b"unread " * 5000)
        assert read_all(client) == b"ONE\nno exclamations\n"


def test_what_is_torn_is_torn_at_once(start: Start) -> None:
    """Nobody waits for our last word."""
    server, port = start(Limits(linger=60, tick=0.02, settle=0.02))
    with connect(port) as client:
        client.sendall(b"tear\n")
        with pytest.raises(ConnectionResetError):
            client.recv(10)
        until(lambda: server.connections == 0)


def test_a_peer_that_vanishes_is_forgotten(start: Start) -> None:
    server, port = start()
    client = connect(port)
    client.sendall(b"one\n")
    client.recv(10)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    client.close()
    until(lambda: server.connections == 0)
    assert server.counts.limits == {}


class TestConnectionLimits:
    def test_all_together(self, start: Start) -> None:
        server, port = start(Limits(connections=2, idle=5))
        clients = [connect(port) for _ in range(2)]
        until(lambda: server.connections == 2)
        with connect(port) as third:
            assert read_all(third) == b""
        assert server.counts.limits == {"connections": 1}
        for client in clients:
            client.close()
        until(lambda: server.connections == 0)
        with connect(port) as fourth:
            fourth.sendall(b"in\n")
            assert fourth.recv(10) == b"IN\n"

    def test_per_peer(self, start: Start) -> None:
        server, port = start(Limits(connections_per_peer=1, idle=5))
        with connect(port) as first:
            first.sendall(b"in\n")
            assert first.recv(10) == b"IN\n"
            with connect(port) as second:
                assert read_all(second) == b""
            assert server.counts.limits == {"connections_per_peer": 1}
            with gevent_socket.create_connection(("127.0.0.1", port), 5, ("127.0.0.2", 0)) as neighbour:
                neighbour.sendall(b"in\n")
                assert neighbour.recv(10) == b"IN\n"


def test_ipv4_has_its_own_name_on_a_dual_stack_listener(start: Start) -> None:
    _, port = start(family=socket.AF_INET6)
    with connect(port) as client:
        client.sendall(b"peer\n")
        assert client.recv(100) == b"127.0.0.1 False\n"


@pytest.mark.parametrize(
    ("address", "name"),
    [(("::ffff:1.2.3.4", 1, 0, 0), "1.2.3.4"), (("::1", 1, 0, 0), "::1"), (("1.2.3.4", 1), "1.2.3.4"), ("", "unix")],
)
def test_peer_names(address: object, name: str) -> None:
    assert peer_name(address) == name


@pytest.mark.parametrize(
    ("number", "limit"), [(errno.EPROTO, "accept_error"), (errno.EPERM, "accept_error"), (errno.EMFILE, "descriptors")]
)
def test_a_failed_accept_is_not_the_last(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int, limit: str
) -> None:
    """accept(2) hands on errors of the network that concern one peer only; so do firewalls."""
    real, failures = tcp._accept, iter([OSError(number, "x")] * 2)

    def failing(listener: socket.socket) -> tuple[int, object]:
        error = next(failures, None)
        if error is not None:
            raise error
        return real(listener)

    server, port = start()
    monkeypatch.setattr(tcp, "_accept", failing)
    with connect(port) as client:
        client.sendall(b"a\n")
        assert client.recv(10) == b"A\n"
    assert server.counts.limits == {limit: 2}
    assert len(caplog.records) == 1


def test_a_connection_that_can_not_be_set_up_is_closed_and_the_next_one_served() -> None:
    def broken() -> ssl.SSLContext:
        raise MemoryError

    server, listener = TcpServer(open_conversation, QUICK), listen()
    with listener:
        server.serve(listener, broken)
        for _ in range(2):
            with connect(listener.getsockname()[1]) as client:
                assert read_all(client) == b""
        assert server.counts.limits == {"accept_error": 2}
        server.drain(0.05)


def test_a_bug_ends_its_connection_and_is_logged(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    server, port = start()
    with connect(port) as client:
        client.sendall(b"crash\n")
        with pytest.raises(ConnectionResetError):
            read_all(client)
    assert server.counts.limits == {"internal_error": 1}
    assert [record.exc_info is not None for record in caplog.records] == [True]
    with connect(port) as client:
        client.sendall(b"a\n")
        assert client.recv(10) == b"A\n"


def test_a_pipeline_lets_others_run(start: Start) -> None:
    _, port = start(Limits(idle=60))
    with connect(port) as greedy, connect(port) as modest:
        greedy.sendall(b"a\n" * 30_000)
        modest.sendall(b"b\n")
        modest.recv(10)
        greedy.setblocking(False)
        answered = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                answered += len(greedy.recv(65536))
        assert answered < 60_000  # not all before the one

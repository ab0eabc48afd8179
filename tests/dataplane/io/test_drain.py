"""The end of a server: nobody who was let in is lost, and nobody takes a clean end for a cut."""

import select
import socket
from dataclasses import replace

import gevent
import pytest
from gevent import socket as gevent_socket

from dataplane.io.stream import loop_now
from dataplane.io.tcp import TcpServer
from tests.dataplane.io.echo import open_conversation
from tests.dataplane.io.lines import LONG, QUICK, Start, connect, listen, read_all, until


class TestDraining:
    def test_idle_connections_are_closed_and_nobody_new_is_let_in(self, start: Start) -> None:
        server, port = start(LONG)
        with connect(port) as client:
            client.sendall(b"one\n")
            client.recv(10)
            server.drain(5)
            assert client.recv(10) == b""
        assert server.connections == 0
        assert server.counts.limits == {}
        with pytest.raises(ConnectionRefusedError):
            connect(port)

    def test_what_is_in_flight_finishes(self, start: Start) -> None:
        server, port = start(LONG)
        with connect(port) as client:
            client.sendall(b"pull\n")
            until(lambda: server.connections == 1)
            gevent.sleep(0.02)
            draining = gevent.spawn(server.drain, 60)
            gevent.sleep(0.02)
            client.sendall(b"last\n")
            assert read_all(client) == b"pulled last\n"
            draining.get(timeout=30)
        assert server.counts.limits == {}

    def test_who_has_just_asked_may_ask_once_more(self, start: Start) -> None:
        """Its next request may be on the way: closing now would lose it."""
        server, port = start(replace(LONG, parting=5))
        with connect(port) as client:
            client.sendall(b"one\n")
            assert client.recv(10) == b"ONE\n"
            draining = gevent.spawn(server.drain, 60)
            gevent.sleep(0.05)
            client.sendall(b"two\n")
            assert read_all(client) == b"TWO\n"
            client.close()
            draining.get(timeout=30)

    def test_half_a_message_is_waited_for(self, start: Start) -> None:
        server, port = start(LONG)
        with connect(port) as client:
            client.sendall(b"o")
            until(lambda: server.connections == 1)
            draining = gevent.spawn(server.drain, 60)
            for letter in (b"n", b"e"):
                gevent.sleep(0.05)
                client.sendall(letter)
            gevent.sleep(0.2)
            client.sendall(b"\n")
            assert read_all(client) == b"ONE\n"
            draining.get(timeout=30)

    def test_whoever_waits_in_the_queue_is_served(self, start: Start) -> None:
        server, port = start(LONG)
        # The system's own sockets: nothing is accepted meanwhile.
        clients = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(60)]
        for client in clients[:30]:
            client.sendall(b"one\n")
        draining = gevent.spawn(server.drain, 60)
        gevent.sleep(0.05)
        for client in clients[30:]:
            client.sendall(b"one\n")
        draining.get(timeout=30)
        assert [client.makefile("rb").read() for client in clients] == [b"ONE\n"] * 60
        for client in clients:
            client.close()

    def test_who_says_nothing_does_not_hold_it_up(self, start: Start) -> None:
        server, port = start(replace(LONG, message=60))
        with connect(port) as client:
            until(lambda: server.connections == 1)
            with gevent.Timeout(20):
                server.drain(30)
            assert client.recv(10) == b""

    def test_who_may_say_whose_connection_it_is_and_says_nothing_does_not_either(self) -> None:
        """Accepted in the drain, and silent where a PROXY header may come."""
        server = TcpServer(open_conversation, replace(LONG, settle=0.3), relays=lambda _: True)
        with listen() as listener:
            server.serve(listener)
            with gevent.Timeout(20):
                draining = gevent.spawn(server.drain, 30)
                gevent.sleep(0.05)
                with connect(listener.getsockname()[1]) as client:
                    draining.get()
                    assert client.recv(10) == b""

    def test_what_comes_too_late_finds_a_clean_end(self, start: Start) -> None:
        """A reset might be taken for a request cut in half, which nobody may send again."""
        server, port = start(replace(LONG, linger=60))
        with connect(port) as client:
            client.sendall(b"one\n")
            client.recv(10)
            draining = gevent.spawn(server.drain, 60)
            until(lambda: client_has_ended(client))
            client.sendall(b"two\n")
            assert client.recv(10) == b""
            client.sendall(b"three\n")
            assert client.recv(10) == b""
            client.close()
            draining.get(timeout=30)

    def test_what_takes_too_long_is_cut_and_counted(self, start: Start) -> None:
        server, port = start(LONG)
        with connect(port) as client:
            client.sendall(b"pull\n")
            until(lambda: server.connections == 1)
            gevent.sleep(0.02)
            server.drain(0.05)
            assert server.counts.limits == {"drain_timeout": 1}
            assert server.connections == 0
            with pytest.raises(ConnectionResetError):  # half an answer must not look whole
                client.recv(10)


def client_has_ended(client: gevent_socket.socket) -> bool:
    """Whether the server's side has been shut."""
    try:
        return client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False


def test_a_request_that_comes_with_the_end_of_an_idle_connection_is_answered(start: Start) -> None:
    """It lies there when the time is up: to close now would lose it."""
    server, port = start(replace(QUICK, idle=0.1, tick=10))
    with connect(port) as client:
        client.sendall(b"one\n")
        client.recv(10)
        ((stream, _),) = server._live.values()
        while loop_now() < stream._deadline:
            gevent.sleep(0.01)
        client.sendall(b"two\n")
        # The next round of the loop finds both, the request and that the time is up.
        select.select([stream._socket], [], [], 5)
        gevent.get_hub().loop.run_callback(stream.expire, stream._deadline)
        assert client.recv(10) == b"TWO\n"
        assert server.counts.limits == {}

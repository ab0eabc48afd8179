"""The relay does to a connection what it says, or the tests below it would test nothing."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.chaos import stays
from tests.support.peers_program import eventually
from tests.support.relay import Cut, CutAfter, Delay, Forward, HalfOpen, Hold, HoldAfter, Relay, Throttle

pytestmark = pytest.mark.interop


class Server:
    """Sends back what comes, and knows how its connections ended."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.ends: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1 << 20):
                    connection.sendall(data)
                self.ends.append("closed")
            except OSError as error:
                self.ends.append(type(error).__name__)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    # shutdown, since a close alone doesn't wake who waits in accept.
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    with Relay(("127.0.0.1", server.listener.getsockname()[1])) as relay:
        yield relay


def call(relay: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", relay.port), timeout=30)


def echoed(connection: socket.socket, sent: bytes) -> bytes:
    connection.sendall(sent)
    return received(connection, len(sent))


def received(connection: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        part = connection.recv(1 << 20)
        if not part:
            break
        got += part
    return got


def silent(connection: socket.socket, seconds: float = 0.2) -> bool:
    connection.settimeout(seconds)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(30)
    return False


def test_forwards_and_tells_of_the_end(relay: Relay, server: Server) -> None:
    with call(relay) as connection:
        sent = bytes(range(256)) * 4096
        assert echoed(connection, sent) == sent
    eventually(lambda: server.ends, "the server hears of the end")


def test_delays_each_direction_and_not_the_throughput(relay: Relay) -> None:
    # Long enough for a busy machine not to take as long again.
    relay.become(Delay(seconds=0.4))
    with call(relay) as connection:
        began = time.monotonic()
        assert echoed(connection, b"x") == b"x"
        assert 0.8 <= time.monotonic() - began < 5
        began = time.monotonic()
        sent = bytes(8 << 20)
        writer = threading.Thread(target=connection.sendall, args=(sent,))
        writer.start()
        left = len(sent)
        while left:
            left -= len(connection.recv(1 << 20))
        writer.join()
        # One part after the other would take most of a minute.
        assert time.monotonic() - began < 10


def test_holds_back_and_delivers_all_afterwards(relay: Relay, server: Server) -> None:
    with call(relay) as old:
        assert echoed(old, b"before") == b"before"
        relay.become(Hold())
        old.sendall(b"held")
        with call(relay) as new:
            new.sendall(b"held too")
            assert silent(old)
            assert silent(new)
            relay.become(Forward())
            assert old.recv(100) == b"held"
            assert new.recv(100) == b"held too"
            assert not server.ends


def test_a_held_line_tells_of_no_end(relay: Relay, server: Server) -> None:
    connection = call(relay)
    assert echoed(connection, b"x") == b"x"
    relay.become(Hold())
    connection.close()
    stays(lambda: not server.ends, "the server hears nothing", 0.2)
    relay.become(Forward())
    eventually(lambda: server.ends, "the server hears of the end")


def test_cuts_and_refuses(relay: Relay, server: Server) -> None:
    with call(relay) as connection:
        assert echoed(connection, b"x") == b"x"
        relay.become(Cut())
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        eventually(lambda: server.ends == ["ConnectionResetError"], "the server hears of it")
        with pytest.raises(ConnectionResetError), call(relay) as refused:
            echoed(refused, b"x")
    relay.become(Forward())
    with call(relay) as connection:
        assert echoed(connection, b"x") == b"x"


def test_cuts_after_so_many_bytes_and_is_well_then(relay: Relay) -> None:
    with call(relay) as connection:
        relay.become(CutAfter(size=1000))
        connection.sendall(bytes(5000))
        got = 0
        with pytest.raises(ConnectionResetError):
            while True:
                got += len(connection.recv(5000))
        assert got <= 1000
    with call(relay) as connection:
        assert echoed(connection, b"x") == b"x"


def test_holds_after_so_many_bytes(relay: Relay) -> None:
    with call(relay) as connection:
        relay.become(HoldAfter(size=1000))
        connection.sendall(bytes(5000))
        assert received(connection, 1000) == bytes(1000)
        assert silent(connection)
        assert relay.delivered == 1000
        relay.become(Forward())
        assert received(connection, 4000) == bytes(4000)


def test_half_open_only_the_server_knows(relay: Relay, server: Server) -> None:
    with call(relay) as connection:
        assert echoed(connection, b"x") == b"x"
        relay.become(HalfOpen())
        eventually(lambda: server.ends == ["ConnectionResetError"], "the server hears of it")
        connection.sendall(b"into the void")
        assert silent(connection)
        relay.become(Forward())
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_throttles(relay: Relay) -> None:
    relay.become(Throttle(rate=100_000))
    with call(relay) as connection:
        began = time.monotonic()
        assert len(echoed(connection, bytes(20_000))) == 20_000
        # Both ways at this rate, and what a busy machine takes besides.
        assert 0.15 < time.monotonic() - began < 5

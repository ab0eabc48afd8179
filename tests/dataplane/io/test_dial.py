import socket
from pathlib import Path

import gevent
import pytest
from gevent import Greenlet
from gevent import socket as gevent_socket
from gevent.event import Event

from dataplane.io.dial import TcpAddress, UnixAddress, Upstream, dial
from dataplane.io.resolve import Resolver
from tests.dataplane.io.doors import Peer, Play, black_hole, echo, hold, nowhere, reset, sleep, there
from tests.dataplane.io.lines import until

BIG = 8_000_000


def get(upstream: Upstream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = upstream.read(5)
        assert piece, data
        data += piece
    return data


def test_reaches_tcp_and_unix_sockets(tmp_path: Path) -> None:
    for family, name in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, str(tmp_path / "s"))):
        with socket.socket(family) as listener:
            listener.bind(name)
            listener.listen(1)
            here = listener.getsockname()
            address = TcpAddress(host=here[0], port=here[1]) if family == socket.AF_INET else UnixAddress(path=here)
            with dial(address, 5) as upstream:
                there, _ = listener.accept()
                with there:
                    upstream.write(b"ping", 5)
                    assert there.recv(10) == b"ping"
                    there.sendall(b"pong")
                    assert upstream.read(5) == b"pong"
                    upstream.half_close()
                    assert there.recv(10) == b""


def test_nobody_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        dial(UnixAddress(path=str(tmp_path / "missing")), 1)
    with pytest.raises(ConnectionRefusedError):
        dial(nowhere(), 1)


def test_nobody_who_answers_is_a_time_out() -> None:
    with black_hole() as address, pytest.raises(TimeoutError):
        dial(address, 0.02)


def test_a_connection_is_watched_over_by_the_kernel() -> None:
    with there(hold) as address, dial(address, 5) as upstream:
        sock = upstream._below._socket
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [sock.getsockopt(socket.IPPROTO_TCP, each) for each in options] == [30, 10, 3]


# Names


def test_a_name_is_looked_up_anew_and_followed_where_it_goes() -> None:
    answers = ["127.0.0.1"]
    resolver = Resolver(lambda _: tuple(answers))
    with there(echo) as address:
        here = TcpAddress(host="app.example", port=address.port)
        dial(here, 5, resolver=resolver).close()
        answers[:] = ["127.0.0.2"]
        resolver._names.clear()
        with pytest.raises(ConnectionRefusedError, match=r"127\.0\.0\.2"):
            dial(here, 5, resolver=resolver)


def test_the_address_that_is_there_is_tried_first_from_then_on() -> None:
    resolver = Resolver(lambda _: ("127.0.0.2", "127.0.0.1"))
    with there(echo) as address:
        dial(TcpAddress(host="app.example", port=address.port), 5, resolver=resolver).close()
    assert resolver.get_addresses("app.example", 5) == ("127.0.0.1", "127.0.0.2")


def test_a_name_that_is_not_known() -> None:
    def look_up(_: str) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(socket.gaierror, match="not known"):
        dial(TcpAddress(host="app.example", port=1), 5, resolver=Resolver(look_up))


def test_an_answer_that_is_none() -> None:
    with pytest.raises(OSError, match="no address that can be used"):
        dial(TcpAddress(host="app.example", port=1), 5, resolver=Resolver(lambda _: ("nonsense",)))


# Deadlines


def test_silence_is_a_time_out_each_time() -> None:
    with there(hold) as address, dial(address, 5) as upstream:
        for seconds in (0.01, 60, 0.01, 0.02, 0.01):
            if seconds < 1:
                with pytest.raises(TimeoutError, match="says nothing"):
                    upstream.read(seconds)
            else:
                waiting = gevent.spawn(upstream.read, seconds)
                gevent.sleep(0)
                waiting.kill()


def test_a_deadline_that_moves_on_is_looked_at_when_it_is_due() -> None:
    """The timer of the first read goes off in the second, which has more time."""
    with there(echo) as address, dial(address, 5) as upstream:
        upstream.write(b"a", 1)
        until(lambda: not upstream._below.is_silent)
        assert upstream.read(0.3) == b"a"
        with pytest.raises(TimeoutError):
            upstream.read(0.6)
        upstream.write(b"b", 1)
        assert upstream.read(None) == b"b"


def test_a_reader_without_a_deadline_waits() -> None:
    with there(echo) as address, dial(address, 5) as upstream:
        with pytest.raises(TimeoutError):
            upstream.read(0.01)
        waiting = gevent.spawn(upstream.read, None)
        gevent.sleep(0.03)
        assert not waiting.ready()
        upstream.write(b"x", 1)
        assert waiting.get(timeout=30) == b"x"


def test_a_write_that_nobody_takes_is_a_time_out() -> None:
    def ignore(peer: Peer) -> None:
        gevent.sleep(9)
        peer.close()

    with there(ignore) as address, dial(address, 5) as upstream, pytest.raises(TimeoutError, match="takes nothing"):
        upstream.write(bytes(BIG), 0.02)


def test_much_goes_both_ways_at_once() -> None:
    with there(echo) as address, dial(address, 5) as upstream:
        sending = gevent.spawn(upstream.write, bytes(BIG), 5)
        assert get(upstream, BIG) == bytes(BIG)
        sending.get(timeout=30)


# Ends


def test_a_reset_is_an_error() -> None:
    def answer(peer: Peer) -> None:
        peer.recv(1)
        reset(peer)

    with there(answer) as address, dial(address, 5) as upstream:
        upstream.write(b"x", 1)
        with pytest.raises(ConnectionResetError):
            upstream.read(5)


def test_closing_wakes_who_reads_and_who_writes() -> None:
    with there(sleep) as address:
        for greenlets in (1, 2):
            upstream = dial(address, 5)
            waiting: list[Greenlet[..., object]] = [gevent.spawn(upstream.read, 60.0)]
            if greenlets == 2:
                waiting.append(gevent.spawn(upstream.write, bytes(10 * BIG), 60.0))
            gevent.sleep(0)
            upstream.close()
            upstream.close()
            for each in waiting:
                each.join(timeout=30)
                assert isinstance(each.exception, ConnectionAbortedError)


def test_who_reads_can_be_interrupted() -> None:
    with there(hold) as address, dial(address, 5) as upstream:
        waiting = gevent.spawn(upstream.read, None)
        gevent.sleep(0)
        upstream.interrupt()
        waiting.join(timeout=30)
        assert isinstance(waiting.exception, ConnectionAbortedError)


def test_an_abort_is_a_reset() -> None:
    seen: list[object] = []

    def listen(peer: gevent_socket.socket) -> None:
        try:
            seen.append(peer.recv(1))
        except ConnectionResetError as error:
            seen.append(error)

    with there(listen) as address:
        upstream = dial(address, 5)
        gevent.sleep(0.01)
        upstream.abort()
        upstream.abort()
        until(lambda: bool(seen))
    assert isinstance(seen[0], ConnectionResetError)


# At rest


@pytest.mark.parametrize("play", [lambda peer: peer.close(), reset, lambda peer: peer.sendall(b"unasked")])
def test_what_ends_or_speaks_at_rest_is_noticed(play: Play) -> None:
    go = Event()

    def later(peer: Peer) -> None:
        go.wait()
        play(peer)
        gevent.sleep(9)

    noticed: list[Upstream] = []
    with there(later) as address, dial(address, 5) as upstream:
        upstream.rest(noticed.append)
        assert not upstream.is_stale()
        go.set()
        until(lambda: bool(noticed))
        assert noticed == [upstream]
        assert upstream.is_stale()


def test_what_is_unread_is_seen_without_a_rest() -> None:
    with there(lambda peer: peer.sendall(b"HTTP/1.1 408\r\n\r\n")) as address, dial(address, 5) as upstream:
        until(upstream.is_stale)


def test_a_rest_ends_and_nobody_is_told() -> None:
    noticed: list[Upstream] = []
    with there(echo) as address, dial(address, 5) as upstream:
        for _ in range(3):
            upstream.rest(noticed.append)
            gevent.sleep(0.001)
            upstream.stir()
            upstream.write(b"x", 1)
            assert upstream.read(5) == b"x"
        assert not upstream.is_stale()
    assert not noticed

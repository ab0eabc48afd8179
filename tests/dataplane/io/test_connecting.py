"""One socket of several addresses; the dead ones are real: ports where nobody listens, queues that are full."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import gevent
import pytest
from gevent import socket as gevent_socket

from dataplane.io import connecting
from dataplane.io.connecting import Endpoint, connect_first, connect_local, find_numeric, is_own


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def alive(held: ExitStack, host: str) -> Endpoint:
    return at(held, host, queue=16)


def deaf(held: ExitStack, host: str) -> Endpoint:
    """Its queue is full, so the kernel drops what comes."""
    endpoint = at(held, host, queue=0)
    for _ in range(3):
        waiting = held.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
        waiting.setblocking(False)
        waiting.connect_ex(endpoint.address)
    return endpoint


def closed(host: str) -> Endpoint:
    with ExitStack() as held:
        return at(held, host, queue=1)


def accept_for_ever(listener: gevent_socket.socket) -> None:
    while True:
        listener.accept()[0].close()


LISTENERS: dict[Endpoint, int] = {}


def at(held: ExitStack, host: str, queue: int) -> Endpoint:
    listener = held.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
    listener.bind((host, 0))
    listener.listen(queue)
    endpoint = find_numeric(host, listener.getsockname()[1])
    assert endpoint is not None
    LISTENERS[endpoint] = listener.fileno()
    return endpoint


def winner(*endpoints: Endpoint, timeout: float = 5) -> tuple[Endpoint, list[Endpoint]]:
    sock, in_vain = connect_first(endpoints, timeout)
    with sock:
        peer = sock.getpeername()
    [won] = [each for each in endpoints if each.address == peer]
    return won, [*in_vain]


def test_the_first_is_taken_when_it_is_there(held: ExitStack) -> None:
    first, second = alive(held, "127.0.0.1"), alive(held, "127.0.0.1")
    assert winner(first, second) == (first, [])


def test_who_is_held_up_meanwhile_looks_before_it_goes_on(held: ExitStack) -> None:
    first, second = alive(held, "127.0.0.1"), alive(held, "127.0.0.1")
    busy = gevent.spawn(time.sleep, 1.5 * connecting._STAGGER)
    assert winner(first, second) == (first, [])
    busy.get()


def test_one_that_refuses_is_followed_at_once(held: ExitStack) -> None:
    dead, living = closed("127.0.0.1"), alive(held, "127.0.0.1")
    assert winner(dead, living) == (living, [dead])


def test_a_dead_ipv6_beside_a_living_ipv4(held: ExitStack) -> None:
    dead, living = deaf(held, "::1"), alive(held, "127.0.0.1")
    assert winner(dead, living) == (living, [dead])


def test_an_early_one_may_still_win(held: ExitStack) -> None:
    """The second is begun since the first is late, and refuses: then the first has the rest of the time."""
    late = deaf(held, "127.0.0.1")
    with gevent_socket.fromfd(LISTENERS[late], socket.AF_INET, socket.SOCK_STREAM) as listener:
        accepting = gevent.spawn(accept_for_ever, listener)
        assert winner(late, closed("127.0.0.1"))[0] == late
        accepting.kill()


def test_all_that_refuse() -> None:
    with pytest.raises(ConnectionRefusedError, match=r"Connection refused \(127\.0\.0\.1\)"):
        connect_first((closed("127.0.0.1"), closed("127.0.0.1")), 5)


def test_all_that_are_silent(held: ExitStack) -> None:
    with pytest.raises(TimeoutError, match="no connection in time"):
        connect_first((deaf(held, "127.0.0.1"), deaf(held, "127.0.0.1")), 0.02)


def test_an_address_that_can_not_be_reached_from_here(held: ExitStack) -> None:
    nowhere = Endpoint(socket.AF_INET6, ("::ffff:0.0.0.0", 1), "nowhere")
    living = alive(held, "127.0.0.1")
    assert winner(nowhere, living)[0] == living


def test_who_waits_can_be_ended(held: ExitStack) -> None:
    waiting = gevent.spawn(connect_first, (deaf(held, "127.0.0.1"),), 60)
    gevent.sleep(0)
    waiting.kill(timeout=30)
    assert waiting.dead


@pytest.mark.parametrize("text", ["app", "", "127.0.0.1 ", "::1]", "a\0b", "x" * 300])
def test_a_name_is_no_address(text: str) -> None:
    assert find_numeric(text, 80) is None


def test_a_unix_socket_with_a_full_queue(tmp_path: object) -> None:
    path = f"{tmp_path}/s"
    with ExitStack() as held:
        listener = held.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        first = held.enter_context(connect_local(path, 5))
        assert first.getpeername() == path
        with pytest.raises(TimeoutError, match="queue"):
            connect_local(path, 0.02)
        second = gevent.spawn(connect_local, path, 5)
        gevent.sleep(0.01)
        listener.accept()[0].close()
        second.get(timeout=30).close()


def test_a_socket_that_is_connected_to_itself() -> None:
    with socket.socket() as sock, socket.socket() as other:
        assert not is_own(other)
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        assert is_own(sock)

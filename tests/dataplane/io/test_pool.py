"""Pools on real sockets. Time is real for what waits, and runs ahead where something has to grow old."""

import gc
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent import socket as gevent_socket
from gevent.event import Event
from gevent.server import StreamServer

from dataplane.io.dial import Address, TcpAddress, UnixAddress
from dataplane.io.pool import DialFailure, Full, Lease, Pool, PoolLimits, Target, Unreachable, Upstreams, targets_of
from dataplane.io.resolve import Resolver
from dataplane.io.url import parse_upstream
from tests.dataplane.io.doors import Peer, black_hole, echo, hold, nowhere, there
from tests.dataplane.io.lines import until
from tests.dataplane.io.upstreams import authority, certificate, secured, server_tls, way


class Clock:
    """The real one, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


def bounce(lease: Lease) -> None:
    lease.wire.write(b"x", 5)
    assert lease.wire.read(5) == b"x"


@contextmanager
def pool_of(address: Address, now: Callable[[], float] = time.monotonic, **limits: Any) -> Iterator[Pool]:
    limits.setdefault("connections", 2)
    pool = Pool(Target(text="the app", address=address), PoolLimits(connect=5, **limits), now=now)
    try:
        yield pool
    finally:
        pool.close()
        until(lambda: pool.open == 0)
        assert (pool.idle, pool.waiting) == (0, 0)


def spin(times: int = 3) -> None:
    for _ in range(times):
        gevent.sleep(0)


# Kept


def test_what_is_given_back_is_taken_again_the_newest_first() -> None:
    with there(echo) as address, pool_of(address) as pool:
        first, second = pool.take(0), pool.take(0)
        assert (first.reused, second.reused, first.address) == (False, False, "the app")
        for lease in (first, second):
            bounce(lease)
            lease.give_back()
        assert (pool.open, pool.idle) == (2, 2)
        again = pool.take(0)
        assert again.reused
        assert again.wire is second.wire
        bounce(again)
        again.drop()
        assert (pool.open, pool.idle) == (1, 1)
        assert (pool.counts.dials, pool.counts.reused) == (2, 1)


def test_a_lease_ends_once() -> None:
    with there(echo) as address, pool_of(address) as pool:
        lease = pool.take(0)
        lease.give_back()
        lease.give_back()
        lease.drop()
        lease.blame()
        assert (pool.open, pool.idle, pool.health.troubled) == (1, 1, False)


def test_a_fresh_one_has_carried_nothing() -> None:
    with there(echo) as address, pool_of(address) as pool:
        pool.take(0).give_back()
        fresh = pool.take(0, rested=0)
        assert not fresh.reused
        assert (pool.open, pool.idle) == (2, 1)
        second = pool.take(0, rested=0)  # there is room for two: the one at rest makes way
        assert not second.reused
        assert (pool.open, pool.idle) == (2, 0)
        second.drop()
        fresh.drop()


def test_one_that_has_rested_for_longer_than_it_may_is_left_alone(clock: Clock) -> None:
    with there(echo) as address, pool_of(address, clock) as pool:
        pool.take(0).give_back()
        clock.ahead = 2
        lease = pool.take(0, rested=1)
        assert not lease.reused
        assert pool.idle == 1
        lease.give_back()
        clock.ahead = 0
        again = pool.take(0, rested=1)
        assert again.wire is lease.wire
        again.drop()


# Stale


def test_one_that_the_upstream_ends_at_rest_is_closed_at_once() -> None:
    end = Event()

    def play(peer: Peer) -> None:
        peer.recv(1)
        peer.sendall(b"x")
        end.wait()

    with there(play) as address, pool_of(address) as pool:
        lease = pool.take(0)
        bounce(lease)
        lease.give_back()
        end.set()
        until(lambda: pool.open == 0)
        assert (pool.idle, pool.counts.stale) == (0, 1)
        lease = pool.take(0)
        assert not lease.reused
        lease.drop()


def test_one_that_says_something_unasked_is_not_used_again() -> None:
    def play(peer: Peer) -> None:
        peer.sendall(b"HTTP/1.1 408 \r\n\r\n")
        hold(peer)

    with there(play) as address, pool_of(address) as pool:
        lease = pool.take(0)
        until(lease.wire.is_stale)
        lease.give_back()
        another = pool.take(0)  # before the loop had a look
        assert not another.reused
        assert (pool.counts.stale, pool.open) == (1, 1)
        another.drop()


# Old


def test_what_rests_too_long_is_closed(clock: Clock) -> None:
    with there(echo) as address, pool_of(address, clock, idle=50) as pool:
        old, young = pool.take(0), pool.take(0)
        old.give_back()
        young.give_back()
        young.wire.rested += 49
        clock.ahead = 49
        pool.reap()
        assert pool.idle == 2
        clock.ahead = 51
        pool.reap()
        assert list(pool._idle) == [young.wire]
        clock.ahead = 200
        pool.reap()
        assert (pool.open, pool.counts.reaped) == (0, 2)


def test_the_pool_looks_by_itself() -> None:
    with there(echo) as address, pool_of(address, idle=0.02) as pool:
        for _ in range(2):
            pool.take(0).give_back()
            until(lambda: pool.open == 0)
        assert pool.counts.reaped == 2


def test_what_has_lived_too_long_is_closed_when_it_is_given_back(clock: Clock) -> None:
    with there(echo) as address, pool_of(address, clock, lifetime=600) as pool:
        lease = pool.take(0)
        clock.ahead = 601
        lease.give_back()
        assert (pool.open, pool.counts.reaped) == (0, 1)


# Full


def test_who_waits_gets_what_is_given_back_in_turn() -> None:
    with there(echo) as address, pool_of(address, connections=1) as pool:
        held = pool.take(0)
        served: list[int] = []

        def ask(number: int) -> None:
            lease = pool.take(5)
            assert lease.reused
            bounce(lease)
            served.append(number)
            lease.give_back()

        asking = [gevent.spawn(ask, number) for number in range(5)]
        spin()
        assert pool.waiting == 5
        held.give_back()
        gevent.joinall(asking, timeout=5, raise_error=True)
        assert served == [0, 1, 2, 3, 4]
        assert (pool.open, pool.idle, pool.counts.dials) == (1, 1, 1)


@pytest.mark.parametrize("fresh", [True, False])
def test_who_waits_may_make_one_where_another_is_dropped(*, fresh: bool) -> None:
    with there(echo) as address, pool_of(address, connections=1) as pool:
        held = pool.take(0)
        waiting = gevent.spawn(pool.take, 5.0, 0.0 if fresh else 60.0)
        spin()
        if fresh:
            held.give_back()
        else:
            held.drop()
        lease = waiting.get(timeout=5)
        assert not lease.reused
        bounce(lease)
        assert pool.open == 1
        lease.drop()


def test_who_waits_is_not_given_what_has_ended() -> None:
    with there(lambda peer: peer.sendall(b"x")) as address, pool_of(address, connections=1) as pool:
        held = pool.take(0)
        assert held.wire.read(5) == b"x"
        until(held.wire.is_stale)
        waiting = gevent.spawn(pool.take, 5.0)
        spin()
        held.give_back()
        lease = waiting.get(timeout=5)
        assert (lease.reused, pool.open) == (False, 1)
        lease.drop()


def test_who_has_waited_long_enough_is_told_so() -> None:
    with there(echo) as address, pool_of(address, connections=1) as pool:
        held = pool.take(0)
        for patience in (0, 0.01):
            with pytest.raises(Full, match="the app: all 1 connections are in use") as error:
                pool.take(patience)
        assert error.value.failure is DialFailure.FULL
        assert (pool.waiting, pool.counts.failures[DialFailure.FULL]) == (0, 2)
        held.drop()


@pytest.mark.parametrize("given", ["give_back", "drop"])
def test_what_was_meant_for_somebody_who_has_left_goes_to_the_next(given: str) -> None:
    with there(echo) as address, pool_of(address, connections=1) as pool:
        held = pool.take(0)
        leaving, early, staying = (gevent.spawn(pool.take, 5.0) for _ in range(3))
        spin()
        early.kill()
        assert pool.waiting == 2
        leaving.kill(block=False)
        held.give_back() if given == "give_back" else held.drop()  # to one who is about to leave
        assert pool.waiting == 1
        lease = staying.get(timeout=5)
        bounce(lease)
        assert (pool.open, pool.waiting) == (1, 0)
        lease.drop()


def test_who_fails_to_connect_leaves_the_place_to_the_next() -> None:
    answers: list[str] = ["127.0.0.2"]
    with there(echo) as address:
        here = Target(text="the app", address=TcpAddress(host="app.example", port=address.port))
        pool = Pool(here, PoolLimits(connections=1), Resolver(lambda _: tuple(answers)))
        waiting = [gevent.spawn(pool.take, 5.0) for _ in range(3)]
        gevent.joinall(waiting, timeout=5)
        assert {type(each.exception) for each in waiting} == {Unreachable}
        assert (pool.open, pool.waiting) == (0, 0)


# Closed


def test_a_pool_that_is_closed_keeps_nothing_and_serves_who_is_there() -> None:
    with there(echo) as address, pool_of(address) as pool:
        resting, leased = pool.take(0), pool.take(0)
        resting.give_back()
        pool.close()
        assert (pool.open, pool.idle) == (1, 0)
        bounce(leased)
        waiting = [gevent.spawn(pool.take, 5.0) for _ in range(2)]
        spin()
        leased.give_back()
        for each in waiting:
            lease = each.get(timeout=5)
            bounce(lease)
            lease.give_back()
        assert pool.open == 0


# What is wrong


def failure_of(target: Target, connect: float = 5) -> Unreachable:
    upstreams = Upstreams([target], PoolLimits(connect=connect))
    with pytest.raises(Unreachable) as error:
        upstreams.take()
    [pool] = upstreams.pools
    assert (pool.open, pool.counts.failures) == (0, {error.value.failure: 1})
    return error.value


def test_failures_say_what_and_where() -> None:
    error = failure_of(Target(text="http://app:81", address=nowhere()))
    assert (error.failure, error.address) == (DialFailure.UNREACHABLE, "http://app:81")
    assert error.detail == "Connection refused (127.0.0.1)"
    assert str(error) == "http://app:81: Connection refused (127.0.0.1)"
    error = failure_of(Target(text="a", address=UnixAddress(path="/nowhere")))
    assert (error.failure, error.detail) == (DialFailure.UNREACHABLE, "No such file or directory")
    with black_hole() as address:
        error = failure_of(Target(text="a", address=address), connect=0.02)
        assert (error.failure, error.detail) == (DialFailure.LATE_CONNECT, "no connection in time")
    with there(hold) as address:
        error = failure_of(Target(text="a", address=address, tls=way()), connect=0.02)
        assert (error.failure, error.detail) == (DialFailure.LATE_CONNECT, "no TLS handshake in time")


def take_one(peer: Peer) -> None:
    peer.recv(1)


def test_failures_of_tls_say_what_does_not_hold() -> None:
    with secured(echo, server_tls(authority().issue("other.example"))) as address:
        error = failure_of(Target(text="a", address=address, tls=way()))
    assert error.failure is DialFailure.TLS
    assert error.detail.startswith("the certificate does not hold: Hostname mismatch")
    with there(take_one) as address:
        error = failure_of(Target(text="a", address=address, tls=way()))
    assert error.failure is DialFailure.TLS


# Several addresses


@contextmanager
def upstreams_of(*addresses: Address, now: Callable[[], float]) -> Iterator[Upstreams]:
    targets = [Target(text=str(number), address=address) for number, address in enumerate(addresses)]
    upstreams = Upstreams(targets, PoolLimits(connections=1, patience=0.01, connect=1), now=now)
    try:
        yield upstreams
    finally:
        upstreams.close()


def visit(upstreams: Upstreams) -> str:
    """Where a request goes."""
    lease = upstreams.take(fresh=True)
    bounce(lease)
    lease.give_back()
    return lease.address


def test_the_first_address_is_preferred_and_returned_to(clock: Clock, tmp_path: object) -> None:
    first = UnixAddress(path=f"{tmp_path}/first")
    with there(echo) as second, upstreams_of(first, second, now=clock) as upstreams:
        assert visit(upstreams) == "1"
        health = upstreams.pools[0].health
        assert health.is_resting
        dials = upstreams.pools[0].counts.dials
        assert visit(upstreams) == "1"  # without asking the first
        assert upstreams.pools[0].counts.dials == dials
        clock.ahead += 1
        assert visit(upstreams) == "1"  # having asked it
        assert upstreams.pools[0].counts.dials == dials + 1
        with serving(first.path):
            assert visit(upstreams) == "1"
            clock.ahead += 2
            assert visit(upstreams) == "0"
            assert visit(upstreams) == "0"
            assert not health.troubled


@contextmanager
def serving(path: str) -> Iterator[None]:
    with gevent_socket.socket(gevent_socket.AF_UNIX, gevent_socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(5)
        server = StreamServer(listener, lambda peer, _: echo(peer))
        server.start()
        try:
            yield
        finally:
            server.stop()


def test_one_request_tries_an_address_that_rested(clock: Clock) -> None:
    with black_hole() as first, there(echo) as second, upstreams_of(first, second, now=clock) as upstreams:
        upstreams.pools[0].health.fail()
        clock.ahead += 1
        trying = gevent.spawn(visit, upstreams)
        spin()
        assert upstreams.pools[0].counts.dials == 1
        assert visit(upstreams) == "1"
        assert upstreams.pools[0].counts.dials == 1
        trying.kill()
        assert not upstreams.pools[0].health.is_resting


def test_when_all_rest_all_are_tried(clock: Clock) -> None:
    with there(echo) as address, upstreams_of(nowhere(), address, nowhere(), now=clock) as upstreams:
        for pool in upstreams.pools:
            pool.health.fail()
        assert visit(upstreams) == "1"
    with upstreams_of(nowhere(), nowhere(), now=clock) as upstreams:
        for dials in (1, 2):
            with pytest.raises(Unreachable) as error:
                upstreams.take()
            assert error.value.address == "1"
            assert [pool.counts.dials for pool in upstreams.pools] == [dials, dials]


def test_an_address_that_breaks_off_what_it_takes_rests_too(clock: Clock) -> None:
    with there(lambda _: None) as first, there(echo) as second, upstreams_of(first, second, now=clock) as upstreams:
        lease = upstreams.take()
        assert lease.wire.read(5) == b""
        lease.blame()
        assert visit(upstreams) == "1"
        clock.ahead += 1
        upstreams.take().blame()
        assert visit(upstreams) == "1"
        clock.ahead += 1.5  # it rests for two seconds now
        assert visit(upstreams) == "1"


def test_full_is_no_failure_of_an_address(clock: Clock) -> None:
    with there(echo) as first, there(echo) as second, upstreams_of(first, second, now=clock) as upstreams:
        lease = upstreams.take()
        with pytest.raises(Full):
            upstreams.take()
        assert not upstreams.pools[0].health.troubled
        lease.give_back()
        assert upstreams.take(patience=5).reused


def test_nothing_is_left_of_upstreams_that_are_closed() -> None:
    with there(echo) as address:
        upstreams = Upstreams([Target(text="a", address=address)])
        upstreams.take().give_back()
        upstreams.close()
        assert upstreams.pools[0].open == 0
        del upstreams
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Pool) and each.target.text == "a"]


# From URLs


def test_targets_are_made_of_urls() -> None:
    context = ssl.create_default_context()
    urls = [parse_upstream(text) for text in ("https://App.example.:1/x", "http://b", "unix:///c", "https://[::1]")]
    targets = targets_of(urls, context)
    assert [target.text for target in targets] == [url.text for url in urls]
    assert [target.address for target in targets] == [url.address for url in urls]
    assert [target.tls and target.tls.server_name for target in targets] == ["app.example", None, None, "::1"]
    assert targets[0].tls is not None
    assert targets[0].tls.context is context
    named = targets_of(urls, context, "sni.example")
    assert [target.tls and target.tls.server_name for target in named] == ["sni.example", None, None, "sni.example"]


def test_connections_in_tls_are_kept_and_sessions_too() -> None:
    with secured(echo, server_tls(certificate())) as address:
        upstreams = Upstreams([Target(text="a", address=address, tls=way())])
        for _ in range(3):
            lease = upstreams.take()
            bounce(lease)
            lease.give_back()
        fresh = upstreams.take(fresh=True)
        bounce(fresh)
        assert fresh.wire._tls is not None
        assert fresh.wire._tls.resumed
        fresh.drop()
        assert (upstreams.pools[0].counts.dials, upstreams.pools[0].counts.reused) == (2, 2)
        upstreams.close()

"""Pools on real sockets. Time is real for what waits, and runs ahead where something has to grow old."""

import gevent
import pytest
from gevent.event import Event

from dataplane.io.dial import TcpAddress
from dataplane.io.pool import DialFailure, Full, Pool, PoolLimits, Target, Unreachable
from dataplane.io.resolve import Resolver
from tests.dataplane.io.doors import Peer, echo, hold, there
from tests.dataplane.io.lines import until
from tests.dataplane.io.upstreams import Clock, bounce, pool_of, spin


@pytest.fixture
def clock() -> Clock:
    return Clock()


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
        gevent.joinall(asking, timeout=30, raise_error=True)
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
        lease = waiting.get(timeout=30)
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
        lease = waiting.get(timeout=30)
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
        lease = staying.get(timeout=30)
        bounce(lease)
        assert (pool.open, pool.waiting) == (1, 0)
        lease.drop()


def test_who_fails_to_connect_leaves_the_place_to_the_next() -> None:
    answers: list[str] = ["127.0.0.2"]
    with there(echo) as address:
        here = Target(text="the app", address=TcpAddress(host="app.example", port=address.port))
        pool = Pool(here, PoolLimits(connections=1), Resolver(lambda _: tuple(answers)))
        waiting = [gevent.spawn(pool.take, 5.0) for _ in range(3)]
        gevent.joinall(waiting, timeout=30)
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
            lease = each.get(timeout=30)
            bounce(lease)
            lease.give_back()
        assert pool.open == 0

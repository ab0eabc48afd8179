"""Upstreams: what is wrong with an address is said, and another one is taken; and what URLs make of it."""

import gc
import os
import resource
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent import socket as gevent_socket
from gevent.server import StreamServer

from dataplane.io.dial import Address, TcpAddress, UnixAddress
from dataplane.io.pool import DialFailure, Full, Pool, PoolLimits, Target, Unreachable, Upstreams, targets_of
from dataplane.io.url import parse_upstream
from tests.dataplane.io.doors import Peer, black_hole, echo, hold, nowhere, there
from tests.dataplane.io.upstreams import Clock, authority, bounce, certificate, secured, server_tls, spin, way


@pytest.fixture
def clock() -> Clock:
    return Clock()


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
        error = failure_of(Target(text="a", address=address, tls=way()), connect=0.5)
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


def test_an_address_that_breaks_off_what_it_takes_rests_too() -> None:
    clock = Clock(stands=True)
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


def test_one_that_answers_others_does_not_rest_for_what_it_breaks_off(clock: Clock) -> None:
    with there(echo) as first, there(echo) as second, upstreams_of(first, second, now=clock) as upstreams:
        assert visit(upstreams) == "0"
        clock.ahead += 1
        upstreams.take(fresh=True).blame()
        assert visit(upstreams) == "0"
        clock.ahead += 3
        upstreams.take().blame()
        assert visit(upstreams) == "1"


@pytest.fixture
def _no_more_files() -> Iterator[None]:
    """As of a process that has as many open as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_no_more_files")
def test_what_we_lack_ourselves_is_no_failure_of_an_address(clock: Clock) -> None:
    address = TcpAddress(host="127.0.0.1", port=9)
    with upstreams_of(address, address, now=clock) as upstreams:
        with pytest.raises(Full, match="open files"):
            upstreams.take()
        assert [pool.health.troubled for pool in upstreams.pools] == [False, False]
        assert [pool.open for pool in upstreams.pools] == [0, 0]


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

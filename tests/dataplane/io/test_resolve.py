"""Names: the resolver is a function of the test's, asked in threads as the real one is; time is the test's too."""

import socket
import threading
from dataclasses import replace

import gevent
import pytest

from dataplane.io.resolve import Resolver, ResolverLimits, system_look_up
from tests.dataplane.io.lines import until

LIMITS = ResolverLimits(fresh=5, pause=1, stale=300, impatience=60, shunned=30, names=3, addresses=4)
AWAY = socket.gaierror(socket.EAI_AGAIN, "try again")
UNKNOWN = socket.gaierror(socket.EAI_NONAME, "no such name")


class World:
    """A resolver with a clock, and what it will be told."""

    def __init__(self, limits: ResolverLimits = LIMITS) -> None:
        self.now = 1000.0
        self.answer: tuple[str, ...] | OSError = ("192.0.2.1",)
        self.asked: list[str] = []
        self.hold: threading.Event | None = None
        self.resolver = Resolver(self.look_up, limits, lambda: self.now)

    def look_up(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        if self.hold is not None:
            assert self.hold.wait(60)
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer

    def get(self, name: str = "app") -> tuple[str, ...]:
        return self.resolver.get_addresses(name, 60)

    def later(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def world() -> World:
    return World()


def test_an_answer_is_used_for_a_few_seconds_then_looked_up_anew(world: World) -> None:
    assert world.get() == ("192.0.2.1",)
    world.answer = ("192.0.2.2",)
    world.later(4)
    assert world.get() == ("192.0.2.1",)
    world.later(2)
    assert world.get() == ("192.0.2.2",)
    assert world.asked == ["app", "app"]
    assert world.resolver.counts.look_ups == 2


def test_families_take_turns_beginning_with_the_preferred_one(world: World) -> None:
    world.answer = ("2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.3")
    assert world.get() == ("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2")


def test_an_address_that_could_not_be_reached_comes_last_for_a_while(world: World) -> None:
    world.answer = ("2001:db8::1", "192.0.2.1")
    world.get()
    world.resolver.shun("app", "2001:db8::1")
    world.resolver.shun("app", "192.0.2.77")  # none of its
    world.resolver.shun("other", "192.0.2.1")  # nobody asked for
    assert world.get() == ("192.0.2.1", "2001:db8::1")
    world.later(31)
    assert world.get() == ("2001:db8::1", "192.0.2.1")


def test_while_the_resolver_fails_the_last_good_answer_counts_for_some_minutes(world: World) -> None:
    world.get()
    world.answer = AWAY
    world.later(10)
    assert world.get() == ("192.0.2.1",)
    assert (world.resolver.counts.failures, world.resolver.counts.kept) == (1, 1)
    assert world.get() == ("192.0.2.1",)  # without asking again so soon
    assert len(world.asked) == 2
    world.later(295)
    with pytest.raises(socket.gaierror, match="try again"):
        world.get()
    world.answer = ("192.0.2.3",)
    with pytest.raises(socket.gaierror, match="try again"):
        world.get()  # a failure is an answer for a moment, too
    world.later(1)
    assert world.get() == ("192.0.2.3",)


def test_that_there_is_no_such_name_counts_at_once(world: World) -> None:
    world.get()
    world.answer = UNKNOWN
    world.later(10)
    with pytest.raises(socket.gaierror, match="no such name"):
        world.get()


def test_a_name_without_an_address_and_one_that_is_none(world: World) -> None:
    world.answer = ()
    with pytest.raises(socket.gaierror, match="no address"):
        world.get()
    with pytest.raises(socket.gaierror, match="can't be a name"):
        Resolver().get_addresses("smörrebröd.invalid", 5)


def test_many_who_want_a_name_ask_once(world: World) -> None:
    world.hold = threading.Event()
    all_of_them = [gevent.spawn(world.get) for _ in range(20)]
    until(lambda: len(world.asked) == 1)
    world.hold.set()
    gevent.joinall(all_of_them, timeout=30)
    assert {each.value for each in all_of_them} == {("192.0.2.1",)}
    assert world.asked == ["app"]


def test_a_resolver_that_hangs_is_a_time_out_where_nothing_is_known(world: World) -> None:
    world.hold = threading.Event()
    with pytest.raises(TimeoutError, match="no address of app in time"):
        world.resolver.get_addresses("app", 0.02)
    world.hold.set()
    assert world.get() == ("192.0.2.1",)
    assert world.asked == ["app"]


def test_names_that_hang_are_no_reason_to_wait_for_another() -> None:
    hold = threading.Event()
    asked: list[str] = []

    def look_up(name: str) -> tuple[str, ...]:
        asked.append(name)
        if name.startswith("dead"):
            assert hold.wait(60)
        return ("192.0.2.1",)

    resolver = Resolver(look_up)
    dead = [gevent.spawn(resolver.get_addresses, f"dead{number}", 60) for number in range(20)]
    until(lambda: len(asked) == len(dead))
    assert resolver.get_addresses("app", 60) == ("192.0.2.1",)
    assert not any(each.ready() for each in dead)
    hold.set()
    gevent.joinall(dead, timeout=30)


def test_a_resolver_that_hangs_costs_little_where_an_answer_is_known() -> None:
    world = World(replace(LIMITS, impatience=0.01))
    world.get()
    world.later(10)
    world.hold = threading.Event()
    world.answer = ("192.0.2.9",)
    assert world.get() == world.get() == ("192.0.2.1",)
    assert world.resolver.counts.kept == 1  # the second one did not even wait
    world.hold.set()
    until(lambda: world.get() == ("192.0.2.9",))
    assert len(world.asked) == 2


def test_names_are_bounded(world: World) -> None:
    for name in ("a", "b", "c", "a", "d", "a"):
        world.get(name)
    assert world.asked == ["a", "b", "c", "d"]
    world.get("b")
    assert world.asked[4:] == ["b"]


def test_the_system_knows_this_machine() -> None:
    assert "127.0.0.1" in system_look_up("localhost")

"""Whose clock it is that sessions end by."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from dataplane.link.clock import TOLERATED, ControlClock
from dataplane.link.enrol import Enrolled
from dataplane.link.keeper import Keeper
from dataplane.link.target import Credentials
from dataplane.link.world import World

NOON = 1_795_000_000.0


class Host:
    """A host whose clocks a test moves."""

    def __init__(self, wall: float = NOON) -> None:
        self.wall = wall
        self.span = 1000.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.span += seconds

    def clock(self) -> ControlClock:
        return ControlClock(lambda: self.wall, lambda: self.span)


def test_until_control_has_spoken_it_is_this_hosts_clock() -> None:
    host = Host()
    clock = host.clock()
    host.wall += 600
    assert clock() == NOON + 600


def test_a_clock_that_agrees_goes_on_being_the_clock() -> None:
    host = Host()
    clock = host.clock()
    host.passes(3)
    # The question took three seconds, and control looked at its clock in between.
    clock.heard(NOON + 1.5, 1000.0)
    host.wall += 1
    assert clock() == NOON + 4


def test_a_clock_that_is_off_is_not_believed() -> None:
    for off in (600, -600):
        host = Host(NOON + off)
        clock = host.clock()
        clock.heard(NOON, 1000.0)
        host.passes(5)
        assert clock() == NOON + 5


def test_setting_a_clock_that_is_not_believed_moves_nothing() -> None:
    host = Host(NOON + 600)
    clock = host.clock()
    clock.heard(NOON, 1000.0)
    host.wall -= 600
    host.passes(5)
    assert clock() == NOON + 5
    clock.heard(NOON + 5, host.span)
    host.wall += 0.5
    assert clock() == NOON + 5.5


def test_enrolment_tells_the_time() -> None:
    credentials = Credentials(
        certificate="", private_key="", authority="", addresses=(), outpost="", name="", issued=NOON, expires=NOON + 60
    )

    async def enrol() -> Enrolled:
        return Enrolled(credentials=credentials, skew=-600.0)

    keeper = Keeper(enrol, World(clock=lambda: NOON + 600, monotonic=lambda: 1000.0))
    assert keeper.ahead is None
    asyncio.run(keeper.get())
    assert keeper.ahead == NOON - 1000.0


@given(
    off=st.floats(-1e6, 1e6),
    took=st.floats(0, 5),
    looked=st.floats(0, 1),
)
def test_it_is_never_further_off_than_the_answer_took(off: float, took: float, looked: float) -> None:
    host = Host(NOON + off)
    clock = host.clock()
    asked = host.span
    host.passes(took)
    clock.heard(NOON + took * looked, asked)
    assert abs(clock() - (NOON + took)) <= took + TOLERATED + 1e-3

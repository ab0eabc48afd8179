"""What one outpost may take: crowds that are full, allowances that run out and come back."""

import asyncio

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.link.caller import CallRefused
from control.link.limits import Allowance, Crowd, Limits


class Ticker:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_crowd_is_full_for_one_and_not_for_another() -> None:
    crowd = Crowd()
    with crowd.entered("a", 1, "too_many_calls"):
        with pytest.raises(CallRefused) as error, crowd.entered("a", 1, "too_many_calls"):
            pass
        refusal = error.value
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too_many_calls")
        assert str(refusal) == "too many calls: 1 at a time are served"
        with crowd.entered("b", 1, "too_many_calls"):
            pass
    with crowd.entered("a", 1, "too_many_calls"):
        pass


def test_who_leaves_in_a_hurry_makes_room_too() -> None:
    crowd = Crowd()
    for _ in range(3):
        with pytest.raises(ValueError, match="hurry"), crowd.entered("a", 1, "too_many_calls"):
            raise ValueError("hurry")


def test_an_allowance_runs_out_and_comes_back() -> None:
    ticker = Ticker()
    allowance = Allowance(3, 2.0, ticker)
    assert [allowance.spend("a") for _ in range(4)] == [True, True, True, False]
    assert allowance.spend("b")
    ticker.now += 1.9
    assert not allowance.spend("a")
    ticker.now += 0.2
    assert [allowance.spend("a") for _ in range(2)] == [True, False]
    ticker.now += 1000
    assert [allowance.spend("a") for _ in range(4)] == [True, True, True, False]


@given(st.lists(st.floats(0, 20), max_size=200))
def test_nobody_gets_more_than_the_rate_and_the_burst(pauses: list[float]) -> None:
    ticker = Ticker()
    allowance = Allowance(5, 2.0, ticker)
    given_out = 0
    for pause in pauses:
        ticker.now += pause
        given_out += allowance.spend("a")
    assert given_out <= 5 + (ticker.now - 100.0) / 2.0 + 0.001


def test_who_waits_gets_its_turn() -> None:
    async def play() -> int:
        allowance = Allowance(2, 0.001)
        for _ in range(20):
            await allowance.until_some("a")
            allowance.pay("a", 1)
        return len(allowance._paid)

    assert asyncio.run(play()) == 1


def test_who_has_everything_back_is_forgotten() -> None:
    ticker = Ticker()
    allowance = Allowance(3, 2.0, ticker)
    for key in range(100_000):
        ticker.now += 0.1
        allowance.spend(key)
    assert len(allowance._paid) <= 1024


def test_who_is_to_hold_much_may_hold_much() -> None:
    assert [Limits().most_held(wanted) for wanted in (10, 200_000)] == [50_000, 800_000]

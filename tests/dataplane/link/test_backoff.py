"""Full jitter, and the breaker: both against given times."""

import pytest

from dataplane.link.backoff import Backoff, Pace
from dataplane.link.breaker import PAUSE, Breaker


def longest(low: float, high: float) -> float:
    assert low == 0
    return high


def test_windows_double_to_the_longest_and_stay_there() -> None:
    backoff = Backoff(Pace(), longest)
    assert [backoff.wait_after(0) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize(("lasted", "wait"), [(59.9, 4.0), (60.0, 0.5)])
def test_a_stable_minute_resets(lasted: float, wait: float) -> None:
    backoff = Backoff(Pace(), longest)
    for _ in range(3):
        backoff.wait_after(0)
    assert backoff.wait_after(lasted) == wait


def test_years_of_failures_do_no_harm() -> None:
    backoff = Backoff(Pace(), longest)
    assert {backoff.wait_after(0) for _ in range(5000)} == {0.5, 1, 2, 4, 8, 16, 30}


def test_the_breaker_opens_after_two_failures_in_a_row() -> None:
    breaker = Breaker()
    for failed in (True, False, True):
        assert breaker.admits(0)
        breaker.failed(0) if failed else breaker.succeeded()
    assert breaker.admits(0)
    breaker.failed(0)
    assert not breaker.admits(PAUSE - 0.01)
    assert breaker.opened == 1


def test_one_probe_at_a_time_finds_out() -> None:
    breaker = Breaker()
    breaker.failed(0)
    breaker.failed(0)
    assert breaker.admits(PAUSE)
    assert not breaker.admits(PAUSE)
    breaker.failed(PAUSE)
    assert not breaker.admits(PAUSE)
    assert breaker.admits(2 * PAUSE)
    breaker.succeeded()
    assert breaker.admits(2 * PAUSE)
    assert breaker.admits(2 * PAUSE)
    assert breaker.opened == 1

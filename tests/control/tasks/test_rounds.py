"""What comes round goes on, whatever one round ended with, and ends when it is told to."""

import logging
from collections.abc import Callable
from threading import Event

import pytest

from control.store import DatabaseUnavailable
from control.tasks.rounds import Rounds
from tests.support.peers_program import eventually


@pytest.fixture
def stopping() -> Event:
    return Event()


def ended(rounds: Rounds, stopping: Event) -> None:
    stopping.set()
    rounds.join(5)
    assert not rounds.is_alive()


def failing_twice(error: Exception, calls: list[int]) -> Callable[[], None]:
    def call() -> None:
        calls.append(len(calls))
        if len(calls) <= 2:
            raise error

    return call


def test_it_begins_at_once_and_comes_again(stopping: Event) -> None:
    calls: list[int] = []
    rounds = Rounds("often", lambda: calls.append(1), 0.01, stopping)
    rounds.start()
    eventually(lambda: len(calls) > 2, "it came again")
    ended(rounds, stopping)
    calls.clear()
    rounds = Rounds("seldom", lambda: calls.append(1), 1000, stopping := Event())
    rounds.start()
    eventually(lambda: calls, "it came at once")
    ended(rounds, stopping)


def test_a_round_that_fails_is_told_and_comes_again(stopping: Event, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    rounds = Rounds("failing", failing_twice(ZeroDivisionError(), calls), 0.01, stopping)
    rounds.start()
    eventually(lambda: len(calls) > 3, "it came again")
    ended(rounds, stopping)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def test_that_the_database_is_away_is_told_by_others(stopping: Event, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    away = DatabaseUnavailable(None, None, ConnectionError("refused"))
    rounds = Rounds("asking", failing_twice(away, calls), 0.01, stopping)
    rounds.start()
    eventually(lambda: len(calls) > 3, "it came again")
    ended(rounds, stopping)
    assert caplog.records == []

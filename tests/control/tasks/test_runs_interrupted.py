"""Runs while the database is away, and when the process that holds them ends: nothing is lost, nothing done twice."""

import logging
import threading
from typing import NoReturn

import pytest

from control.domain.task import TaskState
from control.integrations.model import Cancelled, Said, TargetAway
from control.store import Store
from control.tasks.context import Stop, Work
from tests.support.databases import Database
from tests.support.stores import Clock
from tests.support.tasks import (
    Leaving,
    Worker,
    codes_of,
    stored,
    submit,
)


def away(work: Work) -> NoReturn:
    work.say("asked")
    raise TargetAway("engine_away", "connection refused")


def test_while_the_database_is_away_nobody_finds_work_and_it_is_said_once(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store = Leaving.on(database, clock)
    worker, run = Worker(store, clock, lambda _work: None), submit(store)
    store.away = True
    for _ in range(3):
        assert not worker.work()
    store.away = False
    with caplog.at_level(logging.INFO):
        assert worker.work()
    assert [record.levelno for record in caplog.records if record.name == "control.tasks"] == [
        logging.WARNING,
        logging.INFO,
    ]
    assert stored(store, run).state is TaskState.DONE


def test_what_ends_while_the_database_is_away_is_written_when_it_is_back(database: Database, clock: Clock) -> None:
    store = Leaving.on(database, clock)

    def task(work: Work) -> None:
        work.say("last word")
        store.away = True
        threading.Timer(0.1, lambda: setattr(store, "away", False)).start()

    worker, run = Worker(store, clock, task), submit(store)
    worker.work()
    assert (stored(store, run).state, codes_of(store, run)) == (TaskState.DONE, ["last word"])


def test_a_task_that_found_the_database_away_is_tried_again(database: Database, clock: Clock) -> None:
    store = Leaving.on(database, clock)

    def task(work: Work) -> None:
        store.away = True
        try:
            with work.store.read():
                pass
        finally:
            threading.Timer(0.05, lambda: setattr(store, "away", False)).start()

    worker, run = Worker(store, clock, task), submit(store)
    worker.work()
    waiting = stored(store, run)
    assert (waiting.state, waiting.error, waiting.values) == (
        TaskState.RETRYING,
        "database_away",
        {"detail": "connection refused"},
    )


def test_who_could_not_renew_a_lease_until_it_ended_stops_by_itself(database: Database, clock: Clock) -> None:
    store = Leaving.on(database, clock)
    worker, run = Worker(store, clock, away), submit(store)
    hand = worker.hand(claimed := worker.claim())
    hand.say(Said(code="kept"))
    store.away = True
    worker.holding.keep()
    assert hand.stop is None
    # As if the last time that worked had been so long ago.
    [grip] = worker.holding._grips.values()
    grip.renewed -= worker.holding.pace.lease.total_seconds() + 1
    worker.holding.keep()
    assert worker.hand(claimed).stop is Stop.LOST
    with pytest.raises(Cancelled):
        hand.say(Said(code="more"))
    store.away = False
    worker.perform(claimed)
    # Nobody has taken it up meanwhile, so what it said before is not lost, and it is given back.
    assert (stored(store, run).state, codes_of(store, run)) == (TaskState.QUEUED, ["kept"])


def test_a_process_that_ends_gives_back_what_it_holds(store: Store, clock: Clock) -> None:
    run, worker = submit(store), Worker(store, clock, away)
    hand = worker.hand(worker.claim())
    hand.say(Said(code="half"))
    worker.holding.ask_all(Stop.ENDING)
    with pytest.raises(Cancelled):
        hand.say(Said(code="more"))
    worker.holding.give_back_all()
    back = stored(store, run)
    assert (back.state, back.due, back.holder, back.lease) == (TaskState.QUEUED, clock.now, None, None)
    assert codes_of(store, run) == ["half"]
    assert not worker.work()
    assert Worker(store, clock, lambda _work: None).work()
    assert stored(store, run).state is TaskState.DONE


def test_a_run_that_stopped_for_the_end_of_its_process_is_given_back(store: Store, clock: Clock) -> None:
    def task(work: Work) -> None:
        worker.holding.ask_all(Stop.ENDING)
        work.say("more")

    run, worker = submit(store), Worker(store, clock, task)
    worker.work()
    assert stored(store, run).state is TaskState.QUEUED


def test_a_process_that_ends_while_the_database_is_away_does_not_wait_for_it(database: Database, clock: Clock) -> None:
    store = Leaving.on(database, clock)
    worker, run = Worker(store, clock, away), submit(store)
    worker.claim()
    store.away = True
    worker.holding.give_back_all()
    store.away = False
    assert stored(store, run).state is TaskState.RUNNING

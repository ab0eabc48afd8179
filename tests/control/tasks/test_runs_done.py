"""What becomes of a run: by what its task returns or raises, by who asks for its end, and by who lost it."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import NoReturn

import pytest

from control.domain.task import LineLevel, TaskKind, TaskState
from control.integrations.model import ActionFailed, Said, TargetAway
from control.store import Store
from control.tasks import kinds
from control.tasks.context import LONGEST_VALUE, MOST_LINES, Stop, Work
from control.tasks.holding import Pace
from tests.support.databases import Database
from tests.support.stores import Clock
from tests.support.tasks import (
    Task,
    Worker,
    cancel,
    codes_of,
    counted_writes,
    lines_of,
    stored,
    submit,
)


def raising(error: BaseException) -> Task:
    def task(_work: Work) -> NoReturn:
        raise error

    return task


def away(work: Work) -> NoReturn:
    work.say("asked")
    raise TargetAway("engine_away", "connection refused")


def test_a_run_that_goes_well_leaves_what_it_returns(store: Store, clock: Clock) -> None:
    def task(work: Work) -> Mapping[str, object]:
        work.say("step", LineLevel.WARNING, name=work.run.name, count=3)
        work.report(Said(code=""))
        work.report(Said(code="reported"))
        work.progress(2, 5)
        return {"plan": [work.home.url]}

    run, worker = submit(store), Worker(store, clock, task)
    assert worker.work()
    assert not worker.work()
    over = stored(store, run)
    assert (over.state, over.attempt, over.result) == (TaskState.DONE, 1, {"plan": ["https://garrison.test"]})
    assert (over.done, over.total, over.started, over.finished) == (2, 5, clock.now, clock.now)
    assert codes_of(store, run) == ["step", "reported"]
    first = lines_of(store, run)[0]
    assert (first.values, first.level, first.attempt) == ({"name": "edge", "count": "3"}, LineLevel.WARNING, 1)


def test_an_engine_that_is_away_is_asked_again_later_each_time_later(store: Store, clock: Clock) -> None:
    run, worker = submit(store), Worker(store, clock, away)
    waits = []
    for _ in range(4):
        assert worker.work()
        waiting = stored(store, run)
        assert (waiting.state, waiting.error) == (TaskState.RETRYING, "engine_away")
        assert waiting.values == {"detail": "connection refused"}
        waits.append(round((waiting.due - clock.now).total_seconds()))
        assert not worker.work()
        clock.advance(seconds=waits[-1])
    assert waits == [10, 20, 40, 80]
    assert worker.work()
    over = stored(store, run)
    assert (over.state, over.attempt, over.error, over.finished) == (TaskState.FAILED, 5, "engine_away", clock.now)
    assert codes_of(store, run) == ["asked", "attempt_failed"] * 4 + ["asked"]


def test_delays_double_up_to_five_minutes_and_differ() -> None:
    delays = [kinds.delay_after(attempt, lambda: 0.0).total_seconds() for attempt in (1, 2, 5, 6, 7, 1000)]
    assert delays == [10, 20, 160, 300, 300, 300]
    assert kinds.delay_after(6, lambda: 1.0) == timedelta(minutes=4)


def test_what_fails_for_good_is_not_tried_again(store: Store, clock: Clock) -> None:
    run = submit(store)
    Worker(store, clock, raising(ActionFailed("no_image", "not found"))).work()
    over = stored(store, run)
    assert (over.state, over.error, over.values) == (TaskState.FAILED, "no_image", {"detail": "not found"})


def test_what_serves_again_after_a_failure_is_told(store: Store, clock: Clock) -> None:
    run = submit(store)
    Worker(store, clock, raising(ActionFailed("not_healthy", "no luck", restored=True))).work()
    assert stored(store, run).values == {"detail": "no luck", "restored": "yes"}


def test_a_crash_is_told_by_its_type_alone_and_tried_again(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    run = submit(store)
    Worker(store, clock, raising(ZeroDivisionError("the token is s3cret"))).work()
    waiting = stored(store, run)
    assert (waiting.state, waiting.error, waiting.values) == (
        TaskState.RETRYING,
        "crashed",
        {"type": "ZeroDivisionError"},
    )
    assert [record.levelno for record in caplog.records if record.name == "control.tasks"] == [logging.ERROR]


@pytest.mark.parametrize(("found", "error"), [({1}, "TypeError"), (float("nan"), "ValueError")])
def test_a_result_that_json_does_not_know_is_a_crash(store: Store, clock: Clock, found: object, error: str) -> None:
    run = submit(store)
    Worker(store, clock, lambda _work: {"found": found}).work()
    assert stored(store, run).values == {"type": error}


def test_words_that_can_not_be_written_down_are_written_as_far_as_they_can(store: Store, clock: Clock) -> None:
    run = submit(store)
    Worker(store, clock, raising(ActionFailed("c" * 100, "a\0b \udc80 c"))).work()
    over = stored(store, run)
    assert (over.error, over.values) == ("c" * 80, {"detail": "a\N{REPLACEMENT CHARACTER}b ? c"})


def test_cancelled_in_the_queue_it_is_never_begun(store: Store, clock: Clock) -> None:
    run = submit(store)
    cancel(store, run)
    assert not Worker(store, clock, away).work()
    assert (stored(store, run).state, stored(store, run).attempt) == (TaskState.CANCELLED, 0)


def test_cancelled_while_it_runs_it_stops_where_it_says_something(store: Store, clock: Clock) -> None:
    done: list[str] = []

    def task(work: Work) -> None:
        work.say("begun")
        cancel(store, work.run)
        worker.holding.keep()
        done.append("one more step")
        work.report(Said(code=""))
        done.append("too much")

    run, worker = submit(store), Worker(store, clock, task)
    worker.work()
    assert done == ["one more step"]
    assert (stored(store, run).state, codes_of(store, run)) == (TaskState.CANCELLED, ["begun"])


def test_progress_is_where_a_cancelled_run_stops_too(store: Store, clock: Clock) -> None:
    def task(work: Work) -> None:
        cancel(store, work.run)
        worker.holding.keep()
        work.progress(1, 1)

    run, worker = submit(store), Worker(store, clock, task)
    worker.work()
    assert stored(store, run).state is TaskState.CANCELLED


def test_a_run_that_is_over_before_it_hears_of_it_is_done(store: Store, clock: Clock) -> None:
    run, worker = submit(store), Worker(store, clock, lambda work: cancel(store, work.run))
    worker.work()
    assert stored(store, run).state is TaskState.DONE


def test_one_that_waits_for_another_try_can_be_cancelled(store: Store, clock: Clock) -> None:
    run, worker = submit(store), Worker(store, clock, away)
    worker.work()
    cancel(store, run)
    clock.advance(minutes=10)
    assert not worker.work()
    assert stored(store, run).state is TaskState.CANCELLED


def test_a_run_whose_holder_fell_silent_is_done_by_another_once_more(
    database: Database, store: Store, clock: Clock
) -> None:
    done: list[tuple[str, int]] = []
    run = submit(store)
    silent = Worker(store, clock, lambda work: done.append(("silent", work.run.attempt)))
    other = Worker(database.store(clock), clock, lambda work: done.append(("other", work.run.attempt)))
    left = silent.claim()
    clock.advance(seconds=30)
    assert not other.work()
    clock.advance(seconds=1)
    assert other.work()
    # Its own end comes too late, and changes nothing.
    silent.perform(left)
    assert not other.work()
    assert not silent.work()
    over = stored(store, run)
    assert (over.state, over.attempt) == (TaskState.DONE, 2)
    assert done == [("other", 2), ("silent", 1)]
    assert codes_of(store, run) == ["taken_over"]


def test_who_lost_a_run_is_told_to_stop_and_writes_nothing_more(database: Database, store: Store, clock: Clock) -> None:
    def task(work: Work) -> None:
        clock.advance(seconds=31)
        assert other.claim()
        loser.holding.keep()
        work.say("never told")

    run = submit(store)
    loser, other = Worker(store, clock, task), Worker(database.store(clock), clock, away)
    loser.work()
    taken = stored(store, run)
    assert (taken.state, taken.holder, taken.attempt) == (TaskState.RUNNING, other.holding.holder, 2)
    assert codes_of(store, run) == []


def test_a_run_that_kills_each_who_takes_it_up_is_given_up(store: Store, clock: Clock) -> None:
    run, worker = submit(store, TaskKind.PREVIEW), Worker(store, clock, away)
    for _ in range(2):
        worker.claim()
        clock.advance(seconds=31)
    assert not worker.work()
    over = stored(store, run)
    assert (over.state, over.error, over.finished) == (TaskState.FAILED, "abandoned", clock.now)


def test_a_run_that_was_left_after_its_end_was_asked_for_is_not_begun_again(store: Store, clock: Clock) -> None:
    run, worker = submit(store), Worker(store, clock, away)
    worker.claim()
    cancel(store, run)
    clock.advance(seconds=31)
    assert not worker.work()
    assert stored(store, run).state is TaskState.CANCELLED


def test_a_run_that_never_ends_is_left_to_others_in_the_end(store: Store, clock: Clock) -> None:
    pace = Pace(longest=timedelta(seconds=-1), renew_seconds=-1, poll_seconds=0)
    run, worker = submit(store), Worker(store, clock, away, pace)
    hand = worker.hand(worker.claim())
    clock.advance(seconds=10)
    worker.holding.keep()
    assert hand.stop is Stop.LOST
    assert stored(store, run).lease == clock.now + timedelta(seconds=20)


def test_a_worker_that_ends_with_its_run_keeps_nobody_else_from_it(store: Store, clock: Clock) -> None:
    run, worker = submit(store), Worker(store, clock, raising(SystemExit()))
    with pytest.raises(SystemExit):
        worker.work()
    worker.holding.keep()
    clock.advance(seconds=31)
    assert Worker(store, clock, lambda _work: None).work()
    assert (stored(store, run).state, stored(store, run).attempt) == (TaskState.DONE, 2)


def test_leases_are_renewed_while_a_run_is_worked_on(store: Store, clock: Clock) -> None:
    run, worker = submit(store), Worker(store, clock, away, pace=Pace(renew_seconds=-1, poll_seconds=0))
    worker.claim()
    for _ in range(5):
        clock.advance(seconds=20)
        worker.holding.keep()
    kept = stored(store, run)
    assert kept.lease == clock.now + timedelta(seconds=30)
    assert kept.attempt == 1


def test_looking_after_runs_writes_only_when_there_is_news(store: Store, clock: Clock) -> None:
    submit(store)
    worker = Worker(store, clock, away)
    held = worker.claim()
    hand = worker.hand(held)
    with counted_writes() as written:
        for _ in range(3):
            worker.holding.keep()
        assert written == []
        hand.progress(1, 2)
        hand.say(Said(code="step"))
        for _ in range(3):
            worker.holding.keep()
        assert len(written) == 2


def test_what_a_run_says_can_be_read_while_it_runs(store: Store, clock: Clock) -> None:
    seen: list[object] = []

    def task(work: Work) -> None:
        work.say("pulling", image="outpost:1")
        work.progress(1, 4)
        worker.holding.keep()
        seen.extend([codes_of(store, work.run), stored(store, work.run).done])
        work.say("pulled")

    run, worker = submit(store), Worker(store, clock, task)
    worker.work()
    assert seen == [["pulling"], 1]
    assert codes_of(store, run) == ["pulling", "pulled"]


def test_a_run_that_says_too_much_is_cut_short_and_says_so(store: Store, clock: Clock) -> None:
    def task(work: Work) -> None:
        for number in range(MOST_LINES + 10):
            work.say("step", number=number)
        raise TargetAway("engine_away", "x" * 10_000)

    run = submit(store)
    Worker(store, clock, task).work()
    codes = codes_of(store, run)
    assert (len(codes), codes[-2:]) == (MOST_LINES, ["step", "lines_left_out"])
    assert len(stored(store, run).values["detail"]) == LONGEST_VALUE


def test_the_least_a_run_costs_is_three_small_transactions(store: Store, clock: Clock) -> None:
    def task(work: Work) -> None:
        work.say("checked")

    worker = Worker(store, clock, task)
    with counted_writes() as written:
        worker.work()
        assert written == []
        submit(store)
        worker.work()
        worker.work()
    tables = [statement.split()[1 if statement.startswith("UPDATE") else 2] for statement in written]
    assert tables == ["task_runs", "task_runs", "task_runs", "task_lines"]

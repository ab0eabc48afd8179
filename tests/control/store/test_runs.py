"""Runs of tasks: handed in once, claimed by one at a time, written by nobody but who holds them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from control.domain.task import LineLevel, RunFilter, TaskKind, TaskLine, TaskRun, TaskState
from control.store import SYSTEM, Store, Unit
from control.store.identifiers import ordered_id
from tests.support.databases import Database
from tests.support.stores import ADMIN, Clock, Wakes

LEASE = timedelta(seconds=30)
HERE, THERE = uuid4(), uuid4()
ONE, OTHER = uuid4(), uuid4()
KINDS = frozenset(TaskKind)


def submit(
    store: Store, kind: TaskKind = TaskKind.DEPLOY, cause: str = "change", subject: UUID | None = ONE
) -> TaskRun:
    with store.write(SYSTEM) as unit:
        return unit.runs.submit(kind, cause, subject, "edge")


def claim(store: Store, holder: UUID = HERE) -> TaskRun | None:
    with store.write(SYSTEM) as unit:
        return unit.runs.claim(KINDS, holder, LEASE)


def claimed(store: Store, holder: UUID = HERE) -> TaskRun:
    run = claim(store, holder)
    assert run is not None
    return run


def end(store: Store, run: TaskRun, *lines: TaskLine, **changes: object) -> bool:
    with store.write(SYSTEM) as unit:
        return unit.runs.end(replace(run, **changes), lines)  # type: ignore[arg-type]  # fields by name


def stored(store: Store, run: TaskRun) -> TaskRun:
    with store.read() as unit:
        return unit.runs.get(run.id)


def line(run: TaskRun, code: str, **values: str) -> TaskLine:
    return TaskLine(
        id=ordered_id(run.created),
        run=run.id,
        at=run.created,
        attempt=run.attempt,
        level=LineLevel.INFO,
        code=code,
        values=values,
    )


def test_a_run_is_done(store: Store, clock: Clock, wakes: Wakes) -> None:
    with store.read() as unit:
        revision = unit.revision()
    handed_in = submit(store)
    assert stored(store, handed_in) == handed_in
    clock.advance(seconds=1)
    run = claimed(store)
    assert (run.id, run.attempt, run.state, run.holder) == (handed_in.id, 1, TaskState.RUNNING, HERE)
    assert (run.started, run.lease) == (clock.now, clock.now + LEASE)
    assert claim(store) is None
    assert end(
        store, run, line(run, "deployed", name="edge"), state=TaskState.DONE, result={"plan": []}, done=3, total=3
    )
    over = stored(store, run)
    assert (over.state, over.finished, over.holder, over.lease) == (TaskState.DONE, clock.now, None, None)
    assert (over.result, over.done, over.total) == ({"plan": []}, 3, 3)
    with store.read() as unit:
        assert [(said.code, said.values) for said in unit.runs.lines(run.id)] == [("deployed", {"name": "edge"})]
        assert unit.revision() == revision
    assert wakes.count == 0


def test_what_is_handed_in_is_gone_with_the_transaction_that_caused_it(store: Store) -> None:
    with pytest.raises(LookupError), store.write(SYSTEM) as unit:
        unit.runs.submit(TaskKind.DEPLOY, "change", ONE)
        raise LookupError
    assert claim(store) is None


def test_a_waiting_run_takes_up_another_of_its_kind_and_subject(store: Store) -> None:
    first = submit(store)
    assert submit(store).id == first.id
    others = {submit(store, subject=OTHER).id, submit(store, TaskKind.PREVIEW).id, submit(store, subject=None).id}
    assert len(others | {first.id}) == 4
    assert submit(store, subject=None).id in others


def test_a_running_one_does_not_as_it_may_have_looked_already(store: Store) -> None:
    submit(store)
    run = claimed(store)
    again = submit(store)
    assert again.id != run.id
    assert claim(store, THERE) is None
    end(store, run, state=TaskState.DONE)
    assert claimed(store, THERE).id == again.id


def test_who_asks_is_remembered_and_what_is_sooner_counts(store: Store, clock: Clock) -> None:
    with store.write(SYSTEM) as unit:
        first = unit.runs.submit(TaskKind.DEPLOY, "schedule", ONE, due=clock.now + timedelta(minutes=5))
    assert claim(store) is None
    assert submit(store, cause="akadmin").cause == "akadmin"
    assert submit(store, cause="schedule").cause == "akadmin"
    assert stored(store, first).due == clock.now
    assert claimed(store).cause == "akadmin"


def test_of_several_causes_the_gravest_is_told(store: Store) -> None:
    told = [submit(store, cause=cause).cause for cause in ("schedule", "event", "schedule", "change", "event", "bob")]
    assert told == ["schedule", "event", "event", "change", "change", "bob"]


@pytest.mark.parametrize(("cause", "soon"), [("schedule", False), ("event", False), ("change", True), ("bob", True)])
def test_what_waits_for_another_try_waits_on_unless_something_is_new(
    store: Store, clock: Clock, cause: str, *, soon: bool
) -> None:
    submit(store)
    end(store, claimed(store), state=TaskState.RETRYING, due=clock.now + timedelta(minutes=5), error="engine_away")
    submit(store, cause=cause)
    assert (claim(store) is not None) == soon


def test_one_run_of_a_subject_is_claimed_at_a_time(store: Store, clock: Clock) -> None:
    submit(store)
    clock.advance(milliseconds=1)
    submit(store, TaskKind.PREVIEW)
    clock.advance(milliseconds=1)
    submit(store, subject=OTHER)
    submit(store, TaskKind.DISCOVER, subject=None)
    submit(store, TaskKind.CLEAN_UP, subject=None)
    runs = [claimed(store) for _ in range(4)]
    kinds = [run.kind for run in runs]
    assert kinds == [TaskKind.DEPLOY, TaskKind.DEPLOY, TaskKind.DISCOVER, TaskKind.CLEAN_UP]
    assert claim(store) is None
    end(store, runs[0], state=TaskState.DONE)
    assert claimed(store).kind is TaskKind.PREVIEW


def test_what_somebody_asked_for_comes_first(store: Store, clock: Clock) -> None:
    submit(store, cause="change")
    clock.advance(seconds=1)
    asked = submit(store, TaskKind.PREVIEW, cause="akadmin", subject=OTHER)
    assert claimed(store).id == asked.id
    assert claimed(store).cause == "change"


def test_a_run_that_was_left_is_claimed_again_and_is_no_longer_the_first_one_s(store: Store, clock: Clock) -> None:
    submit(store)
    run = claimed(store)
    clock.advance(seconds=29)
    with store.write(SYSTEM) as unit:
        assert unit.runs.renew(replace(run, done=1, total=2), LEASE, [line(run, "pulling")])
    clock.advance(seconds=30)
    assert claim(store, THERE) is None
    clock.advance(seconds=1)
    again = claimed(store, THERE)
    assert (again.id, again.attempt, again.done) == (run.id, 2, 0)
    with store.write(SYSTEM) as unit:
        assert not unit.runs.renew(run, LEASE, [line(run, "late")])
        assert unit.runs.held(HERE) == []
        assert [held.id for held in unit.runs.held(THERE)] == [run.id]
    assert not end(store, run, line(run, "late"), state=TaskState.FAILED, error="crashed")
    assert stored(store, run) == again
    with store.read() as unit:
        assert [said.code for said in unit.runs.lines(run.id)] == ["pulling"]


def test_a_process_does_not_take_its_second_attempt_for_its_first(store: Store, clock: Clock) -> None:
    submit(store)
    first = claimed(store)
    clock.advance(seconds=31)
    second = claimed(store)
    assert not end(store, first, state=TaskState.DONE)
    assert end(store, second, state=TaskState.DONE)


def test_many_that_claim_get_each_run_once(database: Database, store: Store, clock: Clock) -> None:
    wanted = {submit(store, subject=uuid4()).id for _ in range(20)}
    stores = [database.store(clock) for _ in range(4)]

    def work(mine: Store) -> list[UUID]:
        return [run.id for run in iter(lambda: claim(mine, uuid4()), None)]

    with ThreadPoolExecutor(4) as pool:
        claims = [key for keys in pool.map(work, stores) for key in keys]
    assert sorted(claims) == sorted(wanted)


def test_cancelled_while_it_waits(store: Store, clock: Clock) -> None:
    run = submit(store)
    with store.write(ADMIN) as unit:
        unit.runs.ask_cancel(run)
    cancelled = stored(store, run)
    assert (cancelled.state, cancelled.finished) == (TaskState.CANCELLED, clock.now)
    assert claim(store) is None


def test_cancelled_while_it_runs(store: Store) -> None:
    submit(store)
    run = claimed(store)
    with store.write(ADMIN) as unit:
        unit.runs.ask_cancel(run)
        assert [held.cancel_asked for held in unit.runs.held(HERE)] == [True]
    assert stored(store, run).state is TaskState.RUNNING
    end(store, run, state=TaskState.RETRYING, error="engine_away")
    assert stored(store, run).state is TaskState.CANCELLED
    assert claim(store) is None


def test_what_is_over_is_not_cancelled(store: Store) -> None:
    submit(store)
    run = claimed(store)
    end(store, run, state=TaskState.DONE)
    with store.write(ADMIN) as unit:
        unit.runs.ask_cancel(run)
    assert (stored(store, run).state, stored(store, run).cancel_asked) == (TaskState.DONE, False)


def test_a_look_for_work_writes_nothing(store: Store) -> None:
    with store.read() as unit:
        assert not unit.runs.is_any_due(KINDS)
    submit(store)
    with store.read() as unit:
        assert unit.runs.is_any_due(KINDS)


def page(store: Store, wanted: RunFilter, start: int = 0, count: int = 10) -> tuple[list[str], int]:
    with store.read() as unit:
        runs, total = unit.runs.page(wanted, start, count)
        return [f"{run.kind.name} {run.name}" for run in runs], total


def test_runs_are_listed_newest_first_and_as_wanted(store: Store, clock: Clock) -> None:
    with store.write(SYSTEM) as unit:
        unit.runs.submit(TaskKind.CHECK, "schedule", ONE, "Engine A")
    clock.advance(seconds=1)
    with store.write(SYSTEM) as unit:
        unit.runs.submit(TaskKind.DEPLOY, "akadmin", OTHER, "edge")
        failed = unit.runs.submit(TaskKind.SURVEY, "schedule", ONE, "Engine A")
        unit.runs.ask_cancel(failed)
    assert page(store, RunFilter()) == (["SURVEY Engine A", "DEPLOY edge", "CHECK Engine A"], 3)
    assert page(store, RunFilter(), 1, 1) == (["DEPLOY edge"], 3)
    assert page(store, RunFilter(kind=TaskKind.CHECK)) == (["CHECK Engine A"], 1)
    assert page(store, RunFilter(state=TaskState.CANCELLED)) == (["SURVEY Engine A"], 1)
    assert page(store, RunFilter(subject=ONE)) == (["SURVEY Engine A", "CHECK Engine A"], 2)
    assert page(store, RunFilter(cause="akadmin")) == (["DEPLOY edge"], 1)
    assert page(store, RunFilter(name="ENGINE")) == (["SURVEY Engine A", "CHECK Engine A"], 2)
    assert page(store, RunFilter(name="\0")) == ([], 0)


def test_what_is_known_of_all(store: Store, clock: Clock) -> None:
    check, began = submit(store, TaskKind.CHECK, "schedule"), clock.now
    end(store, claimed(store), state=TaskState.DONE)
    submit(store, TaskKind.CHECK, "schedule", OTHER)
    clock.advance(seconds=61)
    submit(store, TaskKind.DISCOVER, "start", None)
    with store.read() as unit:
        latest = unit.runs.latest(TaskKind.CHECK, ONE)
        assert latest is not None
        assert latest.id == check.id
        assert unit.runs.latest(TaskKind.SURVEY, ONE) is None
        assert unit.runs.latest_of({TaskKind.CHECK, TaskKind.DISCOVER}) == {
            (TaskKind.CHECK, ONE): began,
            # This one still waits.
            (TaskKind.CHECK, OTHER): clock.now,
            (TaskKind.DISCOVER, None): clock.now,
        }
        assert unit.runs.waiting() == {TaskKind.CHECK: 1, TaskKind.DISCOVER: 1}
        assert unit.runs.states(RunFilter(subject=ONE)) == {TaskState.DONE: 1}
        assert unit.runs.causes() == ["schedule", "start"]
        assert unit.runs.overdue() == timedelta(seconds=61)


def test_kinds_that_nobody_here_knows_are_left_alone(store: Store) -> None:
    submit(store)
    with store.write(SYSTEM) as unit:
        assert not unit.runs.is_any_due({TaskKind.CHECK})
        assert unit.runs.claim({TaskKind.CHECK}, HERE, LEASE) is None


def test_lines_after_one(store: Store) -> None:
    submit(store)
    run = claimed(store)
    lines = [line(run, f"step_{number}") for number in range(3)]
    with store.write(SYSTEM) as unit:
        unit.runs.renew(run, LEASE, lines)
    with store.read() as unit:
        assert unit.runs.lines(run.id) == lines
        assert unit.runs.lines(run.id, lines[0].id) == lines[1:]


def done(unit: Unit, kind: TaskKind, cause: str, state: TaskState = TaskState.DONE) -> UUID:
    run = unit.runs.submit(kind, cause, ONE)
    held = unit.runs.claim(KINDS, HERE, LEASE)
    assert held is not None
    unit.runs.end(replace(held, state=state), [line(held, "said")])
    return run.id


def test_old_runs_are_forgotten_with_their_lines(store: Store, clock: Clock) -> None:
    with store.write(SYSTEM) as unit:
        old = done(unit, TaskKind.DEPLOY, "change")
    clock.advance(days=7)
    with store.write(SYSTEM) as unit:
        kept = done(unit, TaskKind.DEPLOY, "change")
        waiting = unit.runs.submit(TaskKind.DEPLOY, "change", ONE)
    clock.advance(seconds=1)
    with store.write(SYSTEM) as unit:
        assert unit.runs.forget(clock.now - timedelta(days=7), 10) == 1
        assert unit.runs.find(old) is None
        assert unit.runs.lines(old) == []
        assert {run.id for run in unit.runs.all()} == {kept, waiting.id}


def test_of_routine_only_the_newest_are_kept(store: Store, clock: Clock) -> None:
    def more(kind: TaskKind, cause: str, state: TaskState = TaskState.DONE) -> UUID:
        clock.advance(minutes=1)
        with store.write(SYSTEM) as unit:
            return done(unit, kind, cause, state)

    for _ in range(3):
        more(TaskKind.CHECK, "schedule")
    kept = {more(TaskKind.CHECK, "schedule", TaskState.FAILED), more(TaskKind.CHECK, "akadmin")}
    kept |= {more(TaskKind.CHECK, "schedule") for _ in range(2)} | {more(TaskKind.DEPLOY, "schedule") for _ in range(3)}
    with store.write(SYSTEM) as unit:
        assert unit.runs.thin({TaskKind.CHECK, TaskKind.SURVEY}, 2, 100) == 3
        assert {run.id for run in unit.runs.all()} == kept


@pytest.mark.parametrize(
    "make", [lambda: "x" * 300, lambda: "a\0b", lambda: "\ud800"], ids=["long", "nul", "surrogate"]
)
def test_a_name_that_no_column_holds_is_cut_to_fit(store: Store, make: Callable[[], str]) -> None:
    with store.write(SYSTEM) as unit:
        run = unit.runs.submit(TaskKind.DEPLOY, make(), ONE, make())
    assert stored(store, run) == run

"""What pages ask of runs: how many are in which state, who asked for them, which have failed since, who works."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from control.domain.task import RunFilter, TaskKind, TaskState
from control.store import Store, Unit
from tests.support.runs import LEASE, begin, finish, queue
from tests.support.stores import Clock, Wakes, make_store

DEPLOYS = {TaskKind.DEPLOY}


def failing(store: Store, clock: Clock, hours: int = 24) -> Iterator[str]:
    with store.read() as unit:
        yield from (run.name for run in unit.runs.failing(DEPLOYS, clock.now - timedelta(hours=hours)))


def test_states_and_causes(store: Store) -> None:
    one = uuid4()
    finish(store, queue(store, subject=one, name="edge", cause="schedule"))
    finish(store, queue(store, subject=uuid4(), name="lab"), TaskState.FAILED)
    queue(store, TaskKind.CHECK, uuid4(), "edge", "alice")
    with store.read() as unit:
        assert unit.runs.states(RunFilter()) == {TaskState.DONE: 1, TaskState.FAILED: 1, TaskState.QUEUED: 1}
        assert unit.runs.states(RunFilter(name="EDGE")) == {TaskState.DONE: 1, TaskState.QUEUED: 1}
        assert unit.runs.states(RunFilter(subject=one, state=TaskState.FAILED)) == {}
        assert unit.runs.causes() == ["alice", "change", "schedule"]


def test_what_failed_is_told_until_it_goes_well(store: Store, clock: Clock) -> None:
    edge, lab = uuid4(), uuid4()
    for subject, name in ((edge, "edge"), (lab, "lab"), (None, "all")):
        finish(store, queue(store, subject=subject, name=name), TaskState.FAILED)
        clock.advance(minutes=1)
    assert [*failing(store, clock)] == ["all", "lab", "edge"]
    again = queue(store, subject=edge)
    assert len([*failing(store, clock)]) == 3
    clock.advance(minutes=1)
    finish(store, again, TaskState.CANCELLED)
    assert len([*failing(store, clock)]) == 3
    finish(store, queue(store, subject=lab, name="lab once more"), TaskState.FAILED)
    finish(store, queue(store, TaskKind.CHECK, edge))
    assert [*failing(store, clock)] == ["lab once more", "all", "edge"]
    clock.advance(minutes=1)
    for subject in (edge, None):
        finish(store, queue(store, subject=subject))
    assert [*failing(store, clock)] == ["lab once more"]
    clock.advance(hours=2)
    assert [*failing(store, clock, hours=1)] == []


def test_whether_anybody_works(store: Store, clock: Clock) -> None:
    def held() -> bool:
        with store.read() as unit:
            return unit.runs.is_any_held()

    run = queue(store)
    assert not held()
    begin(store, run)
    assert held()
    clock.advance(seconds=LEASE.total_seconds() + 1)
    assert not held()


def test_long_lists_are_read_by_index(tmp_path: Path, clock: Clock) -> None:
    store = make_store(tmp_path / "db", clock, Wakes())
    with store.read() as unit:
        seen = asked(unit)
        unit.runs.page(RunFilter(), 0, 50)
        unit.runs.page(RunFilter(subject=uuid4()), 0, 50)
        unit.runs.states(RunFilter())
        unit.runs.failing(DEPLOYS, clock.now)
        unit.runs.overdue()
        unit.runs.is_any_held()
        unit.runs.lines(uuid4())
        plans = [" ".join(row[3] for row in explained(unit, statement)) for statement in list(seen)]
    assert len(plans) == 9
    assert all(" INDEX ix_task_" in plan for plan in plans), plans
    assert "SCAN other" not in plans[5]


def asked(unit: Unit) -> list[tuple[str, Any]]:
    """The statements that the unit runs from now on, with their parameters."""
    seen: list[tuple[str, Any]] = []
    unit.revision()  # so that BEGIN is over
    connection = unit.runs.context.connection
    sa.event.listen(connection, "before_cursor_execute", lambda *told: seen.append((told[2], told[3])))
    return seen


def explained(unit: Unit, statement: tuple[str, Any]) -> list[tuple[Any, ...]]:
    """How SQLite would find it."""
    raw = unit.runs.context.connection.connection.driver_connection
    assert raw is not None
    found: list[tuple[Any, ...]] = raw.execute(f"EXPLAIN QUERY PLAN {statement[0]}", statement[1]).fetchall()
    return found

"""Runs of tasks as workers leave them, for pages and lists that show them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from control.domain.task import WAITING, LineLevel, TaskKind, TaskLine, TaskRun, TaskState
from control.store import SYSTEM, Store
from control.store.identifiers import ordered_id

HOLDER = uuid4()
LEASE = timedelta(seconds=30)


def said(run: TaskRun, code: str, level: LineLevel = LineLevel.INFO, /, **values: str) -> TaskLine:
    """A line of a run."""
    name = ordered_id(run.created)
    return TaskLine(id=name, run=run.id, at=run.created, attempt=run.attempt, level=level, code=code, values=values)


def queue(
    store: Store,
    kind: TaskKind = TaskKind.DEPLOY,
    subject: UUID | None = None,
    name: str = "edge",
    cause: str = "change",
) -> TaskRun:
    """A run that waits."""
    with store.write(SYSTEM) as unit:
        return unit.runs.submit(kind, cause, subject, name)


def begin(store: Store, run: TaskRun, lines: Iterable[TaskLine] = (), **changes: object) -> TaskRun:
    """The same, running; `changes` are how far it is."""
    with store.write(SYSTEM) as unit:
        claimed = unit.runs.claim({run.kind}, HOLDER, LEASE)
        assert claimed is not None
        assert claimed.id == run.id
        held = replace(claimed, **changes)  # type: ignore[arg-type] # fields by name
        assert unit.runs.renew(held, LEASE, [replace(line, attempt=held.attempt) for line in lines])
    return held


def finish(
    store: Store, run: TaskRun, state: TaskState = TaskState.DONE, lines: Iterable[TaskLine] = (), **changes: object
) -> TaskRun:
    """The same when it is over, or waits for another attempt."""
    running = begin(store, run) if run.state in WAITING else run
    ended = replace(running, state=state, **changes)  # type: ignore[arg-type] # fields by name
    with store.write(SYSTEM) as unit:
        assert unit.runs.end(ended, [replace(line, attempt=ended.attempt) for line in lines])
        return unit.runs.get(run.id)

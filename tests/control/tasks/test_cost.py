"""What routine costs: an hour in which nothing differs writes little, and looking for work writes nothing."""

from collections import Counter
from datetime import timedelta

import pytest

from control.domain.task import TaskState
from control.store import Store
from control.tasks.kinds import KINDS
from control.tasks.schedules import SCHEDULES, Timetable
from tests.support.deploying import make_stage
from tests.support.stores import Clock
from tests.support.tasks import Worker, counted_writes


def test_an_hour_with_nothing_to_do(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, timetable = make_stage(store, clock, monkeypatch), Timetable(store, SCHEDULES)
    integration, _ = stage.engine()
    for name in ("a", "b", "c"):
        stage.outpost(integration, name)
    stage.settle()
    timetable.look()
    worker = Worker(store, clock, KINDS)
    while worker.work():
        pass
    end = clock.now + timedelta(hours=1)
    with counted_writes() as written:
        while clock.now < end:
            clock.advance(seconds=30)
            timetable.look()
            stage.watcher.look()
            while worker.work():
                pass
    assert {run.state for run in stage.runs()} == {TaskState.DONE}
    tables = Counter(statement.split()[1 if statement.startswith("UPDATE") else 2].strip('"') for statement in written)
    # 60 checks, 12 surveys and one cleaning: each is handed in, claimed and let go of, and says a line or two.
    # The cleaning looks for three sorts of runs to forget.
    assert tables.pop("task_runs") <= 3 * 73 + 3
    assert tables.pop("task_lines") <= 2 * 73
    assert tables.pop("integration_health") <= 60
    assert tables.pop("deployments", 0) <= 3 * 12
    assert tables == {}

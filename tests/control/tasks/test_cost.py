"""What routine costs: an hour in which nothing differs writes little, looking for work writes nothing.

However many outposts there are, one look at all of them takes the same number of statements.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from control.domain.integration import Integration
from control.domain.outpost import InstanceState
from control.domain.task import TaskKind, TaskState
from control.integrations.model import Condition
from control.store import Store
from control.tasks.kinds import KINDS
from control.tasks.schedules import SCHEDULES, Timetable
from tests.support.deploying import Stage, make_stage
from tests.support.memory_engine import MemoryEngine
from tests.support.stores import Clock
from tests.support.tasks import Worker, counted_statements, counted_writes


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


@pytest.fixture
def stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(store, clock, monkeypatch)


def test_a_survey_takes_as_many_statements_however_many_outposts_there_are(stage: Stage) -> None:
    integration, engine = stage.engine()

    def survey() -> None:
        run = stage.ask(TaskKind.SURVEY, integration.id)
        assert run.result is not None
        assert run.result["deploys"] == 0

    crowd(stage, integration, engine, 2)
    few = cost(survey)
    crowd(stage, integration, engine, 20)
    assert cost(survey) == few
    # Each of them has been looked at, and who was there before is forgotten.
    outposts = {found.key.owner: found.id[:12] for found, _ in engine.found.values()}
    with stage.store.read() as unit:
        assert {each.outpost: each.hostname for each in unit.instances.of_outposts(outposts)} == outposts
        rows = unit.deployments.of_integration(integration.id)
    assert {row.outpost: row.hosts for row in rows} == {key: (name,) for key, name in outposts.items()}
    assert {row.checked for row in rows} == {stage.clock.now}


def test_a_look_for_changes_takes_as_many_statements_however_many_outposts_there_are(stage: Stage) -> None:
    integration, engine = stage.engine()
    crowd(stage, integration, engine, 2)
    few = cost(lambda: changed(stage, integration, "one"))
    crowd(stage, integration, engine, 20)
    assert cost(lambda: changed(stage, integration, "other")) == few


def crowd(stage: Stage, integration: Integration, engine: MemoryEngine, count: int) -> None:
    """Outposts that run there, known by the link alone as well, each in place of one that somebody has removed."""
    outposts = [stage.outpost(integration, uuid4().hex) for _ in range(count)]
    stage.settle(most=10 * count)
    there = {found.key.owner: found for found, _ in engine.found.values()}
    for outpost in outposts:
        before = there[outpost.id]
        after = replace(before, id=uuid4().hex * 2, condition=Condition.STARTING)
        del engine.found[before.id]
        engine.put(after)
        stage.connect(outpost, before.id, state=InstanceState.DISCONNECTED)
        stage.connect(outpost, after.id)
    stage.clock.advance(seconds=1)


def changed(stage: Stage, integration: Integration, name: str) -> None:
    """Somebody adds one, and that is seen."""
    stage.outpost(integration, name)
    stage.watcher.look()


def cost(act: Callable[[], None]) -> Counter[str]:
    """The statements that it takes, by what they do."""
    with counted_statements("SELECT", "INSERT", "UPDATE", "DELETE") as seen:
        act()
    return Counter(statement.split()[0] for statement in seen)

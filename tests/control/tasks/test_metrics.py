"""What the tasks process tells Prometheus, also while the database is away."""

from datetime import timedelta

from prometheus_client import generate_latest

from control.domain.task import TaskKind
from control.store import SYSTEM
from control.tasks.metrics import make_registry
from tests.support.databases import Database
from tests.support.stores import Clock
from tests.support.tasks import Leaving, Worker, submit


def test_what_is_counted_and_what_waits(database: Database, clock: Clock) -> None:
    store = Leaving.on(database, clock)
    registry = make_registry(store)
    done = {"kind": "deploy outpost", "outcome": "done"}
    before = registry.get_sample_value("garrison_task_runs_total", done) or 0
    submit(store)
    Worker(store, clock, lambda _work: None).work()
    assert registry.get_sample_value("garrison_task_runs_total", done) == before + 1
    assert registry.get_sample_value("garrison_tasks_running") == 0
    with store.write(SYSTEM) as unit:
        unit.runs.submit(TaskKind.DISCOVER, "start", due=clock.now + timedelta(seconds=1))
    clock.advance(seconds=91)
    assert registry.get_sample_value("garrison_tasks_waiting", {"kind": "discover integrations"}) == 1
    assert registry.get_sample_value("garrison_tasks_overdue_seconds") == 90
    assert registry.get_sample_value("garrison_deployments", {"state": "deployed"}) == 0
    store.away = True
    text = generate_latest(registry).decode()
    assert "garrison_task_runs_total" in text
    assert "garrison_tasks_overdue_seconds" not in text
    assert "garrison_deployments{" not in text

"""What deployments count, and how all of them are."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from control.store import Store
from control.tasks.counting import ACTIONS, DeploymentsCollector
from tests.support.deploying import Stage, make_stage
from tests.support.stores import Clock


@pytest.fixture
def stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(store, clock, monkeypatch)


def exposed(store: Store) -> str:
    registry = CollectorRegistry()
    registry.register(DeploymentsCollector(store))
    return generate_latest(registry).decode()


def test_actions_are_counted_by_how_they_ended(stage: Stage) -> None:
    before = {result: ACTIONS.labels("create", result)._value.get() for result in ("done", "failed")}
    integration, _ = stage.engine(registry={"bad:1": "sha256:bad", "garrison-outpost:1.0": "ok"}, broken={"sha256:bad"})
    stage.outpost(integration, "good")
    stage.outpost(integration, "bad", config={"container_image": "bad:1"})
    stage.settle()
    after = {result: ACTIONS.labels("create", result)._value.get() for result in ("done", "failed")}
    assert {name: after[name] - before[name] for name in after} == {"done": 1, "failed": 1}


def test_integrations_and_deployments_are_gauges(stage: Stage) -> None:
    integration, engine = stage.engine("rack")
    stage.engine("other", away="engine_away")
    stage.outpost(integration)
    stage.settle()
    text = exposed(stage.store)
    assert 'garrison_integration_healthy{name="rack"} 1.0' in text
    assert 'garrison_integration_healthy{name="other"} 0.0' in text
    assert 'garrison_deployments{state="deployed"} 1.0' in text
    assert 'garrison_deployments{state="failed"} 0.0' in text
    assert engine.names() == ["ak-outpost-edge"]

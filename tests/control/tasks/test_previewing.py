"""A preview says what a deployment would do, and does nothing."""

from typing import Any
from uuid import uuid4

import pytest

from control.domain.task import TaskKind, TaskState
from control.store import Store
from tests.support.deploying import Stage, make_stage
from tests.support.memory_engine import foreign
from tests.support.stores import Clock


@pytest.fixture
def stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(store, clock, monkeypatch)


def test_what_would_be_created_is_told(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    run = stage.ask(TaskKind.PREVIEW, outpost.id, cause="akadmin")
    assert run.result == {
        "plan": [
            {
                "action": "create",
                "component": "outpost",
                "name": "ak-outpost-edge",
                "beside": False,
                "differences": [],
                "place": "local",
            }
        ]
    }
    assert engine.names() == []
    assert stage.rows(outpost) == []
    assert engine.images == {}


def test_what_is_as_wanted_needs_nothing(stage: Stage) -> None:
    integration, _ = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    assert stage.ask(TaskKind.PREVIEW, outpost.id).result == {"plan": []}


def test_differences_are_told_and_secrets_are_not(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    env = {**engine.only().spec["env"], "AUTHENTIK_TOKEN": "of somebody else", "AUTHENTIK_INSECURE": "true"}
    engine.edit(engine.only().id, env=env)
    [item] = planned(stage.ask(TaskKind.PREVIEW, outpost.id).result)
    assert item["action"] == "replace"
    assert {each["path"] for each in item["differences"]} == {"env.AUTHENTIK_TOKEN", "env.AUTHENTIK_INSECURE"}
    assert "of somebody else" not in str(item)


def planned(result: object) -> list[Any]:
    assert isinstance(result, dict)
    plan = result["plan"]
    assert isinstance(plan, list)
    return plan


def test_a_move_tells_of_both_engines(stage: Stage) -> None:
    first, old = stage.engine("first")
    stage.engine("second")
    outpost = stage.outpost(first)
    stage.settle()
    old.put(foreign(outpost.id))
    stage.change(outpost, integration="second")
    plan = planned(stage.ask(TaskKind.PREVIEW, outpost.id).result)
    assert [(each["action"], each["place"]) for each in plan] == [("create", "second"), ("remove", "first")]


def test_an_outpost_without_a_place_has_no_plan(stage: Stage) -> None:
    outpost = stage.outpost(None)
    assert stage.ask(TaskKind.PREVIEW, outpost.id).result == {"plan": []}
    assert stage.ask(TaskKind.PREVIEW, uuid4()).result == {"plan": []}


def test_an_engine_that_is_away_is_tried_again(stage: Stage) -> None:
    integration, engine = stage.engine(away="engine_away")
    outpost = stage.outpost(integration)
    run = stage.ask(TaskKind.PREVIEW, outpost.id)
    assert (run.state, run.error) == (TaskState.RETRYING, "engine_away")
    assert engine.done == []

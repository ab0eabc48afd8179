"""One look at an engine finds all that differs, hands that in once, and leaves alone what others work on."""

from uuid import uuid4

import pytest

from control.domain.integration import DeploymentState
from control.domain.outpost import InstanceState, Rejection
from control.domain.task import Cause, TaskKind, TaskState
from control.integrations.model import Condition
from control.store import Store
from control.tasks.places import AGAIN
from tests.support.deploying import IMAGE, LEASE, NEW, OLD, Stage, make_stage
from tests.support.stores import ADMIN, Clock


@pytest.fixture
def stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(store, clock, monkeypatch)


def test_one_look_is_enough_for_all(stage: Stage) -> None:
    integration, engine = stage.engine()
    for name in ("a", "b", "c"):
        stage.outpost(integration, name)
    stage.settle()
    engine.looks = 0
    run = stage.ask(TaskKind.SURVEY, integration.id)
    assert engine.looks == 1
    assert run.result == {"outposts": 3, "deploys": 0}


def test_only_what_differs_is_deployed(stage: Stage) -> None:
    integration, engine = stage.engine()
    outposts = [stage.outpost(integration, name) for name in ("a", "b", "c")]
    stage.settle()
    [key] = [found.id for found, _ in engine.found.values() if found.key.owner == outposts[1].id]
    del engine.found[key]
    before = len(stage.runs(TaskKind.DEPLOY))
    run = stage.ask(TaskKind.SURVEY, integration.id)
    assert run.result == {"outposts": 3, "deploys": 1}
    [deployed] = stage.runs(TaskKind.DEPLOY)[: len(stage.runs(TaskKind.DEPLOY)) - before]
    assert (deployed.subject, deployed.cause, deployed.name) == (outposts[1].id, Cause.EVENT, "b")
    assert len(engine.found) == 3


def test_an_engine_that_is_away_is_no_failure_of_the_survey(stage: Stage) -> None:
    integration, engine = stage.engine()
    stage.outpost(integration)
    stage.settle()
    engine.away = "tls_refused"
    run = stage.ask(TaskKind.SURVEY, integration.id)
    assert (run.state, run.result) == (TaskState.DONE, {"away": "tls_refused"})


def test_an_integration_that_is_gone_is_no_failure(stage: Stage) -> None:
    assert stage.ask(TaskKind.SURVEY, uuid4()).state is TaskState.DONE


def test_what_was_never_deployed_is(stage: Stage) -> None:
    integration, engine = stage.engine()
    stage.outpost(integration)
    stage.ask(TaskKind.SURVEY, integration.id)
    assert engine.names() == ["ak-outpost-edge"]


def test_what_is_being_deployed_is_looked_at_again_later(stage: Stage, store: Store, clock: Clock) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.found.clear()
    with store.write(ADMIN) as unit:
        unit.runs.submit(TaskKind.DEPLOY, Cause.CHANGE, outpost.id, "edge")
        assert unit.runs.claim(frozenset({TaskKind.DEPLOY}), uuid4(), LEASE) is not None
    run = stage.ask(TaskKind.SURVEY, integration.id)
    assert run.result == {"outposts": 1, "deploys": 0}
    [again] = stage.runs(TaskKind.SURVEY, TaskState.QUEUED)
    assert again.due == clock() + AGAIN


def test_an_outpost_with_options_that_are_refused_now_is_told_of_and_hides_no_other(stage: Stage, store: Store) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration, "a")
    stage.outpost(integration, "b")
    stage.settle()
    spoil(store, outpost.id)
    engine.found.clear()
    stage.ask(TaskKind.SURVEY, integration.id)
    assert engine.names() == ["ak-outpost-b"]
    row = stage.row(outpost)
    assert (row.state, row.error) == (DeploymentState.FAILED, "options_refused")
    assert "of_old" in row.detail


def spoil(store: Store, outpost: object) -> None:
    """An older version has stored what this one refuses."""
    from dataclasses import replace

    with store.write(ADMIN) as unit:
        unit.outposts.update(replace(unit.outposts.get(outpost), config={"of_old": 1}))


def test_an_instance_that_the_link_knows_is_well_whatever_the_engine_says(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.become(engine.only().id, Condition.UNHEALTHY)
    stage.connect(outpost, engine.only().id)
    assert stage.ask(TaskKind.SURVEY, integration.id).result == {"outposts": 1, "deploys": 0}
    assert stage.row(outpost).state is DeploymentState.DEPLOYED


@pytest.mark.parametrize(
    "fields",
    [
        {"state": InstanceState.DISCONNECTED},
        {"rejections": (Rejection(key="provider/1", reason="no"),)},
        {"hostname": "another"},
        {"applied_revision": 0},
    ],
    ids=["gone", "refuses", "elsewhere", "without configuration"],
)
def test_an_instance_that_is_not_up_makes_nothing_well(stage: Stage, fields: dict[str, object]) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.become(engine.only().id, Condition.UNHEALTHY)
    stage.connect(outpost, engine.only().id, **fields)
    assert stage.ask(TaskKind.SURVEY, integration.id).result == {"outposts": 1, "deploys": 1}


def test_silence_makes_nothing_well(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.become(engine.only().id, Condition.UNHEALTHY)
    stage.connect(outpost, engine.only().id)
    clock.advance(minutes=3)
    assert stage.ask(TaskKind.SURVEY, integration.id).result == {"outposts": 1, "deploys": 1}


def test_instances_of_containers_that_are_gone_are_forgotten(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    old = stage.connect(outpost, engine.only().id, state=InstanceState.DISCONNECTED)
    by_hand = stage.connect(outpost, "feedfacefeed", state=InstanceState.DISCONNECTED)
    stage.ask(TaskKind.SURVEY, integration.id)
    assert old.hostname in stage.instances(outpost)
    engine.found.clear()
    stage.ask(TaskKind.SURVEY, integration.id)
    stage.ask(TaskKind.SURVEY, integration.id)
    assert stage.instances(outpost) == [by_hand.hostname]


def test_an_image_that_somebody_pulled_by_hand_is_used(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    assert stage.row(outpost).image == OLD
    engine.images[IMAGE] = NEW
    stage.ask(TaskKind.SURVEY, integration.id)
    assert [image for _, image in engine.found.values()] == [NEW]
    assert stage.trail()[-1] == ("deployment replaced", "edge")


def test_health_is_waited_for(stage: Stage) -> None:
    """What starts is not as wanted yet, and nothing is to be done about it."""
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.become(engine.only().id, Condition.STARTING)
    stage.change(outpost, name="side")
    stage.settle()
    assert engine.names() == ["ak-outpost-side"]
    assert stage.ask(TaskKind.SURVEY, integration.id).result == {"outposts": 1, "deploys": 0}

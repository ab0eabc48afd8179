"""What becomes of a deployment that fails: what served serves on, and it is tried again neither too soon nor never."""

import pytest

from control.domain.integration import DeploymentState, Integration
from control.domain.outpost import Outpost
from control.domain.task import Cause, TaskKind, TaskState
from control.fleet.tokens import find_token, fingerprint, get_token, replace_token, revoke_token
from control.integrations.docker.spec import TOKEN_PATH
from control.integrations.model import ActionFailed, Condition
from control.store import Store
from control.tasks import places
from control.tasks.counting import DeploymentsCollector
from control.tasks.watching import Watcher
from tests.support.deploying import IMAGE, NEW, OLD, Stage, make_stage
from tests.support.memory_engine import MemoryEngine, as_found
from tests.support.stores import ADMIN, Clock


@pytest.fixture
def stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(store, clock, monkeypatch)


def test_a_bad_image_is_rolled_back_and_not_tried_again_by_itself(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine(registry={IMAGE: OLD, "bad:1": NEW}, broken={NEW})
    outpost = stage.outpost(integration)
    stage.settle()
    serving = engine.only().id
    stage.change(outpost, config={"container_image": "bad:1"})
    stage.settle()
    row = stage.row(outpost)
    assert engine.only().id == serving
    assert (row.state, row.error, row.failed_image) == (DeploymentState.ROLLED_BACK, "not_healthy", NEW)
    assert stage.trail()[-1] == ("deployment rolled back", "edge")
    tried = len(engine.done)
    for _ in range(30):
        clock.advance(minutes=5)
        stage.ask(TaskKind.SURVEY, integration.id)
    clock.advance(days=1)
    assert stage.ask(TaskKind.DEPLOY, outpost.id).state is TaskState.DONE
    assert len(engine.done) == tried
    assert stage.row(outpost).state is DeploymentState.ROLLED_BACK


def rolled_back(stage: Stage) -> tuple[Outpost, MemoryEngine]:
    integration, engine = stage.engine(registry={IMAGE: OLD, "bad:1": NEW}, broken={NEW})
    outpost = stage.outpost(integration)
    stage.settle()
    stage.change(outpost, config={"container_image": "bad:1"})
    stage.settle()
    return outpost, engine


def test_what_was_rolled_back_is_tried_again_when_somebody_asks(stage: Stage) -> None:
    outpost, engine = rolled_back(stage)
    tried = len(engine.done)
    stage.ask(TaskKind.DEPLOY, outpost.id, cause="akadmin")
    assert len(engine.done) == tried + 1
    assert stage.events()[-1].actor == "akadmin"
    assert stage.row(outpost).tries == 2


def test_what_was_rolled_back_is_tried_again_when_its_image_has_moved(stage: Stage) -> None:
    outpost, engine = rolled_back(stage)
    engine.registry = {"bad:1": "sha256:mended"}
    stage.ask(TaskKind.DEPLOY, outpost.id)
    row = stage.row(outpost)
    assert (row.state, row.image, row.failed, row.tries) == (DeploymentState.DEPLOYED, "sha256:mended", "", 0)


def test_what_was_rolled_back_is_well_when_it_is_wanted_as_it_was(stage: Stage) -> None:
    outpost, engine = rolled_back(stage)
    tried = len(engine.done)
    stage.change(outpost, config={})
    stage.settle()
    assert stage.row(outpost).state is DeploymentState.DEPLOYED
    assert stage.row(outpost).error == ""
    assert len(engine.done) == tried


def test_what_was_rolled_back_is_tried_when_nothing_serves_any_more(stage: Stage, clock: Clock) -> None:
    outpost, engine = rolled_back(stage)
    engine.broken.clear()
    engine.found.clear()
    clock.advance(hours=1)
    stage.ask(TaskKind.SURVEY, stage.row(outpost).integration)
    assert stage.row(outpost).state is DeploymentState.DEPLOYED
    assert engine.only().spec["image"] == "bad:1"


def test_what_never_became_healthy_is_tried_less_and_less_often(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine(broken={OLD})
    outpost = stage.outpost(integration)
    stage.settle()
    assert stage.row(outpost).state is DeploymentState.FAILED
    for _ in range(12 * 6):
        clock.advance(minutes=5)
        stage.ask(TaskKind.SURVEY, integration.id)
    assert 5 <= len(engine.done) <= 18
    engine.broken.clear()
    clock.advance(hours=1)
    stage.ask(TaskKind.SURVEY, integration.id)
    assert stage.row(outpost).state is DeploymentState.DEPLOYED
    assert stage.row(outpost).tries == 0


def test_what_failed_by_chance_is_there_a_moment_later(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)

    def killed_while_it_starts(_: object) -> None:
        engine.before = lambda _: None
        raise ActionFailed("not_healthy", "exit code 137")

    engine.before = killed_while_it_starts
    stage.settle()
    assert stage.row(outpost).state is DeploymentState.FAILED
    clock.advance(seconds=31)
    stage.settle()
    assert stage.row(outpost).state is DeploymentState.DEPLOYED


def test_an_image_that_is_nowhere_is_fetched_when_its_registry_is_back(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    serving = engine.only().id
    engine.registry = None
    stage.change(outpost, config={"container_image": "next:2"})
    stage.settle()
    assert stage.row(outpost).error == "no_image"
    assert engine.only().id == serving
    engine.registry = {"next:2": NEW}
    clock.advance(minutes=10)
    stage.ask(TaskKind.SURVEY, integration.id)
    assert engine.only().spec["image"] == "next:2"


def test_a_name_that_a_foreign_container_has_is_told_and_tried_again_later(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine(foreign_names={"ak-outpost-edge"})
    outpost = stage.outpost(integration)
    stage.settle()
    row = stage.row(outpost)
    assert (row.state, row.error, row.detail) == (DeploymentState.FAILED, "name_taken", "ak-outpost-edge")
    engine.foreign_names.clear()
    clock.advance(minutes=10)
    stage.ask(TaskKind.SURVEY, integration.id)
    assert engine.names() == ["ak-outpost-edge"]


def test_a_name_that_is_taken_is_left_by_another_name(stage: Stage) -> None:
    integration, engine = stage.engine(foreign_names={"ak-outpost-edge"})
    outpost = stage.outpost(integration)
    stage.settle()
    stage.change(outpost, name="side")
    stage.settle()
    assert engine.names() == ["ak-outpost-side"]


def test_a_token_that_was_taken_back_is_replaced(stage: Stage, store: Store) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    with store.write(ADMIN) as unit:
        replace_token(unit, outpost)
        newest = find_token(unit, outpost)
    stage.settle()
    assert newest is not None
    assert engine.only().spec["env"]["AUTHENTIK_TOKEN"] == fingerprint(newest.secret)
    [event] = [each for each in stage.events() if each.action == "deployment replaced"]
    assert event.fields == (TOKEN_PATH,)


def test_a_token_that_was_taken_back_is_replaced_even_where_an_image_failed(stage: Stage, store: Store) -> None:
    outpost, engine = rolled_back(stage)
    with store.write(ADMIN) as unit:
        replace_token(unit, outpost)
    tried = len(engine.done)
    stage.settle()
    assert len(engine.done) == tried + 1


def test_without_a_valid_token_what_runs_is_left_alone(stage: Stage, store: Store) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.done.clear()
    with store.write(ADMIN) as unit:
        revoke_token(unit, get_token(unit, outpost))
    stage.settle()
    assert engine.done == []
    assert (stage.row(outpost).state, stage.row(outpost).error) == (DeploymentState.FAILED, "no_valid_token")


def test_an_engine_that_is_known_to_be_away_is_asked_by_nobody_but_people_and_checks(stage: Stage) -> None:
    integration, engine = stage.engine()
    outposts = [stage.outpost(integration, name) for name in ("a", "b", "c")]
    asked: list[str] = []
    engine.away = "engine_away"
    answer = engine.ask

    def ask() -> None:
        asked.append("")
        answer()

    engine.ask = ask  # type: ignore[method-assign]  # it is counted
    with stage.store.write(ADMIN) as unit:
        for outpost in outposts:
            unit.runs.submit(TaskKind.DEPLOY, Cause.CHANGE, outpost.id, outpost.name)
    while stage.step() is not None:
        pass
    assert len(asked) == 1
    assert {stage.row(outpost).error for outpost in outposts} == {"engine_away"}
    # Who wasn't asked says so.
    found = f"no answer (found at {stage.health(integration).checked:%H:%M:%S} UTC)"
    assert sorted(stage.row(outpost).detail for outpost in outposts) == ["no answer", found, found]
    assert not stage.health(integration).healthy
    stage.ask(TaskKind.DEPLOY, outposts[0].id, cause="akadmin")
    assert len(asked) == 2


def test_what_is_mended_over_and_over_rests_in_between(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.done.clear()
    for _ in range(200):
        clock.advance(seconds=50)
        engine.become(engine.only().id, Condition.UNHEALTHY)
        stage.ask(TaskKind.SURVEY, integration.id, cause=Cause.EVENT)
    assert 5 <= len(engine.done) <= 16
    clock.advance(hours=2)
    stage.ask(TaskKind.SURVEY, integration.id)
    clock.advance(hours=2)
    stage.ask(TaskKind.SURVEY, integration.id)
    row = stage.row(outpost)
    assert (row.state, row.tries, row.retry) == (DeploymentState.DEPLOYED, 0, None)


def worn_out(stage: Stage, clock: Clock) -> tuple[Outpost, MemoryEngine, Integration]:
    """An outpost that was mended so often that it rests now, and is gone once more."""
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    for _ in range(places.FREE_MENDINGS + 2):
        clock.advance(minutes=1)
        engine.found.clear()
        stage.ask(TaskKind.SURVEY, integration.id, cause=Cause.EVENT)
        assert stage.row(outpost).state is DeploymentState.DEPLOYED
    engine.found.clear()
    stage.ask(TaskKind.SURVEY, integration.id, cause=Cause.EVENT)
    return outpost, engine, integration


def test_what_is_down_while_mending_rests_is_told_so_and_mended_when_the_rest_is_over(
    stage: Stage, clock: Clock
) -> None:
    outpost, engine, _ = worn_out(stage, clock)
    row = stage.row(outpost)
    assert (row.state, row.error, row.tries) == (DeploymentState.FAILED, places.MENDING_RESTS, 5)
    assert metrics(stage) == {DeploymentState.FAILED: 1.0}
    [waiting] = stage.runs(TaskKind.DEPLOY, TaskState.QUEUED)
    assert (waiting.subject, waiting.cause, waiting.due) == (outpost.id, Cause.EVENT, row.retry)
    assert "survey_resting" in stage.codes
    assert engine.names() == []
    stage.watcher = Watcher(stage.store, stage.means.home)
    assert stage.settle() == []
    clock.advance(seconds=21)
    stage.settle()
    mended = stage.row(outpost)
    assert engine.names() == ["ak-outpost-edge"]
    assert (mended.state, mended.error, mended.tries) == (DeploymentState.DEPLOYED, "", 6)
    assert stage.trail()[-1] == ("deployment mended", "edge")
    assert mended.retry == clock() + 4 * places.FIRST_RETRY


def metrics(stage: Stage) -> dict[str, float]:
    [deployments] = [
        each for each in DeploymentsCollector(stage.store).collect() if each.name == "garrison_deployments"
    ]
    return {each.labels["state"]: each.value for each in deployments.samples if each.value}


def test_what_is_well_again_by_itself_while_mending_rests_rests_on(stage: Stage, clock: Clock) -> None:
    outpost, engine, integration = worn_out(stage, clock)
    resting = stage.row(outpost)
    back = as_found(engine.done[-1].wanted)  # type: ignore[union-attr]  # it was made anew
    engine.put(back)
    stage.ask(TaskKind.SURVEY, integration.id, cause=Cause.EVENT)
    row = stage.row(outpost)
    assert (row.state, row.error) == (DeploymentState.DEPLOYED, "")
    assert (row.tries, row.retry, row.changed) == (resting.tries, resting.retry, resting.changed)


def test_somebody_who_asks_waits_for_no_rest(stage: Stage, clock: Clock) -> None:
    outpost, engine, _ = worn_out(stage, clock)
    stage.ask(TaskKind.DEPLOY, outpost.id, cause="akadmin")
    assert engine.names() == ["ak-outpost-edge"]
    assert stage.row(outpost).state is DeploymentState.DEPLOYED
    assert stage.runs(TaskKind.DEPLOY, TaskState.QUEUED) == []


def test_what_was_rolled_back_and_serves_no_more_has_failed_until_it_serves_again(stage: Stage) -> None:
    outpost, engine = rolled_back(stage)
    integration = stage.row(outpost).integration
    engine.become(engine.only().id, Condition.UNHEALTHY)
    stage.ask(TaskKind.SURVEY, integration)
    row = stage.row(outpost)
    assert (row.state, row.error) == (DeploymentState.FAILED, "not_healthy")
    [waiting] = stage.runs(TaskKind.DEPLOY, TaskState.QUEUED)
    assert waiting.due == row.retry
    engine.become(engine.only().id, Condition.RUNNING)
    stage.ask(TaskKind.SURVEY, integration)
    assert stage.row(outpost).state is DeploymentState.ROLLED_BACK


def test_what_still_starts_has_not_arrived_and_what_was_told_of_it_counts(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine(broken={OLD})
    outpost = stage.outpost(integration)
    stage.settle()
    engine.become(engine.only().id, Condition.STARTING)
    clock.advance(seconds=31)
    stage.settle()
    row = stage.row(outpost)
    assert (row.state, row.error, row.tries) == (DeploymentState.FAILED, "not_healthy", 1)
    [look] = stage.runs(TaskKind.SURVEY, TaskState.QUEUED)
    assert look.due > clock()
    engine.become(engine.only().id, Condition.RUNNING)
    clock.advance(seconds=31)
    stage.settle()
    assert stage.row(outpost).state is DeploymentState.DEPLOYED

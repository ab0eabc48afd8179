"""One outpost is brought to where it is wanted, whatever was there, whatever fails, and whatever changes meanwhile."""

from dataclasses import replace
from uuid import uuid4

import pytest

from control.domain.integration import DeploymentState
from control.domain.outpost import InstanceState, Outpost
from control.domain.task import Cause, TaskKind, TaskState
from control.fleet.integrations import remove_integration
from control.fleet.tokens import find_token, fingerprint, get_token, replace_token, revoke_token
from control.integrations.docker.spec import TOKEN_PATH
from control.integrations.model import ActionFailed, Cancelled, Condition, Revive
from control.store import Store
from control.tasks import deploying
from control.tasks.context import Hand, Stop, Work
from tests.support.deploying import IMAGE, NEW, OLD, Stage, make_stage
from tests.support.memory_engine import MemoryEngine, foreign
from tests.support.stores import ADMIN, Clock


@pytest.fixture
def stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(store, clock, monkeypatch)


def kinds(actions: list[object]) -> list[type]:
    return [type(each) for each in actions]


def test_an_outpost_is_deployed_where_it_is_wanted(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    row = stage.row(outpost)
    assert engine.names() == ["ak-outpost-edge"]
    assert (row.state, row.image, row.error) == (DeploymentState.DEPLOYED, OLD, "")
    assert row.fingerprint
    assert ("deployed", "edge") in stage.trail()


def test_what_is_as_wanted_is_left_alone(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.done.clear()
    assert stage.ask(TaskKind.DEPLOY, outpost.id).state is TaskState.DONE
    assert engine.done == []
    assert stage.trail().count(("deployed", "edge")) == 1


def test_a_change_of_options_replaces_it(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    stage.change(outpost, config={"docker_map_ports": False})
    stage.settle()
    assert engine.only().spec["ports"] == []
    [event] = [each for each in stage.events() if each.action == "deployment replaced"]
    assert event.fields == ("ports",)


def test_an_image_that_moved_is_picked_up_daily(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.registry = {IMAGE: NEW}
    stage.ask(TaskKind.DEPLOY, outpost.id)
    assert stage.row(outpost).image == NEW
    assert stage.trail()[-1] == ("deployment replaced", "edge")


def test_drift_is_mended_with_what_is_there(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.registry = None
    engine.found.clear()
    stage.ask(TaskKind.SURVEY, integration.id)
    assert engine.names() == ["ak-outpost-edge"]
    assert stage.trail()[-1] == ("deployment mended", "edge")
    assert stage.row(outpost).state is DeploymentState.DEPLOYED


def test_what_was_edited_by_hand_is_mended(stage: Stage) -> None:
    integration, engine = stage.engine()
    stage.outpost(integration)
    stage.settle()
    engine.edit(engine.only().id, restart="no")
    stage.ask(TaskKind.SURVEY, integration.id)
    assert engine.only().spec["restart"] == "unless-stopped"
    assert stage.trail()[-1] == ("deployment mended", "edge")


def test_what_stopped_is_started(stage: Stage) -> None:
    integration, engine = stage.engine()
    stage.outpost(integration)
    stage.settle()
    engine.done.clear()
    engine.become(engine.only().id, Condition.STOPPED)
    stage.ask(TaskKind.SURVEY, integration.id)
    assert kinds([*engine.done]) == [Revive]
    assert engine.only().condition is Condition.RUNNING


def test_a_removed_outpost_is_taken_away(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    stage.remove(outpost)
    stage.settle()
    assert engine.names() == []
    assert stage.rows(outpost) == []
    assert stage.trail()[-1] == ("deployment removed", "edge")


def test_an_outpost_that_is_removed_while_its_engine_is_away_leaves_no_orphan(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.away = "engine_away"
    stage.remove(outpost)
    stage.settle()
    row = stage.row(outpost.id)
    assert (row.state, row.error) == (DeploymentState.LEAVING, "engine_away")
    engine.away = ""
    clock.advance(hours=5)
    stage.ask(TaskKind.SURVEY, integration.id)
    assert engine.names() == []
    assert stage.rows(outpost) == []


def test_a_move_brings_it_up_there_before_it_goes_here(stage: Stage) -> None:
    first, old = stage.engine("first")
    second, new = stage.engine("second")
    outpost = stage.outpost(first)
    stage.settle()
    seen: list[list[str]] = []
    old.before = lambda _: seen.append(new.names())
    stage.change(outpost, integration="second")
    stage.settle()
    assert old.names() == []
    assert seen == [["ak-outpost-edge"]]
    assert stage.row(outpost).integration == second.id


def test_a_move_to_an_engine_that_is_away_leaves_it_serving(stage: Stage, clock: Clock) -> None:
    first, old = stage.engine("first")
    second, new = stage.engine("second", away="engine_away")
    outpost = stage.outpost(first)
    stage.settle()
    stage.change(outpost, integration="second")
    stage.settle()
    assert old.names() == ["ak-outpost-edge"]
    assert stage.row(outpost, first).state is DeploymentState.LEAVING
    new.away = ""
    clock.advance(minutes=1)
    stage.ask(TaskKind.CHECK, second.id)
    assert (old.names(), new.names()) == ([], ["ak-outpost-edge"])
    assert stage.row(outpost).integration == second.id


def test_a_move_back_and_forth_ends_where_it_is_wanted(stage: Stage) -> None:
    first, old = stage.engine("first")
    _, new = stage.engine("second")
    outpost = stage.outpost(first)
    stage.settle()
    stage.change(outpost, integration="second")
    stage.watcher.look()
    # While it is being deployed there somebody changes their mind.
    new.before = lambda _: None if stage.row(outpost, first).state is not DeploymentState.LEAVING else back()

    def back() -> None:
        stage.change(outpost, integration="first")

    stage.settle()
    assert old.names() == ["ak-outpost-edge"]
    stage.settle()
    assert (old.names(), new.names()) == (["ak-outpost-edge"], [])
    assert stage.row(outpost).integration == first.id
    assert stage.row(outpost).state is DeploymentState.DEPLOYED


def test_two_integrations_of_one_engine_keep_what_both_lead_to(stage: Stage) -> None:
    first, engine = stage.engine("first")
    second, _ = stage.engine("second")
    stage.engines[second.url] = engine
    outpost = stage.outpost(first)
    stage.settle()
    engine.done.clear()
    stage.change(outpost, integration="second")
    stage.settle()
    assert engine.names() == ["ak-outpost-edge"]
    assert engine.done == []
    assert stage.row(outpost).integration == second.id
    assert "same_engine" in stage.codes


def test_what_leaves_is_what_control_has_made(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.put(foreign(outpost.id))
    stage.change(outpost, integration="")
    stage.settle()
    assert engine.names() == ["hand-made"]
    assert stage.rows(outpost) == []


def test_what_others_made_is_not_touched(stage: Stage) -> None:
    integration, engine = stage.engine()
    engine.put(foreign(uuid4(), "of authentik"))
    unmanaged = stage.outpost(None, "alone")
    engine.put(foreign(unmanaged.id, "by hand"))
    stage.outpost(integration)
    stage.settle()
    stage.ask(TaskKind.SURVEY, integration.id)
    assert engine.names() == ["ak-outpost-edge", "by hand", "of authentik"]


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


class Killed(BaseException):
    """The process ends here and now."""


@pytest.mark.parametrize("where", ["_reconciled", "_tell", "_clear"])
def test_what_was_killed_in_the_middle_is_finished_by_the_next_attempt(
    stage: Stage, clock: Clock, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    first, old = stage.engine("first")
    _, new = stage.engine("second")
    outpost = stage.outpost(first)
    stage.settle()
    stage.change(outpost, integration="second")

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(deploying, where, killed)
        stage.settle()
    assert old.names() == ["ak-outpost-edge"]
    clock.advance(minutes=1)
    stage.settle()
    assert (old.names(), new.names()) == ([], ["ak-outpost-edge"])
    [row] = stage.rows(outpost)
    assert row.state is DeploymentState.DEPLOYED
    assert stage.trail().count(("deployed", "edge")) == 2


def test_what_was_killed_before_it_could_say_that_it_made_something_leaves_nothing_unknown(
    stage: Stage, clock: Clock
) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)

    def killed(_: object) -> None:
        engine.before = lambda _: None
        raise Killed

    engine.before = killed
    with pytest.raises(Killed):
        stage.settle()
    assert stage.row(outpost).state is DeploymentState.PENDING
    stage.remove(outpost)
    clock.advance(minutes=1)
    stage.settle()
    assert (engine.names(), stage.rows(outpost)) == ([], [])


def test_whoever_is_to_stop_stops_before_the_next_thing(stage: Stage, store: Store) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    with store.write(ADMIN) as unit:
        run = unit.runs.submit(TaskKind.DEPLOY, "akadmin", outpost.id, "edge")
    hand = Hand(run, stage.clock)
    hand.stop = Stop.ASKED
    with pytest.raises(Cancelled):
        deploying.run(Work(run=run, store=store, means=stage.means, now=stage.clock, hand=hand))
    assert engine.names() == []
    assert stage.row(outpost).state is DeploymentState.PENDING


def test_an_integration_that_is_forgotten_with_what_lies_there_is_let_go(stage: Stage, store: Store) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    engine.away = "engine_away"
    stage.remove(outpost)
    stage.settle()
    with store.write(ADMIN) as unit:
        remove_integration(unit, unit.integrations.get(integration.id))
    assert stage.rows(outpost) == []
    stage.clock.advance(minutes=1)
    stage.settle()
    assert {run.state for run in stage.runs(TaskKind.DEPLOY)} == {TaskState.DONE}
    assert ("left behind", "edge") in [(each.action, each.name) for each in stage.events()]


def test_what_cannot_be_removed_is_tried_again_and_not_forgotten(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()

    def refuse(_: object) -> None:
        raise ActionFailed("not_removed", "busy")

    engine.before = refuse
    stage.remove(outpost)
    stage.settle()
    row = stage.row(outpost.id)
    assert (row.state, row.error) == (DeploymentState.LEAVING, "not_removed")
    engine.before = lambda _: None
    clock.advance(minutes=10)
    stage.ask(TaskKind.SURVEY, integration.id)
    assert (engine.names(), stage.rows(outpost)) == ([], [])


def test_instances_of_what_was_replaced_are_forgotten(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    stage.connect(outpost, engine.only().id, state=InstanceState.DISCONNECTED)
    stage.change(outpost, config={"docker_map_ports": False})
    stage.settle()
    assert stage.instances(outpost) == []


def test_an_engine_that_is_away_for_hours_is_one_run_that_waits_and_then_surveys(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine(away="engine_away")
    outpost = stage.outpost(integration)
    stage.settle()
    assert stage.row(outpost).error == "engine_away"
    for _ in range(20):
        clock.advance(minutes=5)
        stage.ask(TaskKind.SURVEY, integration.id)
    assert len(stage.runs(TaskKind.DEPLOY)) == 1
    engine.away = ""
    stage.ask(TaskKind.CHECK, integration.id)
    stage.settle()
    assert stage.row(outpost).state is DeploymentState.DEPLOYED


def test_the_same_name_on_two_outposts_is_two_containers(stage: Stage) -> None:
    integration, engine = stage.engine()
    stage.outpost(integration, "Edge")
    stage.outpost(integration, "edge")
    stage.settle()
    assert len(set(engine.names())) == 2


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


def test_an_instance_that_the_link_has_not_missed_yet_is_forgotten_a_moment_later(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    instance = stage.connect(outpost, engine.only().id)
    stage.change(outpost, config={"docker_map_ports": False})
    stage.settle()
    assert stage.instances(outpost) == [instance.hostname]
    with stage.store.write(ADMIN) as unit:
        unit.instances.save([replace(instance, state=InstanceState.DISCONNECTED)])
    clock.advance(seconds=16)
    stage.settle()
    assert stage.instances(outpost) == []


def test_an_instance_elsewhere_is_waited_for_by_nobody(stage: Stage, clock: Clock) -> None:
    """Somebody runs another one by hand."""
    integration, _ = stage.engine()
    outpost = stage.outpost(integration)
    stage.connect(outpost, "abcdef012345")
    stage.settle()
    for _ in range(5):
        clock.advance(minutes=1)
        stage.settle()
    assert stage.runs(TaskKind.SURVEY, TaskState.QUEUED) == []
    assert stage.instances(outpost) == ["abcdef012345"]

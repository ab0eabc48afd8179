"""One outpost is brought to where it is wanted, whatever was there, whatever fails, and whatever changes meanwhile."""

from dataclasses import replace
from uuid import uuid4

import pytest

from control.domain.integration import DeploymentState
from control.domain.outpost import InstanceState
from control.domain.task import TaskKind, TaskState
from control.fleet.integrations import remove_integration
from control.integrations.model import ActionFailed, Cancelled, Condition, Revive
from control.store import Store
from control.tasks import deploying
from control.tasks.context import Hand, Stop, Work
from tests.support.deploying import IMAGE, NEW, OLD, Stage, make_stage
from tests.support.memory_engine import foreign
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

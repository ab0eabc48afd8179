"""Whatever is committed and matters is handed in, by whomever and however; nothing else is, and nothing twice."""

from dataclasses import replace

import pytest

from control.domain.task import Cause, TaskKind, TaskRun, TaskState
from control.fleet.launch import Home
from control.fleet.tokens import replace_token
from control.integrations.model import Condition
from control.store import Store
from control.tasks.watching import Watcher
from tests.support import builders
from tests.support.deploying import Stage, make_stage
from tests.support.stores import ADMIN, Clock
from tests.support.tasks import MEANS


@pytest.fixture
def stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(store, clock, monkeypatch)


def waiting(stage: Stage) -> list[tuple[TaskKind, str]]:
    return sorted((run.kind, run.name) for run in stage.runs(state=TaskState.QUEUED))


def again(stage: Stage, home: Home = MEANS.home) -> list[tuple[TaskKind, str]]:
    """What a process hands in that has just started."""
    Watcher(stage.store, home).look()
    return waiting(stage)


def test_a_new_outpost_and_a_new_engine_are_handed_in(stage: Stage) -> None:
    integration, _ = stage.engine()
    stage.outpost(integration)
    stage.watcher.look()
    assert waiting(stage) == [(TaskKind.CHECK, "local"), (TaskKind.DEPLOY, "edge")]
    assert {run.cause for run in stage.runs()} == {Cause.CHANGE}


def test_nothing_is_handed_in_twice(stage: Stage) -> None:
    integration, _ = stage.engine()
    stage.outpost(integration)
    stage.settle()
    stage.watcher.look()
    with stage.store.write(ADMIN) as unit:
        unit.users.add(builders.user("bob"))
    stage.watcher.look()
    assert waiting(stage) == []


def test_what_has_nothing_to_do_with_deployments_is_not_even_looked_at(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration, _ = stage.engine()
    stage.outpost(integration)
    stage.settle()
    stage.watcher.look()
    monkeypatch.setattr("control.tasks.watching.desires", lambda *_: pytest.fail("looked"))
    with stage.store.write(ADMIN) as unit:
        unit.users.add(builders.user("bob"))
    stage.watcher.look()


@pytest.mark.parametrize(
    "fields",
    [{"name": "side"}, {"config": {"docker_map_ports": False}}, {"type": "ldap"}, {"config": {"docker_network": "n"}}],
    ids=["name", "ports", "type", "network"],
)
def test_every_change_of_an_outpost_is(stage: Stage, fields: dict[str, object]) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    before = engine.only()
    stage.change(outpost, **fields)
    assert TaskKind.DEPLOY in stage.settle()
    after = engine.only()
    assert (after.name, after.spec) != (before.name, before.spec)


def test_a_change_of_a_provider_is(stage: Stage) -> None:
    integration, engine = stage.engine()
    with stage.store.write(ADMIN) as unit:
        provider = unit.proxy_providers.add(builders.provider())
    stage.outpost(integration, providers=["wiki"])
    stage.settle()
    with stage.store.write(ADMIN) as unit:
        unit.proxy_providers.update(replace(provider, external_host="https://other.example.com"))
    stage.settle()
    labels = engine.only().spec["labels"]
    assert "other.example.com" in str(labels)


def test_a_token_that_was_taken_back_is(stage: Stage) -> None:
    integration, _ = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    with stage.store.write(ADMIN) as unit:
        replace_token(unit, outpost)
    stage.watcher.look()
    assert waiting(stage) == [(TaskKind.DEPLOY, "edge")]


def test_options_that_say_nothing_new_are_not(stage: Stage) -> None:
    integration, _ = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    stage.change(outpost, config={"refresh_interval": "minutes=7"})
    stage.watcher.look()
    assert waiting(stage) == []


def test_an_outpost_that_goes_and_one_that_moves_are(stage: Stage) -> None:
    first, _ = stage.engine("first")
    stage.engine("second")
    going, moving = stage.outpost(first, "going"), stage.outpost(first, "moving")
    stage.settle()
    stage.remove(going)
    stage.change(moving, integration="second")
    stage.watcher.look()
    assert waiting(stage) == [(TaskKind.DEPLOY, "going"), (TaskKind.DEPLOY, "moving")]


def test_an_engine_that_is_reached_otherwise_is_checked(stage: Stage) -> None:
    integration, _ = stage.engine()
    stage.settle()
    with stage.store.write(ADMIN) as unit:
        unit.integrations.update(replace(integration, name="other"))
    stage.watcher.look()
    assert waiting(stage) == [(TaskKind.CHECK, "other")]


def test_a_start_hands_in_what_was_missed_and_nothing_else(stage: Stage) -> None:
    integration, _ = stage.engine()
    done, gone = stage.outpost(integration, "done"), stage.outpost(integration, "gone")
    stage.settle()
    stage.remove(gone)
    stage.outpost(integration, "new")
    assert again(stage) == [(TaskKind.DEPLOY, "gone"), (TaskKind.DEPLOY, "new")]
    assert done.name == "done"


def test_a_start_as_another_version_upgrades_all(stage: Stage) -> None:
    integration, _ = stage.engine()
    stage.outpost(integration)
    stage.settle()
    assert again(stage) == []
    assert again(stage, Home(url=MEANS.home.url, version="2.0")) == [(TaskKind.DEPLOY, "edge")]


def test_a_start_does_not_try_again_what_failed(stage: Stage) -> None:
    integration, engine = stage.engine(registry={"bad:1": "sha256:bad"}, broken={"sha256:bad"})
    stage.outpost(integration, config={"container_image": "bad:1"})
    stage.settle()
    assert engine.only().condition is Condition.UNHEALTHY
    again(stage)
    [retry] = stage.runs(state=TaskState.QUEUED)
    assert retry.due > stage.clock()


def test_two_processes_hand_in_one_run(stage: Stage) -> None:
    other = Watcher(stage.store, MEANS.home)
    other.look()
    integration, _ = stage.engine()
    stage.outpost(integration)
    stage.watcher.look()
    other.look()
    runs: list[TaskRun] = stage.runs(TaskKind.DEPLOY)
    assert len(runs) == 1


def test_a_look_that_comes_to_nothing_is_made_up_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    integration, _ = stage.engine()
    stage.outpost(integration)

    def fails(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(stage.watcher, "_hand_in", fails)
        with pytest.raises(RuntimeError):
            stage.watcher.look()
    stage.watcher.look()
    assert (TaskKind.DEPLOY, "edge") in waiting(stage)

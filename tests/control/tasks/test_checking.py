"""What an engine shows becomes its health, with since when; one that is back is surveyed at once."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from control.domain.task import TaskKind, TaskState
from control.integrations.model import Found, TargetAway
from control.store import Store
from tests.support.deploying import Stage, make_stage
from tests.support.memory_engine import HOST_KEY
from tests.support.stores import ADMIN, Clock


@pytest.fixture
def stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(store, clock, monkeypatch)


def test_an_engine_that_answers_is_healthy(stage: Stage, clock: Clock) -> None:
    integration, _ = stage.engine()
    stage.settle()
    health = stage.health(integration)
    assert (health.healthy, health.version, health.error, health.since) == (True, "24.0", "", clock())
    assert stage.trail() == [("reachable", "local")]


def test_an_engine_that_does_not_is_not_and_since_when_is_told(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine()
    stage.settle()
    began = clock()
    clock.advance(minutes=1)
    engine.away = "tls_refused"
    run = stage.ask(TaskKind.CHECK, integration.id)
    away = clock()
    assert run.state is TaskState.DONE
    clock.advance(hours=3)
    stage.ask(TaskKind.CHECK, integration.id)
    health = stage.health(integration)
    assert (health.healthy, health.error, health.detail) == (False, "tls_refused", "no answer")
    assert (health.since, health.checked, health.version) == (away, clock(), "24.0")
    assert away > began
    assert stage.trail() == [("reachable", "local"), ("unreachable", "local")]


def test_an_engine_that_is_back_is_surveyed_at_once(stage: Stage, clock: Clock) -> None:
    integration, engine = stage.engine()
    stage.outpost(integration)
    stage.settle()
    engine.away = "engine_away"
    stage.ask(TaskKind.CHECK, integration.id)
    engine.away = ""
    engine.found.clear()
    clock.advance(minutes=1)
    stage.ask(TaskKind.CHECK, integration.id)
    assert engine.names() == ["ak-outpost-edge"]


def test_what_is_refused_is_told(stage: Stage) -> None:
    integration, _ = stage.engine(missing=("containers create", "containers kill"))
    stage.settle()
    health = stage.health(integration)
    assert (health.healthy, health.error) == (False, "permissions_missing")
    assert health.missing == ("containers create", "containers kill")


def test_pulling_is_not_needed(stage: Stage) -> None:
    integration, _ = stage.engine(missing=("images pull",))
    stage.settle()
    health = stage.health(integration)
    assert (health.healthy, health.error, health.missing) == (True, "", ("images pull",))


def test_the_first_host_key_is_pinned_and_another_is_refused(stage: Stage) -> None:
    integration, engine = stage.engine(url="ssh://host.example", host_key=HOST_KEY)
    stage.settle()
    assert stage.health(integration).host_key == HOST_KEY
    engine.host_key = "ssh-ed25519 BBBB"
    stage.ask(TaskKind.CHECK, integration.id)
    health = stage.health(integration)
    assert (health.healthy, health.error) == (False, "host_key_changed")
    assert (health.host_key, health.offered_key) == (HOST_KEY, "ssh-ed25519 BBBB")


def test_a_new_host_key_that_is_trusted_is_used(stage: Stage, store: Store) -> None:
    integration, engine = stage.engine(url="ssh://host.example", host_key=HOST_KEY)
    stage.settle()
    engine.host_key = "ssh-ed25519 BBBB"
    stage.ask(TaskKind.CHECK, integration.id)
    with store.write(ADMIN) as unit:
        known = unit.integration_healths.get(integration.id)
        unit.integration_healths.save([replace(known, host_key=known.offered_key, offered_key="")])
    stage.ask(TaskKind.CHECK, integration.id)
    health = stage.health(integration)
    assert (health.healthy, health.host_key, health.offered_key) == (True, "ssh-ed25519 BBBB", "")


def test_who_is_deployed_to_before_any_check_is_pinned_too(stage: Stage) -> None:
    integration, _ = stage.engine(url="ssh://host.example", host_key=HOST_KEY)
    outpost = stage.outpost(integration)
    stage.ask(TaskKind.DEPLOY, outpost.id)
    assert stage.health(integration).host_key == HOST_KEY


def test_health_of_many_minutes_is_few_events(stage: Stage, clock: Clock) -> None:
    integration, _ = stage.engine()
    stage.settle()
    for _ in range(5):
        clock.advance(minutes=1)
        stage.ask(TaskKind.CHECK, integration.id)
    assert stage.trail() == [("reachable", "local")]
    assert stage.health(integration).checked - stage.health(integration).since == timedelta(minutes=5)


@pytest.mark.parametrize("url", ["", "ssh://host.example"])
def test_an_engine_that_was_never_reached_is_one_event(stage: Stage, clock: Clock, url: str) -> None:
    integration, engine = stage.engine(url=url, away="not_an_engine")
    outpost = stage.outpost(integration)
    for _ in range(5):
        stage.settle()
        clock.advance(minutes=1)
        for kind, subject in (
            (TaskKind.CHECK, integration.id),
            (TaskKind.SURVEY, integration.id),
            (TaskKind.DEPLOY, outpost.id),
        ):
            stage.ask(kind, subject)
    assert stage.trail() == [("unreachable", "local")]
    engine.away = ""
    stage.ask(TaskKind.CHECK, integration.id)
    assert stage.trail()[1] == ("reachable", "local")


def test_what_was_only_pinned_was_not_checked(stage: Stage) -> None:
    integration, _ = stage.engine(url="ssh://host.example", host_key=HOST_KEY, missing=("containers read",))
    stage.ask(TaskKind.SURVEY, integration.id)
    pinned = stage.health(integration)
    assert (pinned.healthy, pinned.error, pinned.host_key) == (False, "", HOST_KEY)
    stage.ask(TaskKind.CHECK, integration.id)
    assert stage.trail() == [("unreachable", "local")]


def test_an_engine_that_no_survey_can_look_at_is_not_healthy(
    stage: Stage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration, engine = stage.engine()
    stage.outpost(integration)
    stage.settle()
    before = stage.trail()

    def hangs(_: frozenset[UUID]) -> tuple[Found, ...]:
        raise TargetAway("engine_away", "GET /containers/{id}/json: no answer within 10 s")

    # One container that is stuck.
    monkeypatch.setattr(engine, "observed", hangs)
    for _ in range(5):
        clock.advance(minutes=1)
        stage.ask(TaskKind.CHECK, integration.id)
        stage.ask(TaskKind.SURVEY, integration.id)
    assert stage.trail() == [*before, ("unreachable", "local")]
    assert stage.health(integration).error == "engine_away"


def test_what_may_not_be_read_is_told_as_lacking(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    integration, engine = stage.engine(missing=("containers read",))

    def refused(_: frozenset[UUID]) -> tuple[Found, ...]:
        raise TargetAway("not_allowed", "GET /containers/json")

    monkeypatch.setattr(engine, "observed", refused)
    stage.settle()
    assert stage.health(integration).error == "permissions_missing"


def test_an_engine_that_says_what_nobody_foresaw_is_not_healthy(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    integration, engine = stage.engine()
    stage.settle()

    def odd() -> None:
        raise KeyError("Id")

    engine.ask = odd  # type: ignore[method-assign]  # what it answers makes no sense
    run = stage.ask(TaskKind.CHECK, integration.id)
    health = stage.health(integration)
    assert run.state is TaskState.DONE
    assert (health.healthy, health.error, health.detail) == (False, "crashed", "KeyError")
    assert "an engine could not be checked" in caplog.text

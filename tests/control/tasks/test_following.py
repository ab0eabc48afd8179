"""Events of an engine lead to a survey soon, and to few of them; what stops, is refused or is away does no harm."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest

from control.domain.task import Cause, TaskKind, TaskState
from control.integrations.model import TargetAway
from control.store import Store
from control.tasks import checking, following
from control.tasks.following import APART, FURTHEST_APART, SETTLING, Followed, Follower
from tests.support.deploying import Stage, make_stage
from tests.support.peers_program import eventually
from tests.support.stores import ADMIN, Clock
from tests.support.tasks import MEANS


@pytest.fixture
def stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(following, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(following, "LONGEST_SECONDS", 0.05)
    return make_stage(store, clock, monkeypatch)


@pytest.fixture
def follower(stage: Stage) -> Iterator[Follower]:
    follower = Follower(stage.store, MEANS)
    yield follower
    follower.start()
    follower.stop()


def surveys(stage: Stage) -> int:
    return len(stage.runs(TaskKind.SURVEY, TaskState.QUEUED))


def followed(stage: Stage, follower: Follower) -> None:
    """Begin, and do the survey that is due when somebody begins to follow."""
    follower.look()
    eventually(lambda: surveys(stage) == 1, "a survey is handed in")
    stage.clock.advance(seconds=10)
    stage.settle()
    assert surveys(stage) == 0


def test_an_event_of_an_outpost_is_followed_by_a_survey(stage: Stage, follower: Follower) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    followed(stage, follower)
    engine.events.put(outpost.id)
    eventually(lambda: surveys(stage) == 1, "a survey is handed in")
    [run] = stage.runs(TaskKind.SURVEY, TaskState.QUEUED)
    assert (run.cause, run.subject) == (Cause.EVENT, integration.id)
    assert SETTLING <= run.due - stage.clock() <= APART


def test_many_events_are_one_survey(stage: Stage, follower: Follower) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    followed(stage, follower)
    for _ in range(50):
        engine.events.put(outpost.id)
    eventually(engine.events.empty, "all are read")
    eventually(lambda: surveys(stage) == 1, "a survey is handed in")


def test_events_of_others_are_nothing(stage: Stage, follower: Follower) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    followed(stage, follower)
    engine.events.put(uuid4())
    eventually(engine.events.empty, "it is read")
    assert surveys(stage) == 0
    engine.events.put(outpost.id)
    eventually(lambda: surveys(stage) == 1, "a survey is handed in")


def test_an_engine_that_is_back_is_surveyed_and_followed(stage: Stage, follower: Follower) -> None:
    integration, engine = stage.engine()
    stage.outpost(integration)
    stage.settle()
    followed(stage, follower)
    engine.away = "engine_away"
    engine.events.put(None)
    [each] = follower._followed.values()
    eventually(lambda: each._engine is None, "it has ended")
    with stage.store.write(ADMIN) as unit:
        checking.note_away(unit, integration, TargetAway("engine_away", "no answer"))
    engine.away = ""
    eventually(lambda: surveys(stage) == 1, "a survey is handed in")
    [check] = stage.runs(TaskKind.CHECK, TaskState.QUEUED)
    assert check.cause == Cause.EVENT
    stage.settle()
    with stage.store.read() as unit:
        health = unit.integration_healths.get(integration.id)
    assert health.healthy


def test_where_events_are_refused_nobody_asks_all_the_time(stage: Stage, follower: Follower) -> None:
    _, engine = stage.engine(away="not_allowed")
    opened: list[float] = []
    asked = engine.ask

    def ask() -> None:
        opened.append(time.monotonic())
        asked()

    engine.ask = ask  # type: ignore[method-assign]  # it is counted
    follower.look()
    eventually(lambda: opened, "it is asked")
    follower.look()
    [thread] = [each._thread for each in follower._followed.values()]
    thread.join(0.3)
    assert len(opened) == 1
    assert surveys(stage) == 0


def test_integrations_that_change_are_followed_as_they_are(stage: Stage, follower: Follower, store: Store) -> None:
    integration, _ = stage.engine()
    _, second = stage.engine("second")
    followed_at_first = integration
    follower.look()
    eventually(lambda: surveys(stage) == 2, "both are followed")
    stage.clock.advance(seconds=10)
    stage.settle()
    with store.write(ADMIN) as unit:
        unit.integrations.remove(unit.integrations.get_named("second"))
        unit.integrations.update(replace(followed_at_first, url="unix:///run/third.sock"))
    stage.engines["unix:///run/third.sock"] = second
    follower.look()
    eventually(lambda: surveys(stage) == 1, "it is followed there")
    assert stage.clock() + timedelta(seconds=10) > stage.runs(TaskKind.SURVEY)[0].due


def test_what_goes_on_and_on_is_looked_at_less_and_less_often(stage: Stage) -> None:
    integration, _ = stage.engine()
    followed = Followed(stage.store, MEANS, integration)
    now = stage.clock()
    dues: list[datetime] = []
    for at in range(600):
        moment = now + timedelta(seconds=at)
        if not dues or moment >= dues[-1]:
            dues.append(followed._next(moment))
            followed._due = dues[-1]
    pauses = [later - earlier for earlier, later in pairwise(dues)]
    assert pauses[0] == APART
    assert max(pauses) <= FURTHEST_APART + SETTLING
    assert len(dues) < 600 / FURTHEST_APART.total_seconds() + 10
    calm = dues[-1] + timedelta(minutes=5)
    assert followed._next(calm) == calm + SETTLING


def test_an_end_does_not_wait_for_an_engine_that_hangs(stage: Stage, follower: Follower) -> None:
    _, engine = stage.engine()
    hanging = threading.Event()
    engine.ask = lambda: bool(hanging.wait(10))  # type: ignore[method-assign,assignment]  # it doesn't answer
    follower.look()
    began = time.monotonic()
    follower.start()
    follower.stop()
    assert time.monotonic() - began < 8
    hanging.set()
    follower._thread = threading.Thread(target=lambda: None)


def test_a_clock_that_went_back_hides_no_event(stage: Stage, follower: Follower) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    followed(stage, follower)
    stage.clock.advance(days=-2)
    engine.events.put(outpost.id)
    eventually(lambda: surveys(stage) == 1, "a survey is handed in")


def test_what_happens_after_a_survey_that_came_early_is_surveyed_too(stage: Stage, follower: Follower) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    followed(stage, follower)
    engine.events.put(outpost.id)
    eventually(lambda: surveys(stage) == 1, "a survey is handed in")
    with stage.store.write(ADMIN) as unit:
        unit.runs.submit(TaskKind.SURVEY, Cause.CHANGE, integration.id, integration.name)
    stage.settle()
    assert surveys(stage) == 0
    engine.events.put(outpost.id)
    eventually(lambda: surveys(stage) == 1, "another survey is handed in")

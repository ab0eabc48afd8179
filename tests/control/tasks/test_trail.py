"""The audit trail tells what was done on engines: in which words, by whom, and no values."""

from uuid import uuid4

import pytest

from control.domain.task import Cause, TaskKind, TaskRun
from control.integrations.model import (
    Action,
    ActionFailed,
    Change,
    Create,
    Difference,
    Key,
    Remove,
    Replace,
    Revive,
    Wanted,
)
from control.store import SYSTEM
from control.tasks import trail
from control.tasks.trail import About
from tests.support.builders import WHEN
from tests.support.databases import SQLITE
from tests.support.memory_engine import as_found

WANTED = Wanted(
    key=Key(owner=uuid4(), component="outpost"), name="edge", spec={}, accepts={"env.TOKEN": frozenset({"t"})}
)
FOUND = as_found(WANTED)
NEW = About(outpost=WANTED.key.owner, name="edge")
KNOWN = About(outpost=WANTED.key.owner, name="edge", as_wanted=True)
LEAVING = About(outpost=WANTED.key.owner, name="edge", leaving=True)


@pytest.fixture
def database_kind() -> str:
    """None is asked."""
    return SQLITE


def replaced(*paths: str) -> Replace:
    told = tuple(Difference(path=path, wanted="secret", found="other") for path in paths)
    return Replace(wanted=WANTED, found=FOUND, differences=told, beside=True)


def renamed() -> Change:
    return Change(wanted=WANTED, found=FOUND, differences=(Difference(path="name"),))


@pytest.mark.parametrize(
    ("about", "action", "words"),
    [
        (NEW, Create(wanted=WANTED), "deployed"),
        (KNOWN, Create(wanted=WANTED), "deployment mended"),
        (NEW, replaced("ports"), "deployment replaced"),
        (KNOWN, replaced("ports"), "deployment mended"),
        (KNOWN, replaced("image"), "deployment replaced"),
        (KNOWN, replaced("env.TOKEN"), "deployment replaced"),
        (NEW, renamed(), "deployment changed"),
        (KNOWN, renamed(), "deployment mended"),
        (KNOWN, Revive(wanted=WANTED, found=FOUND), "deployment mended"),
        (KNOWN, Remove(found=FOUND), "deployment mended"),
        (LEAVING, Remove(found=FOUND), "deployment removed"),
    ],
)
def test_each_action_has_its_words(about: About, action: Action, words: str) -> None:
    assert trail.done(about, action).action == words


def test_what_differed_is_named_and_no_value_is() -> None:
    event = trail.done(NEW, replaced("ports", "env.TOKEN"))
    assert event.fields == ("ports", "env.TOKEN")
    assert "secret" not in repr(event)


@pytest.mark.parametrize(("restored", "words"), [(True, "deployment rolled back"), (False, "deployment failed")])
def test_what_failed_says_why(restored: bool, words: str) -> None:
    event = trail.not_done(NEW, ActionFailed("not_healthy", "words of the engine", restored=restored))
    assert (event.action, event.outcome, event.reason) == (words, "failure", "not_healthy")


@pytest.mark.parametrize(("cause", "name"), [(Cause.SCHEDULE, SYSTEM.name), (Cause.EVENT, SYSTEM.name), ("eve", "eve")])
def test_whoever_asked_is_who_acts(cause: str, name: str) -> None:
    run = TaskRun(id=uuid4(), kind=TaskKind.DEPLOY, cause=cause, created=WHEN, due=WHEN)
    assert trail.actor_of(run).name == name

"""What becomes of a deployment's row, by what was tried and how it ended."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from control.domain.integration import Deployment, DeploymentState
from control.integrations.model import (
    Action,
    ActionFailed,
    Change,
    Condition,
    Create,
    Difference,
    Found,
    Key,
    Remove,
    Replace,
    Revive,
    TargetAway,
    Wanted,
)
from control.tasks import places
from control.tasks.places import Attempt
from tests.support.builders import WHEN
from tests.support.databases import SQLITE
from tests.support.memory_engine import as_found

WANTED = Wanted(
    key=Key(owner=uuid4(), component="outpost"),
    name="edge",
    spec={"image": "i:1", "token": "t"},
    accepts={"token": frozenset({"t"})},
)
FOUND = as_found(WANTED)
ROW = Deployment(id=uuid4(), integration=uuid4(), outpost=WANTED.key.owner, name="edge", created=WHEN)
TRIED = Attempt(of=WANTED.attempt, image="sha256:bad")
IMAGE = (Difference(path="image", wanted="i:1", found="i:0"),)
TOKEN = (Difference(path="token"),)


@pytest.fixture
def database_kind() -> str:
    """None is asked."""
    return SQLITE


def failing(row: Deployment = ROW, code: str = "not_healthy", *, restored: bool = True) -> Deployment:
    return places.failed(row, ActionFailed(code, "words", restored=restored), TRIED, WHEN)


def replacing(found: Found = FOUND, differences: tuple[Difference, ...] = IMAGE) -> Replace:
    return Replace(wanted=WANTED, found=found, differences=differences, beside=True)


@pytest.mark.parametrize(
    ("action", "image", "held"),
    [
        (replacing(), "", True),
        (replacing(), "sha256:bad", True),
        (replacing(), "sha256:mended", False),
        (Change(wanted=WANTED, found=FOUND, differences=IMAGE), "", True),
        (replacing(found=replace(FOUND, condition=Condition.STARTING)), "", True),
        (replacing(found=replace(FOUND, condition=Condition.STOPPED)), "", False),
        (replacing(found=replace(FOUND, condition=Condition.UNHEALTHY)), "", False),
        (replacing(differences=TOKEN), "", False),
        (replace(replacing(), wanted=replace(WANTED, spec={"image": "i:2", "token": "t"})), "", False),
        (Create(wanted=WANTED), "", False),
        (Revive(wanted=WANTED, found=FOUND), "", False),
        (Remove(found=FOUND), "", False),
    ],
    ids=[
        "the same",
        "the same image",
        "another image",
        "a change",
        "it starts",
        "it stopped",
        "it is ill",
        "a token that is worth nothing",
        "another attempt",
        "nothing is there",
        "it is to be started",
        "it is to go",
    ],
)
def test_what_failed_is_held_while_the_old_one_serves(action: Action, image: str, held: bool) -> None:
    assert places.is_held(failing(), action, {WANTED.key: image} if image else {}) is held


def test_nothing_is_held_that_never_failed() -> None:
    assert not places.is_held(ROW, replacing(), {})


@pytest.mark.parametrize("code", sorted(places.UNTOUCHED))
def test_what_did_no_harm_is_not_held(code: str) -> None:
    row = failing(code=code)
    assert not places.is_held(row, replacing(), {})
    assert places.find_retry(row) == WHEN + places.FIRST_RETRY


def test_what_was_rolled_back_is_not_tried_again_by_itself() -> None:
    assert places.find_retry(failing()) is None
    assert places.find_retry(failing(restored=False)) == WHEN + places.FIRST_RETRY


@pytest.mark.parametrize("code", sorted(places.FAULTS))
def test_faults_wait_for_a_change(code: str) -> None:
    assert places.find_retry(failing(code=code, restored=False)) is None


def test_the_same_failure_rests_longer_each_time() -> None:
    row, rests = ROW, []
    for _ in range(12):
        row = failing(row, restored=False)
        assert row.retry is not None
        rests.append(row.retry - WHEN)
    assert rests[:3] == [places.FIRST_RETRY, 2 * places.FIRST_RETRY, 4 * places.FIRST_RETRY]
    assert rests[-1] == places.LONGEST_RETRY
    assert row.tries == 12


def test_another_failure_rests_shortly() -> None:
    row = failing(failing(failing()))
    other = places.failed(row, ActionFailed("not_healthy", ""), Attempt(of="other"), WHEN)
    assert (other.tries, other.retry) == (1, WHEN + places.FIRST_RETRY)


def test_an_attempt_with_an_unknown_image_is_the_same_one() -> None:
    row = places.failed(failing(), ActionFailed("not_healthy", ""), Attempt(of=WANTED.attempt), WHEN)
    assert (row.tries, row.failed_image) == (2, "sha256:bad")


def test_what_arrived_has_no_fault() -> None:
    row = places.arrived(failing(), "f" * 64, [FOUND], "sha256:new", WHEN + timedelta(hours=1))
    assert row == replace(
        ROW,
        state=DeploymentState.DEPLOYED,
        fingerprint="f" * 64,
        image="sha256:new",
        checked=WHEN + timedelta(hours=1),
        changed=WHEN + timedelta(hours=1),
    )


def test_what_starts_has_not_arrived() -> None:
    starting = [replace(FOUND, condition=Condition.STARTING)]
    assert places.arrived(ROW, "f", starting, "", WHEN).state is DeploymentState.PENDING
    assert places.arrived(ROW, "f", [], "", WHEN).state is DeploymentState.PENDING


def test_what_is_as_before_has_not_changed_since() -> None:
    row = places.arrived(ROW, "f", [FOUND], "", WHEN)
    again = places.arrived(row, "f", [FOUND], "", WHEN + timedelta(hours=1))
    assert (again.changed, again.checked) == (WHEN, WHEN + timedelta(hours=1))


@pytest.mark.parametrize("restored", [True, False])
def test_what_leaves_stays_so_whatever_happens(restored: bool) -> None:
    row = replace(ROW, state=DeploymentState.LEAVING)
    assert failing(row, restored=restored).state is DeploymentState.LEAVING
    assert places.arrived(row, "f", [FOUND], "", WHEN).state is DeploymentState.LEAVING
    assert places.away(row, TargetAway("engine_away", ""), WHEN).state is DeploymentState.LEAVING


def test_an_engine_that_is_away_says_nothing_of_what_lies_there() -> None:
    row = places.arrived(ROW, "f", [FOUND], "", WHEN)
    gone = places.away(row, TargetAway("engine_away", "no answer"), WHEN)
    assert gone == replace(row, error="engine_away", detail="no answer")


def test_an_engine_that_is_away_ends_no_rest() -> None:
    row = places.arrived(ROW, "f", [FOUND], "", WHEN)
    for _ in range(5):
        row = places.mended(row, WHEN)
    worn = places.let_be(row, WHEN, down=True)
    assert (worn.state, worn.error) == (DeploymentState.FAILED, places.MENDING_RESTS)
    gone = places.away(worn, TargetAway("engine_away", ""), WHEN)
    back = places.arrived(gone, "f", [FOUND], "", WHEN)
    assert back == row


@pytest.mark.parametrize("condition", [Condition.RUNNING, Condition.STARTING])
def test_what_differs_and_serves_is_not_down(condition: Condition) -> None:
    found = replace(FOUND, condition=condition)
    assert not places.is_down([replacing(found=found), Remove(found=FOUND)])


@pytest.mark.parametrize(
    "action",
    [
        Create(wanted=WANTED),
        Revive(wanted=WANTED, found=FOUND),
        replacing(found=replace(FOUND, condition=Condition.STOPPED)),
        Change(wanted=WANTED, found=replace(FOUND, condition=Condition.UNHEALTHY), differences=IMAGE),
    ],
    ids=["nothing is there", "it is to be started", "it stopped", "it is ill"],
)
def test_what_serves_nobody_is_down(action: Action) -> None:
    assert places.is_down([Remove(found=FOUND), action])


def test_a_clock_that_went_back_prolongs_no_rest() -> None:
    row = failing()
    assert places.is_resting(row, WHEN)
    assert not places.is_resting(row, WHEN - timedelta(days=2))
    assert not places.has_just_changed(replace(row, changed=WHEN), WHEN - timedelta(days=2))

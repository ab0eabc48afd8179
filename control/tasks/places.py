"""Where outposts lie: the rows that say so, kept by whoever works on an engine. Nothing here touches one.

A row is written before anything is made on an engine and goes when a look there has shown that nothing is left, so
that neither an outage nor an end in the middle leaves anything behind that nobody knows of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID, uuid4

from control.domain.integration import Deployment, DeploymentState, Integration
from control.domain.task import TaskKind
from control.fleet.integrations import settle_deployments
from control.integrations.model import (
    Action,
    ActionFailed,
    Change,
    Condition,
    Create,
    Found,
    Key,
    Remove,
    Replace,
    Revive,
    TargetAway,
)
from control.integrations.reconcile import NOT_AS_WANTED
from control.store import Unit
from control.tasks.wanted import BAD_OPTIONS, NO_TOKEN, Desire

MENDING_RESTS = "mending_rests"
CODES = (MENDING_RESTS,)
# How long nobody tries by himself what has failed: twice as long each time.
FIRST_RETRY = timedelta(seconds=10)
LONGEST_RETRY = timedelta(hours=1)
# So often something is mended without a rest; whatever has been well for CALM starts from there again.
FREE_MENDINGS, CALM = 3, timedelta(hours=1)
# By then the link has noted of a container that is gone that it is.
NOTED = timedelta(minutes=2)
# What is being deployed is looked at again when that is likely over.
AGAIN = timedelta(seconds=15)
# Failures before anything is touched: to try again interrupts nothing.
UNTOUCHED = frozenset({"no_image", "name_taken"})
FAULTS = frozenset({BAD_OPTIONS, NO_TOKEN})
_SERVING = frozenset({Condition.RUNNING, Condition.STARTING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where an outpost is to lie, and from where it is to go."""

    here: Deployment | None
    leaving: tuple[Deployment, ...]


def settle(unit: Unit, outpost: UUID, desire: Desire | None) -> Places:
    """Write down where an outpost is wanted, and that it is to go from wherever else it is."""
    integration = desire.integration if desire is not None else None
    place = integration.id if integration is not None else None
    settle_deployments(unit, outpost, place)
    if desire is not None and place is not None:
        _stake(unit, desire, place)
    rows = unit.deployments.of_outpost(outpost)
    here = next((row for row in rows if row.integration == place), None)
    return Places(here=here, leaving=tuple(row for row in rows if row.integration != place))


def _stake(unit: Unit, desire: Desire, integration: UUID) -> None:
    """Have a row of where an outpost is to lie, with its name of now."""
    outpost, known = desire.outpost, unit.deployments.find_on(desire.outpost.id, integration)
    if known is not None:
        unit.deployments.update(replace(known, name=outpost.name))
        return
    unit.deployments.add(
        Deployment(
            id=uuid4(),
            integration=integration,
            outpost=outpost.id,
            name=outpost.name,
            created=unit.now,
            changed=unit.now,
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What was tried: the attempt of something wanted, and the image it was made of, "" where that is unknown."""

    of: str = ""
    image: str = ""


NOTHING_TRIED = Attempt()


def is_as_wanted(row: Deployment, fingerprint: str) -> bool:
    """Whether just that was there at the last look, or is missing only until it is mended again."""
    return row.fingerprint == fingerprint and (row.state is DeploymentState.DEPLOYED or _is_worn(row))


def _is_worn(row: Deployment) -> bool:
    """Whether it was down at the last look, after it had been mended so often that it is to rest."""
    return row.state is DeploymentState.FAILED and row.error == MENDING_RESTS


def is_leaving(row: Deployment) -> bool:
    """Whether it was to go, when somebody looked last."""
    return row.state is DeploymentState.LEAVING


def is_held(row: Deployment, action: Action, images: Mapping[Key, str]) -> bool:
    """Whether an action was tried as it is and came to nothing, while what was there before serves.

    `images` is what things would be made of, as far as that is known. A token that proves nothing any more is reason
    enough to try again.
    """
    match action:
        case Change(wanted=wanted, found=found) | Replace(wanted=wanted, found=found):
            image = images.get(wanted.key, "")
            is_same = row.failed == wanted.attempt and image in ("", row.failed_image)
            is_outcast = any(each.path in wanted.accepts for each in action.differences)
            return is_same and found.condition in _SERVING and not is_outcast
        case _:
            return False


def is_down(actions: Sequence[Action]) -> bool:
    """Whether something wanted doesn't serve as long as these are not carried out."""
    return any(_is_of_none(each) for each in actions)


def _is_of_none(action: Action) -> bool:
    """Whether nothing serves where it is to act."""
    match action:
        case Create() | Revive():
            return True
        case Change(found=found) | Replace(found=found):
            return found.condition not in _SERVING
        case Remove():
            return False
        case _:
            assert_never(action)


def has_just_changed(row: Deployment, now: datetime) -> bool:
    """Whether something was done there so lately that the link may not have noted yet who is gone."""
    return row.changed is not None and abs(now - row.changed) < NOTED


def look_again(unit: Unit, integration: Integration, cause: str) -> None:
    """Hand in another survey, for when what goes on there is likely over."""
    unit.runs.submit(TaskKind.SURVEY, cause, integration.id, integration.name, unit.now + AGAIN)


def is_resting(row: Deployment, now: datetime) -> bool:
    """Whether nobody is to try by himself just now. A clock that went back prolongs no rest."""
    return row.retry is not None and now < row.retry <= now + LONGEST_RETRY


def find_retry(row: Deployment) -> datetime | None:
    """When what failed is tried again by itself; None where that is held, or waits for a change."""
    is_held = row.state is DeploymentState.ROLLED_BACK and bool(row.failed)
    return None if is_held or row.error in FAULTS else row.retry


def arrived(row: Deployment, fingerprint: str, found: Sequence[Found], image: str, now: datetime) -> Deployment:
    """The row when what is wanted lies there; `image` is what it runs, "" where that is unknown.

    What still starts has not arrived: what was told of it counts until it is up.
    """
    if not found or any(each.condition is not Condition.RUNNING for each in found):
        return replace(row, checked=now)
    is_changed = not is_as_wanted(row, fingerprint)
    is_calm = is_changed or row.changed is None or now - row.changed > CALM
    return replace(
        row,
        # Somebody may have changed their mind since.
        state=row.state if is_leaving(row) else DeploymentState.DEPLOYED,
        fingerprint=fingerprint,
        image=image or row.image,
        failed="",
        failed_image="",
        tries=0 if is_calm else row.tries,
        retry=None if is_calm else row.retry,
        error="",
        detail="",
        changed=now if is_changed else row.changed,
        checked=now,
    )


def let_be(row: Deployment, now: datetime, *, down: bool) -> Deployment:
    """The row of one that differs and is not to be touched just now: it tells whether anything serves there."""
    state, error = row.state, row.error
    if down and state is DeploymentState.DEPLOYED:
        state, error = DeploymentState.FAILED, MENDING_RESTS
    elif down and state is DeploymentState.ROLLED_BACK:
        state = DeploymentState.FAILED
    elif not down and _is_worn(row):
        state, error = DeploymentState.DEPLOYED, ""
    elif not down and _is_fallen_back(row):
        state = DeploymentState.ROLLED_BACK
    return replace(row, state=state, error=error, detail=row.detail if error == row.error else "", checked=now)


def _is_fallen_back(row: Deployment) -> bool:
    """Whether what serves, if anything does, is what was there before the attempt that failed."""
    return row.state is DeploymentState.FAILED and bool(row.failed) and row.error != NOT_AS_WANTED


def mended(row: Deployment, now: datetime) -> Deployment:
    """The row of one that had to be mended; what has to be over and over rests in between, longer each time."""
    is_again = row.changed is not None and now - row.changed <= CALM
    tries = row.tries + 1 if is_again else 1
    return replace(row, tries=tries, retry=now + _pause(tries - FREE_MENDINGS), changed=now)


def _pause(tries: int) -> timedelta:
    """How long to rest after so many tries; not at all before the first."""
    return min(FIRST_RETRY * 2 ** min(tries - 1, 10), LONGEST_RETRY) if tries > 0 else timedelta()


def away(row: Deployment, error: TargetAway, now: datetime) -> Deployment:
    """The row when its engine could not be asked: as it was, as far as anybody knows."""
    if _is_worn(row):
        return replace(row, checked=now)
    return replace(row, error=error.code, detail=error.detail, checked=now)


def failed(row: Deployment, error: ActionFailed, attempt: Attempt, now: datetime) -> Deployment:
    """The row when the engine could not do what was asked: it is held where trying has done harm."""
    attempt = NOTHING_TRIED if error.code in UNTOUCHED else attempt
    state = DeploymentState.ROLLED_BACK if error.restored else DeploymentState.FAILED
    if row.state is DeploymentState.LEAVING:
        state = row.state
    is_again = row.tries > 0 and row.failed == attempt.of and attempt.image in ("", row.failed_image)
    tries = row.tries + 1 if is_again else 1
    return replace(
        row,
        state=state,
        failed=attempt.of,
        failed_image=row.failed_image if is_again else attempt.image,
        tries=tries,
        retry=now + _pause(tries),
        error=error.code,
        detail=error.detail,
        changed=row.changed if row.state is state else now,
        checked=now,
    )

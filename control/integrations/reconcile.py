"""Bringing an engine to what is wanted: look, plan, act, and look whether that was enough.

Where an action fails, what was to follow for the same owner is left: nothing is taken away before its successor is
there. What is still not as wanted although it was just made so would be made anew for ever; it counts as failed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never
from uuid import UUID

from control.integrations.model import (
    Action,
    ActionFailed,
    Change,
    Condition,
    Create,
    Difference,
    Found,
    Remove,
    Replace,
    Report,
    Revive,
    Target,
    Wanted,
)
from control.integrations.plan import plan

NOT_AS_WANTED = "not_as_wanted"
CODES = (NOT_AS_WANTED,)
# Something that starts is healthy by then, or is not.
_LOOK_AGAIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An action that could not be done: a code and the words of whoever refused. `restored`: the old one serves."""

    action: Action
    code: str
    detail: str
    restored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was done and what could not be. `retry_after`: what starts is worth a look then; None where nothing does."""

    applied: tuple[Action, ...] = ()
    failed: tuple[Failure, ...] = ()
    retry_after: timedelta | None = None


def dry_run(target: Target, desired: Sequence[Wanted], owners: frozenset[UUID]) -> tuple[Action, ...]:
    """What would be done. Raises TargetAway."""
    return plan(desired, _look(target, desired, owners), can_run_beside=target.can_run_beside)


def reconcile(
    target: Target,
    desired: Sequence[Wanted],
    owners: frozenset[UUID],
    report: Report,
    holds: Callable[[Action], bool] = lambda _: False,
) -> Outcome:
    """Have the target hold `desired` and nothing else of these owners; `holds` says which actions to leave.

    Raises TargetAway, and whatever `report` raises.
    """
    observed = _look(target, desired, owners)
    applied: list[Action] = []
    failed: dict[UUID, Failure] = {}
    for action in plan(desired, observed, can_run_beside=target.can_run_beside):
        owner = owner_of(action)
        if owner in failed or holds(action):
            continue
        try:
            target.apply(action, report)
        except ActionFailed as error:
            failed[owner] = Failure(action=action, code=error.code, detail=error.detail, restored=error.restored)
        else:
            applied.append(action)
    if applied:
        observed = _look(target, desired, owners)
        remaining = plan(desired, observed, can_run_beside=target.can_run_beside)
        failed = {**_fruitless(applied, remaining), **failed}
    return Outcome(applied=tuple(applied), failed=tuple(failed.values()), retry_after=_retry_after(observed))


def owner_of(action: Action) -> UUID:
    """Whose object an action is about."""
    match action:
        case Create(wanted=wanted) | Change(wanted=wanted) | Replace(wanted=wanted) | Revive(wanted=wanted):
            return wanted.key.owner
        case Remove(found=found):
            return found.key.owner
        case _:
            assert_never(action)


def as_json(actions: Iterable[Action]) -> list[dict[str, Any]]:
    """The plan for whoever reads it: what is done to which object, with or without downtime, and why."""
    return [_as_json(action) for action in actions]


def _look(target: Target, desired: Sequence[Wanted], owners: frozenset[UUID]) -> tuple[Found, ...]:
    """What there is of these owners; whatever else a target tells of is nobody's business here."""
    asked = owners | {wanted.key.owner for wanted in desired}
    return tuple(found for found in target.observe(asked) if found.key.owner in asked)


def _fruitless(applied: Iterable[Action], remaining: Iterable[Action]) -> dict[UUID, Failure]:
    made = {each.wanted.key for each in applied if isinstance(each, Create | Change | Replace)}
    again = [each for each in remaining if isinstance(each, Change | Replace) and each.wanted.key in made]
    return {
        each.wanted.key.owner: Failure(action=each, code=NOT_AS_WANTED, detail=_paths(each.differences))
        for each in again
    }


def _paths(differences: Iterable[Difference]) -> str:
    return ", ".join(each.path or "fingerprint" for each in differences)


def _retry_after(observed: Iterable[Found]) -> timedelta | None:
    return _LOOK_AGAIN if any(found.condition is Condition.STARTING for found in observed) else None


def _as_json(action: Action) -> dict[str, Any]:
    match action:
        case Create(wanted=wanted):
            return _entry("create", wanted)
        case Change(wanted=wanted, differences=differences):
            return _entry("change", wanted, differences)
        case Replace(wanted=wanted, differences=differences, beside=beside):
            return _entry("replace", wanted, differences) | {"beside": beside}
        case Revive(wanted=wanted):
            return _entry("revive", wanted)
        case Remove(found=found):
            return _entry("remove", found)
        case _:
            assert_never(action)


def _entry(word: str, about: Wanted | Found, differences: Iterable[Difference] = ()) -> dict[str, Any]:
    told = [{"path": each.path, "wanted": each.wanted, "found": each.found} for each in differences]
    return {"action": word, "component": about.key.component, "name": about.name, "beside": False, "differences": told}

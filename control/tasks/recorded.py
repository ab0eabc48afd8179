"""Engines that tell of all that is done there, and engines of which only what control has made is seen.

Each action is counted and comes into the audit trail at once: what ends a run in the middle hides nothing of it.
"""

from collections.abc import Sequence
from typing import assert_never
from uuid import UUID

from control.integrations.model import (
    Action,
    ActionFailed,
    Change,
    Create,
    Difference,
    Found,
    Remove,
    Replace,
    Report,
    Revive,
    Said,
    Target,
    Wanted,
)
from control.store import Event
from control.tasks import trail
from control.tasks.context import Work
from control.tasks.counting import count

CODES = ("creating", "changing", "replacing_beside", "replacing", "reviving", "removing")


def saying(action: Action) -> Said:
    """What is said before an action."""
    match action:
        case Create(wanted=wanted):
            return Said(code="creating", values={"name": wanted.name})
        case Change(found=found):
            return Said(code="changing", values=_why(found, action.differences))
        case Replace(found=found, beside=beside):
            return Said(code="replacing_beside" if beside else "replacing", values=_why(found, action.differences))
        case Revive(found=found):
            return Said(code="reviving", values={"name": found.name})
        case Remove(found=found):
            return Said(code="removing", values={"name": found.name})
        case _:
            assert_never(action)


def _why(found: Found, differences: Sequence[Difference]) -> dict[str, str]:
    return {"name": found.name, "paths": ", ".join(each.path or "fingerprint" for each in differences)}


class Ours:
    """A target that doesn't even see what others have made, whatever label it bears: what leaves is ours alone."""

    def __init__(self, target: Target) -> None:
        self._target = target

    @property
    def can_run_beside(self) -> bool:
        """As the target itself."""
        return self._target.can_run_beside

    def observe(self, owners: frozenset[UUID]) -> tuple[Found, ...]:
        """What control has made: it says so by a fingerprint."""
        return tuple(each for each in self._target.observe(owners) if each.fingerprint)

    def prepare(self, wanted: Wanted, report: Report) -> str:
        """As the target itself."""
        return self._target.prepare(wanted, report)

    def apply(self, action: Action, report: Report) -> None:
        """As the target itself."""
        self._target.apply(action, report)


class Recorded:
    """A target that tells."""

    def __init__(self, target: Target, work: Work, about: trail.About) -> None:
        self._target = target
        self._work = work
        self._about = about

    @property
    def can_run_beside(self) -> bool:
        """As the target itself."""
        return self._target.can_run_beside

    def observe(self, owners: frozenset[UUID]) -> tuple[Found, ...]:
        """As the target itself."""
        return self._target.observe(owners)

    def prepare(self, wanted: Wanted, report: Report) -> str:
        """As the target itself."""
        return self._target.prepare(wanted, report)

    def apply(self, action: Action, report: Report) -> None:
        """As the target itself; what is done, and how it ended, is told."""
        report(saying(action))
        try:
            self._target.apply(action, report)
        except ActionFailed as error:
            count(action, "rolled back" if error.restored else "failed")
            self._record(trail.not_done(self._about, error))
            raise
        count(action, "done")
        self._record(trail.done(self._about, action))

    def _record(self, event: Event) -> None:
        with self._work.store.write(trail.actor_of(self._work.run)) as unit:
            unit.record(event)

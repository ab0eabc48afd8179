"""What was done on engines, as the audit trail tells it: which outpost, what, and which parts differed; no values."""

from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

from control.domain.task import CAUSES, TaskRun
from control.integrations.model import Action, ActionFailed, Change, Create, Remove, Replace, Revive
from control.store import SYSTEM, Actor, Event

MADE_OF = "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """An outpost, as it was called then. `as_wanted`: what is wanted had been there already, so whatever is done mends.

    `leaving`: nothing of it is wanted there.
    """

    outpost: UUID
    name: str
    as_wanted: bool = False
    leaving: bool = False


def actor_of(run: TaskRun) -> Actor:
    """Who acts: whoever asked, else the system."""
    return SYSTEM if run.cause in CAUSES else Actor(name=run.cause)


def done(about: About, action: Action) -> Event:
    """The event of an action that was carried out."""
    return _event(about, _word(about, action), fields=_paths(action))


def not_done(about: About, error: ActionFailed) -> Event:
    """The event of what could not be carried out."""
    word = "deployment rolled back" if error.restored else "deployment failed"
    return _event(about, word, outcome="failure", reason=error.code)


def _event(
    about: About, action: str, *, fields: tuple[str, ...] = (), outcome: str = "success", reason: str = ""
) -> Event:
    return Event(
        action=action,
        kind="outpost",
        target=str(about.outpost),
        name=about.name,
        fields=fields,
        outcome=outcome,
        reason=reason,
    )


def _word(about: About, action: Action) -> str:
    match action:
        case Create():
            return "deployment mended" if about.as_wanted else "deployed"
        case Remove() if about.leaving:
            return "deployment removed"
        case Revive() | Remove():
            return "deployment mended"
        case Change(wanted=wanted, differences=differences) | Replace(wanted=wanted, differences=differences):
            # An image that moved and a token that was taken back are nobody's doing on the engine.
            expected = {MADE_OF, *wanted.accepts}
            if about.as_wanted and not any(each.path in expected for each in differences):
                return "deployment mended"
            return "deployment changed" if isinstance(action, Change) else "deployment replaced"
        case _:
            assert_never(action)


def _paths(action: Action) -> tuple[str, ...]:
    match action:
        case Change() | Replace():
            return tuple(each.path for each in action.differences)
        case _:
            return ()

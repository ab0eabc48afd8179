"""The list of runs as the address narrows it, a page at a time, and which of all runs call for attention."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from flask import request

from control.domain.task import RunFilter, TaskKind, TaskRun, TaskState
from control.store import Unit
from control.web.pages import PAGE_SIZE, Paging, wanted_page

FIELDS = ("q", "kind", "cause", "state", "subject")
# A run that is due is taken up within a second, as long as there is a process that works.
STUCK_AFTER = timedelta(minutes=1)
# What failed is told for so long, or until it has gone well: each schedule has come round by then.
TOLD = timedelta(hours=25)

Word = TypeVar("Word", TaskKind, TaskState)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRows:
    """One page of the runs that match, newest first. `counts` are those of all states, as the rest of the filter says.

    `subject` is what the list is narrowed to, by its latest name; "" where it isn't. `stuck`: nobody works on anything.
    """

    paging: Paging[TaskRun]
    given: Mapping[str, str]
    counts: Mapping[TaskState, int]
    subject: str
    stuck: bool

    @property
    def all(self) -> int:
        """How many there are whatever their state."""
        return sum(self.counts.values())

    @property
    def narrowed(self) -> Mapping[str, str]:
        """All of `given` but the search."""
        return {name: value for name, value in self.given.items() if name != "q"}


def given() -> dict[str, Any]:
    """What the address narrows the list to: by name, what means something only."""
    wanted, query = _wanted(), _asked("q")
    told = {"q": query, "kind": wanted.kind, "cause": wanted.cause, "state": wanted.state, "subject": wanted.subject}
    return {name: str(value) for name, value in told.items() if value}


def read_rows(unit: Unit) -> RunRows:
    """The page that the address asks for."""
    wanted, page = _wanted(), wanted_page()
    found, total = unit.runs.page(wanted, (page - 1) * PAGE_SIZE, PAGE_SIZE)
    return RunRows(
        paging=Paging(items=found, total=total, page=page, query=_asked("q")),
        given=given(),
        counts=unit.runs.states(replace(wanted, state=None)),
        subject=_name_of(unit, wanted.subject, found),
        stuck=is_stuck(unit),
    )


def is_stuck(unit: Unit) -> bool:
    """Whether runs wait that nobody takes up."""
    return unit.runs.overdue() > STUCK_AFTER and not unit.runs.is_any_held()


def _wanted() -> RunFilter:
    return RunFilter(
        kind=_one_of(TaskKind, _asked("kind")),
        state=_one_of(TaskState, _asked("state")),
        subject=request.args.get("subject", type=UUID),
        cause=_asked("cause"),
        name=_asked("q"),
    )


def _asked(name: str) -> str:
    return request.args.get(name, "").strip()[:200]


def _one_of(words: type[Word], asked: str) -> Word | None:
    return words(asked) if asked in set(words) else None


def _name_of(unit: Unit, subject: UUID | None, found: Sequence[TaskRun]) -> str:
    """What the runs of a subject say that it is called; its id where there are none."""
    if subject is None:
        return ""
    newest = found or unit.runs.page(RunFilter(subject=subject), 0, 1)[0]
    return newest[0].name if newest else str(subject)

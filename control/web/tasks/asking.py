"""What a person asks of background work: a run at once, or the end of one. Either leaves a line in the audit trail."""

from uuid import UUID

from control.domain.task import CAUSES, TaskKind, TaskRun
from control.store import Event, Unit
from control.web.identity import get_person


def ask_run(unit: Unit, kind: TaskKind, subject: UUID | None, name: str) -> TaskRun:
    """Hand a run in by the name of whoever is signed in; one that waits already stands for it."""
    run = unit.runs.submit(kind, _cause(get_person().user.username), subject, name)
    verb, _, noun = kind.rpartition(" ")
    unit.record(Event(action=f"asked to {verb}", kind=noun, target=str(subject or run.id), name=name))
    return run


def ask_end(unit: Unit, run: TaskRun) -> None:
    """Ask for the end of a run."""
    unit.runs.ask_cancel(run)
    unit.record(Event(action="asked to cancel", kind="task", target=str(run.id), name=f"{run.kind} {run.name}".strip()))


def _cause(username: str) -> str:
    """Who is called like one of the causes that are nobody's is told from it."""
    return f"user {username}" if username in CAUSES else username

"""CLEAN_UP: forgets old runs, a part at a time, so that nobody else waits long to write."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from control.domain.task import TaskKind
from control.integrations.model import Said
from control.store import SYSTEM, Unit
from control.tasks.context import Work

KEPT = timedelta(days=7)
# What may happen often: only what went wrong, or somebody asked for, is worth keeping for all that time; of the rest so
# many of each subject.
ROUTINE, ROUTINE_KEPT = frozenset({TaskKind.CHECK, TaskKind.SURVEY}), 20
DEPLOYS, DEPLOYS_KEPT = frozenset({TaskKind.DEPLOY}), 200
PART = 500
CODES = ("runs_forgotten",)


def run(work: Work) -> Mapping[str, object]:
    """Forget what is older than KEPT, and routine but for the newest."""
    forgotten = _all_parts(work, lambda unit: unit.runs.forget(unit.now - KEPT, PART))
    forgotten += _all_parts(work, lambda unit: unit.runs.thin(ROUTINE, ROUTINE_KEPT, PART))
    forgotten += _all_parts(work, lambda unit: unit.runs.thin(DEPLOYS, DEPLOYS_KEPT, PART))
    if forgotten:
        work.say("runs_forgotten", count=forgotten)
    return {"forgotten": forgotten}


def _all_parts(work: Work, forget: Callable[[Unit], int]) -> int:
    total, part = 0, PART
    while part == PART:
        with work.store.write(SYSTEM) as unit:
            part = forget(unit)
        total += part
        # Here it may be cancelled.
        work.report(Said(code=""))
    return total

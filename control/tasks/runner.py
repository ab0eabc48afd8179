"""Doing one attempt of one run: calls what its kind says; what that raises decides how the run is let go of."""

import json
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from control.domain.task import LineLevel, TaskKind, TaskState
from control.integrations.model import ActionFailed, Cancelled, Said, TargetAway
from control.store import DatabaseUnavailable, Store
from control.tasks.context import Hand, Means, Stop, Trouble, Work, fitting
from control.tasks.holding import CANCELLED, GIVEN_BACK, Ending
from control.tasks.kinds import Kind, delay_after
from control.tasks.metrics import SECONDS

CODES = ("crashed", "database_away", "attempt_failed")

log = logging.getLogger("control.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Does attempts, each with what it is lent."""

    store: Store
    means: Means
    kinds: Mapping[TaskKind, Kind]
    now: Callable[[], datetime]
    chance: Callable[[], float] = random.random

    def perform(self, hand: Hand) -> Ending:
        """Do an attempt; how its run is to be let go of."""
        run, begun = hand.run, monotonic()
        try:
            return self._outcome(hand)
        finally:
            SECONDS.labels(run.kind).observe(monotonic() - begun)

    def _outcome(self, hand: Hand) -> Ending:
        work = Work(run=hand.run, store=self.store, means=self.means, now=self.now, hand=hand)
        try:
            result = _plain(self.kinds[hand.run.kind].run(work))
        except Cancelled:
            return GIVEN_BACK if hand.stop in {Stop.LOST, Stop.ENDING} else CANCELLED
        except ActionFailed as error:
            restored = {"restored": "yes"} if error.restored else {}
            return _failed(Trouble(code=error.code, values={"detail": error.detail, **restored}))
        except TargetAway as error:
            return self._again(hand, Trouble(code=error.code, values={"detail": error.detail}))
        except DatabaseUnavailable as error:
            return self._again(hand, Trouble(code="database_away", values={"detail": str(error.orig)}))
        except Exception as error:
            log.exception("a task crashed", extra={"kind": hand.run.kind, "run": str(hand.run.id)})
            return self._again(hand, Trouble(code="crashed", values={"type": type(error).__name__}))
        return Ending(state=TaskState.DONE, result=result)

    def _again(self, hand: Hand, trouble: Trouble) -> Ending:
        """Once more later, unless it was tried often enough."""
        run = hand.run
        if run.attempt >= self.kinds[run.kind].attempts:
            return _failed(trouble)
        delay = delay_after(run.attempt, self.chance)
        told = {**trouble.values, "error": trouble.code, "seconds": str(round(delay.total_seconds()))}
        hand.note(Said(code="attempt_failed", values=told, level=LineLevel.WARNING))
        hand.trouble = trouble
        return Ending(state=TaskState.RETRYING, error=trouble.code, values=fitting(trouble.values), delay=delay)


def _failed(trouble: Trouble) -> Ending:
    return Ending(state=TaskState.FAILED, error=trouble.code, values=fitting(trouble.values))


def _plain(result: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """The result as JSON has it; what can't be said in it is a fault of the task, to be told like others."""
    found: Mapping[str, object] | None = json.loads(json.dumps(result, allow_nan=False))
    return found

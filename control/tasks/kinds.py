"""The table of tasks: what each kind does, and how often it is tried."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from control.domain.task import TaskKind
from control.tasks import checking, cleaning, deploying, discovering, previewing, surveying
from control.tasks.context import Work

FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=10), timedelta(minutes=5)
# Delays are shortened by up to this part, so that what failed together doesn't come again together.
JITTER = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of task. `run` returns what the run leaves behind; `attempts` counts the first one too.

    What it raises: TargetAway is tried again, and so is what nobody foresaw; ActionFailed is not; Cancelled ends it.
    """

    run: Callable[[Work], Mapping[str, object] | None]
    attempts: int = 5


KINDS: Mapping[TaskKind, Kind] = {
    TaskKind.DISCOVER: Kind(run=discovering.run),
    # The next one comes in a minute anyway.
    TaskKind.CHECK: Kind(run=checking.run, attempts=2),
    TaskKind.SURVEY: Kind(run=surveying.run),
    TaskKind.DEPLOY: Kind(run=deploying.run),
    # Somebody waits for it.
    TaskKind.PREVIEW: Kind(run=previewing.run, attempts=2),
    TaskKind.CLEAN_UP: Kind(run=cleaning.run),
}


def delay_after(attempt: int, chance: Callable[[], float] = random.random) -> timedelta:
    """How long to wait after so many attempts: twice as long each time, up to LONGEST_DELAY."""
    doubled: timedelta = FIRST_DELAY * 2 ** min(attempt - 1, 10)
    return min(doubled, LONGEST_DELAY) * (1 - JITTER * chance())

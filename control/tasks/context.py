"""What a task gets: the run it is, the store, what it works with, and a place to say what it does.

What is said is kept here and written by others within a second, so saying something costs no transaction. Whoever is
to stop hears of it where it says something: there it is safe to.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from prometheus_client import Counter

from control.domain.task import LineLevel, TaskLine, TaskRun
from control.fleet.launch import Home
from control.integrations.model import Cancelled, Said
from control.store import Store
from control.store.identifiers import ordered_id

# Of one attempt; what comes beyond is counted and left out. And so much of each value is kept.
MOST_LINES = 500
LONGEST_VALUE = 2000
CODES = ("lines_left_out",)
LEFT_OUT = Counter(
    "garrison_task_lines_left_out", "Lines of tasks that were not kept, as there were too many of one run."
)


class Stop(StrEnum):
    """Why a run is to stop."""

    # Somebody asked for it.
    ASKED = "asked"
    # The run is somebody else's by now, or may be.
    LOST = "lost"
    # The process ends.
    ENDING = "ending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why an attempt failed: a code of the words in templates, with its parameters."""

    code: str
    values: Mapping[str, str] = field(default_factory=dict)


class Hand:
    """A run while it is worked on: how far it is, what it has said and isn't written yet, and whether it is to stop."""

    def __init__(self, run: TaskRun, now: Callable[[], datetime]) -> None:
        self._run = run
        self._now = now
        self._lock = threading.Lock()
        self._lines: list[TaskLine] = []
        self._said = 0
        self._written = (run.done, run.total)
        self.stop: Stop | None = None
        # Of an attempt that failed and comes again.
        self.trouble = Trouble(code="")

    @property
    def run(self) -> TaskRun:
        """The run, as far as it is."""
        return self._run

    @property
    def lines(self) -> Sequence[TaskLine]:
        """What was said and isn't written yet."""
        with self._lock:
            return (*self._lines,)

    @property
    def has_news(self) -> bool:
        """Whether there is something to write."""
        return bool(self._lines) or self._written != (self._run.done, self._run.total)

    def say(self, said: Said) -> None:
        """Take a line; one without a code only asks whether to stop. Raises Cancelled where the run is to stop."""
        if self.stop is not None:
            raise Cancelled
        if said.code:
            self.note(said)

    def note(self, said: Said) -> None:
        """Take a line of a run that may have to stop."""
        with self._lock:
            self._said += 1
            if self._said < MOST_LINES:
                self._lines.append(self._line(said))
            elif self._said == MOST_LINES:
                self._lines.append(self._line(Said(code="lines_left_out", level=LineLevel.WARNING)))
            if self._said >= MOST_LINES:
                LEFT_OUT.inc()

    def progress(self, done: int, total: int) -> None:
        """Be so far. Raises Cancelled where the run is to stop."""
        if self.stop is not None:
            raise Cancelled
        self._run = replace(self._run, done=done, total=total)

    def written(self, run: TaskRun, lines: int) -> None:
        """So many lines, the oldest, and that progress are in the database."""
        with self._lock:
            del self._lines[:lines]
            self._written = (run.done, run.total)

    def _line(self, said: Said) -> TaskLine:
        now = self._now()
        return TaskLine(
            id=ordered_id(now),
            run=self._run.id,
            at=now,
            attempt=self._run.attempt,
            level=said.level,
            code=said.code,
            values=fitting(said.values),
        )


def fitting(values: Mapping[str, str]) -> dict[str, str]:
    """Values as they are kept: not longer than that, and with nothing that can't be written down."""
    return {name: _text(value[:LONGEST_VALUE]) for name, value in values.items()}


def _text(value: str) -> str:
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What tasks work with: what control knows of itself, and what of its machine they may use.

    `sockets` are those at which an engine of this machine may answer, best first; empty where nobody is to look.
    `ssh_config` is the file of the user it runs as.
    """

    home: Home
    sockets: tuple[Path, ...] = ()
    ssh_config: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A run, and all that is needed to do it."""

    run: TaskRun
    store: Store
    means: Means
    now: Callable[[], datetime]
    hand: Hand = field(repr=False)

    @property
    def home(self) -> Home:
        """What control knows of itself."""
        return self.means.home

    @property
    def sockets(self) -> tuple[Path, ...]:
        """Where an engine of this machine may answer; empty where nobody is to look."""
        return self.means.sockets

    def say(self, code: str, /, level: LineLevel = LineLevel.INFO, **values: object) -> None:
        """Add a line to the run. Raises Cancelled where it is to stop."""
        self.hand.say(Said(code=code, values={name: str(value) for name, value in values.items()}, level=level))

    def report(self, said: Said) -> None:
        """The same, for integrations."""
        self.hand.say(said)

    def progress(self, done: int, total: int) -> None:
        """So much of so much is done. Raises Cancelled where the run is to stop."""
        self.hand.progress(done, total)

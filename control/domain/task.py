"""Background work: runs of tasks, what they say while they run, and which of them may be waiting. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class TaskKind(StrEnum):
    """Every kind of task there is. docs/operations.md says what each does, when, and how it is tried again."""

    # Look for engines of this machine.
    DISCOVER = "discover integrations"
    # Whether one integration answers and allows what is needed.
    CHECK = "check integration"
    # Compare all that an integration holds with what is wanted; whatever differs becomes a `deploy`.
    SURVEY = "survey integration"
    # Bring one outpost to where it is wanted, and what was left of it elsewhere away.
    DEPLOY = "deploy outpost"
    # Say what a deploy would do.
    PREVIEW = "preview outpost"
    # Forget old runs.
    CLEAN_UP = "clean up tasks"


class TaskState(StrEnum):
    """Where a run is. QUEUED and RETRYING wait for their `due`; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


WAITING = frozenset({TaskState.QUEUED, TaskState.RETRYING})
FINAL = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED})


class Cause(StrEnum):
    """What a run comes of where nobody asked for it; anything else is the name of who did."""

    SCHEDULE = "schedule"
    CHANGE = "change"
    EVENT = "event"
    START = "start"


CAUSES = frozenset(map(str, Cause))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """One run. `subject` is what it is about (an outpost, an integration), `name` what that was called then.

    `cause` is "schedule", "change", "event", "start" or the name of who asked. `holder` is the process that runs it, as
    long as `lease` says; one whose lease ran out is picked up again, as the next attempt. `error` is a code with
    `values`, `result` what the kind leaves behind.
    """

    id: UUID
    kind: TaskKind
    subject: UUID | None = None
    name: str = ""
    cause: str
    state: TaskState = TaskState.QUEUED
    attempt: int = 0
    created: datetime
    due: datetime
    started: datetime | None = None
    finished: datetime | None = None
    done: int = 0
    total: int = 0
    error: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    result: Mapping[str, object] | None = None
    cancel_asked: bool = False
    holder: UUID | None = None
    lease: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs: those that match all that is set. `name` is text that theirs contains, upper and lower case alike."""

    kind: TaskKind | None = None
    state: TaskState | None = None
    subject: UUID | None = None
    cause: str = ""
    name: str = ""


class LineLevel(StrEnum):
    """How grave a line of a run is."""

    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLine:
    """One line of a run's log: a code and its parameters; templates have the words. Ids sort as they were written."""

    id: UUID
    run: UUID
    at: datetime
    attempt: int
    level: LineLevel
    code: str
    values: Mapping[str, str] = field(default_factory=dict)

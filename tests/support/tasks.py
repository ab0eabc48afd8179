"""A tasks process without its threads: runs are claimed and done when a test says so, by a clock that it moves."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa

from control.domain.task import TaskKind, TaskLine, TaskRun
from control.fleet.launch import Home
from control.store import SYSTEM, Actor, DatabaseUnavailable, Sealer, Store, Unit
from control.tasks.context import Hand, Means, Work
from control.tasks.holding import Holding, Pace
from control.tasks.kinds import Kind
from control.tasks.messages import read_key
from control.tasks.queue import make_queue
from control.tasks.runner import Runner
from tests.support.databases import KEY, Database

MEANS = Means(home=Home(url="https://garrison.test", version="1.0"))
EAGER = Pace(lease=timedelta(seconds=30), poll_seconds=0, again_seconds=0.01)

Task = Callable[[Work], Mapping[str, object] | None]


def kinds_of(task: Task) -> dict[TaskKind, Kind]:
    """One task under two names."""
    return {TaskKind.DEPLOY: Kind(run=task), TaskKind.PREVIEW: Kind(run=task, attempts=2)}


class Worker:
    """One process: what it holds, and huey over that."""

    def __init__(
        self, store: Store, now: Callable[[], datetime], what: Task | Mapping[TaskKind, Kind], pace: Pace = EAGER
    ) -> None:
        self.store = store
        kinds = what if isinstance(what, Mapping) else kinds_of(what)
        self.runner = Runner(store=store, means=MEANS, kinds=kinds, now=now, chance=lambda: 0.0)
        self.holding = Holding(store, kinds, now, pace)
        self.queue = make_queue(self.holding, self.runner)

    def work(self) -> bool:
        """Do what is due next; whether there was something."""
        task = self.queue.dequeue()
        if task is None:
            return False
        self.queue.execute(task)
        return True

    def claim(self) -> bytes:
        """Take a run in hand and leave it there."""
        data: bytes | None = self.queue.storage.dequeue()
        assert data is not None
        return data

    def perform(self, claimed: bytes) -> None:
        """Do what was claimed."""
        self.queue.execute(self.queue.deserialize_task(claimed))

    def hand(self, claimed: bytes) -> Hand:
        """What was claimed, as this process holds it."""
        hand = self.holding.find(read_key(claimed))
        assert hand is not None
        return hand


def submit(store: Store, kind: TaskKind = TaskKind.DEPLOY, subject: UUID | None = None) -> TaskRun:
    """Hand in a run about something of its own."""
    with store.write(SYSTEM) as unit:
        return unit.runs.submit(kind, "change", subject or uuid4(), "edge")


def stored(store: Store, run: TaskRun) -> TaskRun:
    """The run as it is now."""
    with store.read() as unit:
        return unit.runs.get(run.id)


def lines_of(store: Store, run: TaskRun) -> list[TaskLine]:
    """What it has said."""
    with store.read() as unit:
        return unit.runs.lines(run.id)


def codes_of(store: Store, run: TaskRun) -> list[str]:
    """What it has said, in codes."""
    return [line.code for line in lines_of(store, run)]


def cancel(store: Store, run: TaskRun) -> None:
    """Ask for its end."""
    with store.write(SYSTEM) as unit:
        unit.runs.ask_cancel(run)


class Leaving(Store):
    """A store whose database is away while `away` says so."""

    away = False

    @classmethod
    def on(cls, database: Database, clock: Callable[[], datetime]) -> "Leaving":
        """Another store on a database."""
        return cls(database.engine(), Sealer(KEY), clock, lambda: None)

    @contextmanager
    def read(self) -> Iterator[Unit]:
        self._expect()
        with super().read() as unit:
            yield unit

    @contextmanager
    def write(self, actor: Actor) -> Iterator[Unit]:
        self._expect()
        with super().write(actor) as unit:
            yield unit

    def _expect(self) -> None:
        if self.away:
            raise DatabaseUnavailable(None, None, ConnectionError("connection refused"))


@contextmanager
def counted_statements(*verbs: str) -> Iterator[list[str]]:
    """The statements that begin with one of these words, by anybody, while the block lasts."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(verbs):
            seen.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def counted_writes() -> AbstractContextManager[list[str]]:
    """Those that write."""
    return counted_statements("INSERT", "UPDATE", "DELETE")

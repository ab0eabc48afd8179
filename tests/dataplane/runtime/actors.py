"""Workers that answer by a table, for the real leader of workers to lead."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field

from dataplane.link.held import HeldResource
from dataplane.link.translate import locally_ended
from dataplane.runtime.messages import (
    Answer,
    Commit,
    Committed,
    DirectoryTaken,
    Drain,
    Draining,
    Message,
    News,
    Ping,
    Pong,
    Prepare,
    Prepared,
    PrepareFailed,
    Question,
    Scrape,
    Scraped,
    SessionEnded,
    Setup,
    TakeDirectory,
)
from dataplane.runtime.process import WorkerGone
from dataplane.runtime.server import Sample, Snapshot
from dataplane.runtime.twosteps import Patience
from dataplane.runtime.workers import Workers

SETUP = Setup(
    slot=0,
    type="proxy",
    version="0",
    listeners=(),
    control_socket="",
    trusted_cidrs=None,
    service_hosts=(),
    browser_url="",
    log_level="info",
)
PATIENCE = Patience(first_restart=0.0, longest_restart=0.0, retry=0.0)


@dataclass(eq=False)
class Actor:
    """A worker that refuses by digest, and may fail or die of one."""

    slot: int
    pid: int = 1
    refuses: frozenset[str] = frozenset()
    fails_on: str = ""
    dies_of: str = ""
    counted: float = 1.0
    hangs: bool = False
    stuck_at: type[Question] | None = None
    """The kind of question that it does not answer, for as long as it isn't `released`, which is the deadline's end."""
    slow: bool = False
    """Whether it takes until it is released to prepare."""
    stuck_on: str = ""
    """Only when it has prepared this."""
    committed: dict[str, str] = field(default_factory=dict)
    commits: int = 0
    prepared: dict[str, str] = field(default_factory=dict)
    recovers_after: int = 0
    asked: list[str] = field(default_factory=list)
    first_asked: str = ""
    told: list[Message] = field(default_factory=list)
    parts: list[TakeDirectory] = field(default_factory=list)
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    stuck: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def ready(self, deadline: float) -> None:
        assert deadline > 0

    def tell(self, message: Message) -> None:
        self.told.append(message)

    async def ask(self, question: Callable[[int], Question], deadline: float, *, lenient: bool = True) -> Answer:
        assert lenient or deadline == PATIENCE.scrape
        assert deadline > 0
        asked = question(1)
        if self.stuck_at is type(asked) and self._is_stuck(asked):
            self.stuck.set()
            await self.released.wait()
            raise WorkerGone("no answer")
        if self.slow and isinstance(asked, Prepare):
            self.stuck.set()
            await self.released.wait()
        match asked:
            case Prepare() as prepare:
                return self._prepare(prepare)
            case Commit():
                self.told.append(Commit(serial=1))
                self.committed = self.prepared
                self.commits += 1
                return Committed(serial=1)
            case Drain():
                self.exited.set()
                return Draining(serial=1)
            case Scrape() | Ping() if self.hangs:
                raise WorkerGone("no answer")
            case Ping():
                return Pong(serial=1)
            case TakeDirectory():
                return await self._take(asked)
            case Scrape():
                sample = Sample(name="c", help="", labels={}, value=self.counted)
                return Scraped(serial=1, snapshot=Snapshot(counters=(sample,), gauges=(sample,)))

    async def _take(self, part: TakeDirectory) -> Answer:
        if self.slow:
            await self.released.wait()
        self.parts.append(part)
        reason, self.fails_on = self.fails_on, ""
        return DirectoryTaken(serial=1, reason=reason)

    def _is_stuck(self, asked: Question) -> bool:
        news = {each.digest for each in asked.changed} if isinstance(asked, Prepare) else {*self.prepared.values()}
        return not self.stuck_on or self.stuck_on in news

    def _prepare(self, prepare: Prepare) -> Answer:
        fresh = {each.key: each.digest for each in prepare.changed}
        if self.dies_of in fresh.values():
            self.exited.set()
            raise WorkerGone("died")
        self.asked = [*fresh]
        self.first_asked = self.first_asked or next(iter(fresh), "")
        if self.fails_on in fresh.values():
            self.recovers_after -= 1
            if not self.recovers_after:
                self.fails_on = ""
            return PrepareFailed(serial=1, reason="bug")
        kept = {key: digest for key, digest in self.committed.items() if key not in prepare.removed}
        wanted = kept | fresh
        self.prepared = {key: digest for key, digest in wanted.items() if digest not in self.refuses}
        return Prepared(serial=1, refused={key: "no" for key, digest in wanted.items() if digest in self.refuses})

    async def wait(self) -> int:
        await self.exited.wait()
        return 0

    def kill(self) -> None:
        self.exited.set()


class Troupe:
    """Starts actors; a replacement comes without the faults of the first."""

    def __init__(self, *actors: Actor) -> None:
        self.first = {actor.slot: actor for actor in actors}
        self.on_stage: dict[int, Actor] = {}
        self.replaced = 0
        self.replacements_die_of = ""
        self.failing_replacements = 0

    async def start(
        self,
        slot: int,
        setup: Setup,
        listening: Iterable[socket.socket],
        on_news: Callable[[News], None],
    ) -> Actor:
        assert setup.slot == slot
        assert not list(listening)
        on_news(SessionEnded(provider="wiki", session=f"started-{slot}"))
        actor = self.first.pop(slot, None)
        if actor is None:
            self.replaced += 1
            failing = self.failing_replacements > 0
            self.failing_replacements -= failing
            actor = Actor(slot, dies_of=self.replacements_die_of, fails_on="1" if failing else "")
        self.on_stage[slot] = actor
        return actor


def lead(
    troupe: Troupe, story: Callable[[Workers], Coroutine[None, None, None]], patience: Patience = PATIENCE
) -> None:
    async def run() -> None:
        workers = Workers(SETUP, [[] for _ in troupe.first], lambda _: None, patience, troupe.start)
        everybody = len(troupe.first)
        workers.start()
        await until(lambda: len(workers.pids) == everybody)
        await story(workers)
        await workers.drain(1.0)

    asyncio.run(asyncio.wait_for(run(), 10))


async def until(condition: Callable[[], bool]) -> None:
    # The actors' answers need no time, only turns.
    while not condition():  # noqa: ASYNC110  what is waited for is the leader's own state, which tells nobody
        await asyncio.sleep(0)


def resources(**digests: str) -> dict[str, HeldResource]:
    return {key: HeldResource(key=key, digest=digest, data=b"") for key, digest in digests.items()}


NOTHING: frozenset[str] = frozenset()
ENDED = locally_ended("s1", 2e9)

"""All workers together or none: led with workers that answer by a table, over the real leader."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field

import pytest

from dataplane.link.held import HeldResource, NotApplied
from dataplane.link.translate import locally_ended
from dataplane.runtime.messages import (
    Answer,
    Commit,
    Committed,
    Connect,
    Drain,
    Draining,
    Message,
    Prepare,
    Prepared,
    PrepareFailed,
    Question,
    Scrape,
    Scraped,
    Serve,
    SessionEnded,
    Setup,
)
from dataplane.runtime.process import WorkerGone
from dataplane.runtime.server import Sample, Snapshot
from dataplane.runtime.twosteps import Patience
from dataplane.runtime.workers import Workers
from tests.dataplane.runtime.test_pipe import CREDENTIALS

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
    committed: dict[str, str] = field(default_factory=dict)
    commits: int = 0
    prepared: dict[str, str] = field(default_factory=dict)
    recovers_after: int = 0
    asked: list[str] = field(default_factory=list)
    told: list[Message] = field(default_factory=list)
    exited: asyncio.Event = field(default_factory=asyncio.Event)

    async def ready(self, deadline: float) -> None:
        assert deadline > 0

    def tell(self, message: Message) -> None:
        self.told.append(message)

    async def ask(self, question: Callable[[int], Question], deadline: float) -> Answer:
        assert deadline > 0
        match question(1):
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
            case Scrape() if self.hangs:
                raise WorkerGone("no answer")
            case Scrape():
                sample = Sample(name="c", help="", labels={}, value=self.counted)
                return Scraped(serial=1, snapshot=Snapshot(counters=(sample,), gauges=(sample,)))

    def _prepare(self, prepare: Prepare) -> Answer:
        fresh = {each.key: each.digest for each in prepare.changed}
        if self.dies_of in fresh.values():
            self.exited.set()
            raise WorkerGone("died")
        self.asked = [*fresh]
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
        on_ended: Callable[[SessionEnded], None],
    ) -> Actor:
        assert setup.slot == slot
        assert not list(listening)
        on_ended(SessionEnded(provider="wiki", session=f"started-{slot}"))
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


def test_all_commit_the_same() -> None:
    troupe = Troupe(Actor(0), Actor(1))

    async def story(workers: Workers) -> None:
        outcome = await workers.apply(resources(a="1", b="1"), NOTHING)
        assert outcome.rejections == ()
        outcome = await workers.apply(resources(b="2"), frozenset({"a"}))
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"b": "2"}] * 2

    lead(troupe, story)


def test_what_one_worker_refuses_no_worker_serves() -> None:
    troupe = Troupe(Actor(0), Actor(1, refuses=frozenset({"bad"})))

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        outcome = await workers.apply(resources(a="bad", b="1"), NOTHING)
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"a": "1", "b": "1"}] * 2
        assert [(each.key, each.digest, each.reason) for each in outcome.rejections] == [("a", "bad", "no")]
        assert {key: each.digest for key, each in outcome.served.items()} == {"a": "1", "b": "1"}

    lead(troupe, story)


def test_when_one_worker_cannot_prepare_nobody_commits_but_what_ends_sessions() -> None:
    troupe = Troupe(Actor(0), Actor(1, fails_on="2"))

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        outcome = await workers.apply({**resources(a="2"), ENDED.key: ENDED}, NOTHING)
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"a": "1", ENDED.key: "local"}] * 2
        assert [(each.key, each.reason) for each in outcome.rejections] == [("a", "bug")]
        assert [*outcome.failed] == ["a"]

    lead(troupe, story)


def test_a_momentary_failure_is_no_verdict() -> None:
    failing = Actor(0, fails_on="2")
    failing.recovers_after = 1
    troupe = Troupe(failing)

    async def story(workers: Workers) -> None:
        outcome = await workers.apply(resources(a="2"), NOTHING)
        assert outcome.rejections == ()
        assert failing.committed == {"a": "2"}

    lead(troupe, story)


def test_what_is_served_already_is_not_prepared_again() -> None:
    troupe = Troupe(Actor(0))

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1", b="1"), NOTHING)
        await workers.apply(resources(a="1", b="1"), frozenset({"c"}))
        assert troupe.on_stage[0].commits == 1
        await workers.apply(resources(a="1", b="2"), NOTHING)
        assert troupe.on_stage[0].asked == ["b"]

    lead(troupe, story)


def test_a_worker_that_dies_meanwhile_is_replaced_and_catches_up() -> None:
    troupe = Troupe(Actor(0), Actor(1, dies_of="2"))

    async def story(workers: Workers) -> None:
        outcome = await workers.apply(resources(a="2"), NOTHING)
        assert outcome.rejections == ()
        await until(lambda: len(workers.pids) == 2)
        assert troupe.replaced == 1
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"a": "2"}] * 2
        assert workers.restarts == 1

    lead(troupe, story)


def test_a_change_during_which_all_workers_die_is_made_with_their_replacements() -> None:
    troupe = Troupe(Actor(0, dies_of="local"), Actor(1, dies_of="local"))

    async def story(workers: Workers) -> None:
        outcome = await workers.apply({**resources(a="1"), ENDED.key: ENDED}, NOTHING)
        assert outcome.rejections == ()
        await until(lambda: len(workers.pids) == 2)
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"a": "1", ENDED.key: "local"}] * 2

    lead(troupe, story)


def test_a_configuration_that_kills_every_worker_is_left_out() -> None:
    troupe = Troupe(Actor(0, dies_of="2"), Actor(1, dies_of="2"))
    troupe.replacements_die_of = "2"

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        outcome = await workers.apply({**resources(a="2"), ENDED.key: ENDED}, NOTHING)
        assert [each.reason for each in outcome.rejections] == ["every worker died of it or gave no answer"]
        assert [*outcome.failed] == ["a"]
        await until(lambda: len(workers.pids) == 2)
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"a": "1", ENDED.key: "local"}] * 2

    lead(troupe, story)


def test_a_revocation_that_cannot_be_applied_is_not_called_refused() -> None:
    troupe = Troupe(Actor(0, fails_on="local"))

    async def story(workers: Workers) -> None:
        with pytest.raises(NotApplied, match="bug"):
            await workers.apply({ENDED.key: ENDED}, NOTHING)

    lead(troupe, story)


def test_nobody_accepts_before_there_is_something_to_serve() -> None:
    troupe = Troupe(Actor(0))

    async def story(workers: Workers) -> None:
        assert troupe.on_stage[0].told == []
        await workers.apply(resources(a="1"), NOTHING)
        assert troupe.on_stage[0].told == [Commit(serial=1), Serve()]
        troupe.on_stage[0].kill()
        await until(lambda: troupe.replaced == 1 and len(workers.pids) == 1)
        assert troupe.on_stage[0].told == [Commit(serial=1), Serve()]

    lead(troupe, story)


def test_a_replacement_that_cannot_prepare_what_others_serve_is_replaced_itself() -> None:
    troupe = Troupe(Actor(0))
    troupe.failing_replacements = 2

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        troupe.on_stage[0].kill()
        await until(lambda: troupe.replaced == 3 and len(workers.pids) == 1)
        assert troupe.on_stage[0].committed == {"a": "1"}

    lead(troupe, story)


def test_where_nothing_is_to_be_had_all_accept_at_once() -> None:
    troupe = Troupe(Actor(0))

    async def story(workers: Workers) -> None:
        workers.serve()
        assert troupe.on_stage[0].told == [Serve()]
        troupe.on_stage[0].kill()
        await until(lambda: troupe.replaced == 1 and len(workers.pids) == 1)
        assert troupe.on_stage[0].told == [Serve()]

    lead(troupe, story)


def test_counters_of_the_dead_stay_and_their_gauges_go() -> None:
    troupe = Troupe(Actor(0, counted=3.0), Actor(1, counted=4.0))

    async def story(workers: Workers) -> None:
        assert _values(await workers.scrape()) == (7.0, 7.0)
        troupe.on_stage[0].kill()
        await until(lambda: troupe.replaced == 1 and len(workers.pids) == 2)
        # The replacement has counted 1.
        assert _values(await workers.scrape()) == (8.0, 5.0)

    lead(troupe, story)


def _values(snapshot: Snapshot) -> tuple[float, float]:
    (counter,), (gauge,) = snapshot.counters, snapshot.gauges
    return counter.value, gauge.value


def test_a_worker_that_hangs_is_replaced() -> None:
    troupe = Troupe(Actor(0, hangs=True), Actor(1))

    async def story(workers: Workers) -> None:
        await until(lambda: troupe.replaced == 1 and len(workers.pids) == 2)
        assert not troupe.on_stage[0].hangs
        assert workers.restarts == 1

    lead(troupe, story, Patience(first_restart=0.0, longest_restart=0.0, check=0.0))


def test_a_newcomer_learns_how_to_call_control() -> None:
    troupe = Troupe(Actor(0))

    async def story(workers: Workers) -> None:
        workers.connect(CREDENTIALS)
        troupe.on_stage[0].kill()
        await until(lambda: troupe.replaced == 1 and len(workers.pids) == 1)
        assert troupe.on_stage[0].told == [Connect(credentials=CREDENTIALS)]

    lead(troupe, story)

"""All workers of an outpost: kept alive, configured together, scraped together, drained together.

Each slot has its listening sockets for good; a worker that dies is replaced on the same ones, after a wait that
grows while it keeps dying young, and accepts only once it knows what the others serve. A change is prepared by all
workers and committed by all, or by none. Workers that fail are no verdict on what they were given: it is tried again,
and revocations get through whatever fails.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from dataplane.link.held import HeldResource, NotApplied, Rejection
from dataplane.link.target import Credentials
from dataplane.link.translate import is_revocation
from dataplane.runtime.listeners import close_all
from dataplane.runtime.messages import (
    Answer,
    Commit,
    Connect,
    Drain,
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
from dataplane.runtime.metrics import left_behind, merged
from dataplane.runtime.process import WorkerGone, inherited, start_worker
from dataplane.runtime.rollout import Attempt, Stuck
from dataplane.runtime.server import Snapshot

log = logging.getLogger("dataplane.workers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Spans in seconds: deadlines of workers' answers, and the waits before a replacement."""

    start: float = 30.0
    prepare: float = 30.0
    scrape: float = 1.0
    check: float = 5.0
    first_restart: float = 0.1
    longest_restart: float = 10.0
    settled: float = 30.0
    retry: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a change came to: what is served now, all that is refused, and its newest version for another try.

    `failed` was left out because the workers failed while it was in; it stands among the rejections too.
    """

    served: Mapping[str, HeldResource]
    rejections: tuple[Rejection, ...] = ()
    refused: Mapping[str, HeldResource] = field(default_factory=dict)
    failed: Mapping[str, HeldResource] = field(default_factory=dict)


class Worker(Protocol):
    """One worker, as all of them are led."""

    @property
    def slot(self) -> int:
        """Which sockets it serves."""
        ...

    @property
    def pid(self) -> int:
        """Its process."""
        ...

    async def ready(self, deadline: float) -> None:
        """Wait until it can take a configuration. Raises WorkerGone."""
        ...

    def tell(self, message: Message) -> None:
        """Send without waiting."""
        ...

    async def ask(self, question: Callable[[int], Question], deadline: float) -> Answer:
        """Send a question and wait for its answer. Raises WorkerGone."""
        ...

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


Start = Callable[[int, Setup, Iterable[socket.socket], Callable[[SessionEnded], None]], Awaitable[Worker]]


class Workers:
    """The workers. `restarts` counts replacements; `on_ended` is told of sign-outs."""

    def __init__(
        self,
        setup: Setup,
        slots: Sequence[Sequence[tuple[socket.socket, bool]]],
        on_ended: Callable[[SessionEnded], None],
        patience: Patience | None = None,
        start: Start = start_worker,
    ) -> None:
        self._setup = setup
        self._slots = slots
        self._on_ended = on_ended
        self._patience = patience or Patience()
        self._start = start
        self._live: dict[int, Worker] = {}
        self._started: set[Worker] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._some_live = asyncio.Event()
        # One change, and one newcomer, at a time.
        self._lock = asyncio.Lock()
        self._served: Mapping[str, HeldResource] = {}
        self._serving = False
        self._credentials: Credentials | None = None
        self._counted: dict[int, Snapshot] = {}
        self._left = Snapshot()
        self._draining = asyncio.Event()
        self.restarts = 0
        self.silent_scrapes = 0

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that serve."""
        return tuple(worker.pid for worker in self._live.values())

    def start(self) -> None:
        """Start a worker in every slot and keep them going."""
        self._tasks = [asyncio.create_task(self._keep(slot)) for slot in range(len(self._slots))]

    def connect(self, credentials: Credentials) -> None:
        """Tell all workers how to call control."""
        self._credentials = credentials
        for worker in self._live.values():
            worker.tell(Connect(credentials=credentials))

    def serve(self) -> None:
        """Accept connections from now on, whether or not there is a configuration."""
        if not self._serving:
            self._serving = True
            for worker in self._live.values():
                worker.tell(Serve())

    async def apply(self, changed: Mapping[str, HeldResource], removed: frozenset[str]) -> Outcome:
        """Bring all workers to this change, as far as it isn't refused; what they fail on twice is left out.

        Raises NotApplied when they fail on the revocations alone as well.
        """
        news = {key: each for key, each in changed.items() if not self._serves(each)}
        lean = {key: each for key, each in news.items() if is_revocation(each)}
        reason = ""
        for tried in (news, news, lean, lean):
            await self._some_live.wait()
            try:
                attempt = await self._try(tried, removed)
            except (_Failed, Stuck) as error:
                reason = str(error)
                log.critical("the workers failed on a change", extra={"reason": reason, "resources": len(tried)})
                await asyncio.sleep(self._patience.retry)
            else:
                return _outcome(attempt, {key: each for key, each in news.items() if key not in tried}, reason)
        raise NotApplied(reason)

    def _serves(self, resource: HeldResource) -> bool:
        served = self._served.get(resource.key)
        return served is not None and served.digest == resource.digest

    async def _try(self, changed: Mapping[str, HeldResource], removed: frozenset[str]) -> Attempt:
        """Prepare and commit, once. Raises _Failed or Stuck."""
        async with self._lock:
            attempt = Attempt(served=self._served, changed=changed, removed=removed)
            if attempt.upserts or attempt.removals:
                attempt = await self._prepare_all(attempt)
                await self._ask_all(_commit)
                self._served = attempt.result
            self.serve()
            return attempt

    async def scrape(self) -> Snapshot:
        """What all workers counted, those that have ended included; a silent one counts as it last said."""
        workers = list(self._live.values())
        heard = await asyncio.gather(*(self._hear(worker, self._patience.scrape) for worker in workers))
        self.silent_scrapes += heard.count(False)
        return merged((self._left, *self._counted.values()))

    async def drain(self, seconds: float) -> None:
        """Let all workers finish what is in flight; whoever is not done in time is ended."""
        self._draining.set()
        for worker in self._started:
            worker.tell(Drain(seconds=seconds))
        close_all([listening for listening, _ in slot] for slot in self._slots)
        _, late = await asyncio.wait(self._tasks, timeout=seconds + 1.0) if self._tasks else (set(), set())
        self.kill()
        if late:
            await asyncio.wait(late)

    def kill(self) -> None:
        """End all workers at once."""
        self._draining.set()
        for worker in self._started:
            worker.kill()

    async def _keep(self, slot: int) -> None:
        deaths = 0
        loop = asyncio.get_running_loop()
        while not self._draining.is_set():
            began = loop.time()
            try:
                await self._live_once(slot)
            except Exception:  # A bug of ours, or no process to be had: the slot is tried again all the same.
                log.exception("a worker could not be led", extra={"worker": slot})
            if self._draining.is_set():
                return
            self.restarts += 1
            deaths = 0 if loop.time() - began >= self._patience.settled else deaths + 1
            wait = min(self._patience.longest_restart, self._patience.first_restart * 2 ** min(deaths, 10))
            log.warning("a worker is replaced", extra={"worker": slot, "in_seconds": wait})
            with suppress(TimeoutError):
                await asyncio.wait_for(self._draining.wait(), wait)

    async def _live_once(self, slot: int) -> None:
        sockets = self._slots[slot]
        setup = _for_slot(self._setup, slot, sockets)
        worker = await self._start(slot, setup, [each for each, _ in sockets], self._on_ended)
        self._started.add(worker)
        if self._draining.is_set():
            worker.kill()
        try:
            await self._admit(worker)
        except WorkerGone as error:
            log.warning("a worker did not start", extra={"worker": slot, "reason": str(error)})
            worker.kill()
        checking = asyncio.create_task(self._check(worker))
        status = await worker.wait()
        checking.cancel()
        self._dismiss(worker, status)

    async def _admit(self, worker: Worker) -> None:
        """Bring a newcomer to what the others serve."""
        await worker.ready(self._patience.start)
        async with self._lock:
            if self._credentials:
                worker.tell(Connect(credentials=self._credentials))
            await self._catch_up(worker)
            if self._serving:
                worker.tell(Serve())
            self._live[worker.slot] = worker
            self._some_live.set()
        log.info("a worker serves", extra={"worker": worker.slot, "pid": worker.pid})

    async def _catch_up(self, worker: Worker) -> None:
        if not self._served:
            return
        answer = await worker.ask(_prepare(tuple(self._served.values()), ()), self._patience.prepare)
        match answer:
            case Prepared(refused=refused) if refused:
                log.error("a new worker refuses what others serve", extra={"worker": worker.slot, "keys": [*refused]})
            case PrepareFailed(reason=reason):
                raise WorkerGone(f"it can't prepare what others serve: {reason}")
            case _:
                pass
        await worker.ask(_commit, self._patience.prepare)

    def _dismiss(self, worker: Worker, status: int) -> None:
        self._started.discard(worker)
        self._retire(worker)
        counted = self._counted.pop(worker.slot, None)
        if counted:
            self._left = merged((self._left, left_behind(counted)))
        level = logging.INFO if self._draining.is_set() and not status else logging.WARNING
        log.log(level, "a worker has ended", extra={"worker": worker.slot, "pid": worker.pid, "status": status})

    def _retire(self, worker: Worker) -> None:
        if self._live.get(worker.slot) is worker:
            del self._live[worker.slot]
        if not self._live:
            self._some_live.clear()

    async def _prepare_all(self, attempt: Attempt) -> Attempt:
        """Prepare until no worker refuses anything. Raises _Failed or Stuck."""
        while True:
            answers = await self._ask_all(_prepare(attempt.upserts, attempt.removals))
            refusals: dict[str, str] = {}
            for answer in answers:
                if isinstance(answer, PrepareFailed):
                    raise _Failed(answer.reason)
                if isinstance(answer, Prepared):
                    refusals.update(answer.refused)
            if not refusals:
                return attempt
            attempt = attempt.refuse(refusals)

    async def _ask_all(self, question: Callable[[int], Question]) -> list[Answer]:
        """The answers of all live workers. One that gives none is ended: its replacement catches up."""
        workers = list(self._live.values())
        answers = await asyncio.gather(
            *(worker.ask(question, self._patience.prepare) for worker in workers), return_exceptions=True
        )
        given: list[Answer] = []
        for worker, answer in zip(workers, answers, strict=True):
            if isinstance(answer, WorkerGone):
                self._retire(worker)
                worker.kill()
            elif isinstance(answer, BaseException):
                raise answer
            else:
                given.append(answer)
        if not given:
            raise _Failed("every worker died of it or gave no answer")
        return given

    async def _check(self, worker: Worker) -> None:
        """End a worker that hangs: its share of the connections would hang with it."""
        while True:
            await asyncio.sleep(self._patience.check)
            if not await self._hear(worker, self._patience.prepare):
                log.error("a worker does not answer and is ended", extra={"worker": worker.slot, "pid": worker.pid})
                worker.kill()
                return

    async def _hear(self, worker: Worker, deadline: float) -> bool:
        """Take a worker's counts; whether it gave them in time."""
        try:
            answer = await worker.ask(_scrape, deadline)
        except WorkerGone:
            return False
        if isinstance(answer, Scraped) and self._live.get(worker.slot) is worker:
            self._counted[worker.slot] = answer.snapshot
        return True


class _Failed(Exception):
    """Workers failed, for whatever reason: no verdict on what they were given."""


def _outcome(attempt: Attempt, failed: Mapping[str, HeldResource], reason: str) -> Outcome:
    left_out = tuple(Rejection(key=key, digest=each.digest, reason=reason) for key, each in failed.items())
    return Outcome(
        served=attempt.result, rejections=(*attempt.rejections, *left_out), refused=attempt.refused, failed=failed
    )


def _for_slot(setup: Setup, slot: int, sockets: Sequence[tuple[socket.socket, bool]]) -> Setup:
    return Setup(
        slot=slot,
        type=setup.type,
        version=setup.version,
        listeners=inherited(sockets),
        control_socket=setup.control_socket,
        trusted_cidrs=setup.trusted_cidrs,
        service_hosts=setup.service_hosts,
        browser_url=setup.browser_url,
        log_level=setup.log_level,
        passage=setup.passage,
    )


def _prepare(changed: tuple[HeldResource, ...], removed: tuple[str, ...]) -> Callable[[int], Question]:
    return lambda serial: Prepare(serial=serial, changed=changed, removed=removed)


def _commit(serial: int) -> Question:
    return Commit(serial=serial)


def _scrape(serial: int) -> Question:
    return Scrape(serial=serial)

"""Leads the workers: starts and replaces them, brings changes to all of them, counts what they counted.

A slot is a worker's place with its listening sockets. A replacement accepts on the same sockets, after it has been
brought to what the others serve; so does one that is started in a drain for those who wait at a slot without a worker.
Workers that fail are no verdict on what they were given: it is tried again, and what ends sessions goes first and gets
through whatever fails.
"""

import asyncio
import itertools
import logging
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

from dataplane.link.held import HeldResource, NotApplied, Rejection
from dataplane.link.target import Credentials
from dataplane.link.translate import is_revocation
from dataplane.runtime.counts import Counts
from dataplane.runtime.fates import Fates, describe_exit
from dataplane.runtime.listeners import close_all, queued, turn_away
from dataplane.runtime.messages import (
    Connect,
    DirectoryWanted,
    Drain,
    Learned,
    News,
    Ping,
    Question,
    Said,
    Scrape,
    Scraped,
    Serve,
    Setup,
)
from dataplane.runtime.process import Start, Worker, WorkerGone, inherited, start_worker
from dataplane.runtime.rollout import Attempt, Outcome, Stuck
from dataplane.runtime.server import Snapshot
from dataplane.runtime.twosteps import Failed, Patience, TwoSteps

_COUNT_EVERY = 5
"""Looks at a worker, of which the last takes its counts."""
log = logging.getLogger("dataplane.workers")


class Companion(Protocol):
    """Who has more for the workers than these know of."""

    def joined(self, worker: Worker) -> None:
        """A worker has started."""
        ...

    def welcomed(self, slot: int) -> None:
        """It serves now, as it was told."""
        ...

    def left(self, slot: int) -> None:
        """It has ended."""
        ...

    def wanted(self, slot: int) -> None:
        """It asks for the directory."""
        ...


class Workers:
    """The workers. `restarts` counts replacements; `on_news` is told what happens in any."""

    def __init__(
        self,
        setup: Setup,
        slots: Sequence[Sequence[tuple[socket.socket, bool]]],
        on_news: Callable[[News], None],
        patience: Patience | None = None,
        start: Start = start_worker,
    ) -> None:
        self._setup = setup
        self._slots = slots
        self._on_news = on_news
        self._patience = patience or Patience()
        self._start = start
        self._live: dict[int, Worker] = {}
        self._started: set[Worker] = set()
        self._given_up: dict[Worker, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._parting: set[asyncio.Task[None]] = set()
        self._some_live = asyncio.Event()
        # One change, and one newcomer, at a time.
        self._lock = asyncio.Lock()
        self._steps = TwoSteps(lambda: [*self._live.values()], self._give_up, self._patience)
        self._served: dict[str, HeldResource] = {}
        self._serving = False
        self._credentials: Credentials | None = None
        self._ahead: float | None = None
        self._counts = Counts()
        self._fates = Fates(settled=self._patience.settled)
        self._draining = asyncio.Event()
        self._ends = 0.0
        self._over = False
        self._companion: Companion | None = None
        self.restarts = 0
        self.silent_scrapes = 0

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that serve."""
        return tuple(worker.pid for worker in self._live.values())

    @property
    def unserved(self) -> float:
        """For how many seconds nobody has been serving: 0 while somebody does, infinite when nobody ever has."""
        return self._fates.unserved(_now())

    @property
    def looping(self) -> int:
        """How many slots there are whose workers keep ending."""
        return len(self._fates.looping(_now()))

    @property
    def trouble(self) -> str:
        """What an admin has to know of them; empty while all is well."""
        return self._fates.trouble(_now())

    def attend(self, companion: Companion) -> None:
        """Have it told of each worker."""
        self._companion = companion

    def start(self) -> None:
        """Start a worker in every slot and keep them going."""
        self._tasks = [asyncio.create_task(self._keep(slot)) for slot in range(len(self._slots))]

    def connect(self, credentials: Credentials, ahead: float | None) -> None:
        """Tell all workers how to call control."""
        self._credentials, self._ahead = credentials, ahead
        for worker in self._live.values():
            worker.tell(Connect(credentials=credentials, ahead=ahead))

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
        news = self._unserved(changed)
        lean = {key: each for key, each in news.items() if is_revocation(each)}
        await self._some_live.wait()
        await self._hasten(lean)
        reason = ""
        for tried in (news, news, lean, lean):
            await self._some_live.wait()
            try:
                outcome = await self._try(tried, removed)
            except (Failed, Stuck) as error:
                reason = str(error)
                log.critical("the workers failed on a change", extra={"reason": reason, "resources": len(tried)})
                await asyncio.sleep(self._patience.retry)
            else:
                return _without(outcome, {key: each for key, each in news.items() if key not in tried}, reason)
        raise NotApplied(reason)

    async def _hasten(self, lean: Mapping[str, HeldResource]) -> None:
        """What ends sessions waits for nothing that may fail, and for no worker that hangs."""
        if not lean or not self._serving:
            return
        async with self._lock:
            if await self._steps.hasten(tuple(lean.values())) and self._live:
                self._served.update(lean)

    async def _try(self, changed: Mapping[str, HeldResource], removed: frozenset[str]) -> Outcome:
        """Prepare and commit, once. Raises Failed or Stuck."""
        async with self._lock:
            attempt = Attempt(served=self._served, changed=self._unserved(changed), removed=removed)
            if attempt.upserts or attempt.removals:
                attempt = await self._steps.prepare(attempt)
                await self._steps.commit()
            rejections, refused = attempt.rejections, attempt.refused
            # In place, for there may be many that stay.
            for key in attempt.removals:
                del self._served[key]
            self._served.update((each.key, each) for each in attempt.upserts)
            self.serve()
            return Outcome(served=self._served, rejections=rejections, refused=refused)

    def _unserved(self, resources: Mapping[str, HeldResource]) -> dict[str, HeldResource]:
        """Those that are not served as they are."""
        return {key: each for key, each in resources.items() if not self._serves(each)}

    def _serves(self, resource: HeldResource) -> bool:
        served = self._served.get(resource.key)
        return served is not None and served.digest == resource.digest

    async def scrape(self) -> Snapshot:
        """What all workers counted, those that have ended included; a silent one counts as it last said."""
        workers = list(self._live.values())
        heard = await asyncio.gather(*(self._hear(worker, self._patience.scrape, _scrape) for worker in workers))
        self.silent_scrapes += heard.count(False)
        return self._counts.total()

    async def drain(self, seconds: float) -> None:
        """Let all workers finish what waits and what is in flight; whoever is not done in time is ended."""
        self._ends = _now() + seconds
        turn_away(self._sockets(slot) for slot in range(len(self._slots)))
        self._draining.set()
        for worker in self._live.values():
            self._part_with(worker)
        _, late = await asyncio.wait(self._tasks, timeout=seconds + 1.0) if self._tasks else (set(), set())
        self.kill()
        if late:
            await asyncio.wait(late)

    def _part_with(self, worker: Worker) -> None:
        task = asyncio.create_task(self._send_off(worker))
        self._parting.add(task)
        task.add_done_callback(self._parting.discard)

    async def _send_off(self, worker: Worker) -> None:
        """Once it says so, the slot's sockets are the worker's alone, so that they close when it closes them."""
        seconds = max(0.0, self._ends - _now())
        # One that is gone has a successor, if somebody waits for it.
        with suppress(WorkerGone):
            await worker.ask(lambda serial: Drain(serial=serial, seconds=seconds), seconds)
            close_all([self._sockets(worker.slot)])

    def kill(self) -> None:
        """End all workers at once."""
        self._draining.set()
        self._over = True
        for worker in self._started:
            worker.kill()

    async def _keep(self, slot: int) -> None:
        """A worker in the slot until the drain, and in it for as long as somebody waits whom nobody serves."""
        while not self._over and (not self._draining.is_set() or queued(self._sockets(slot))):
            how = await self._live_guarded(slot)
            deaths = self._fates.ended(slot, how, _now())
            if self._draining.is_set():
                continue
            self.restarts += 1
            wait = min(self._patience.longest_restart, self._patience.first_restart * 2 ** min(deaths, 10))
            log.warning("a worker is replaced", extra={"worker": slot, "in_seconds": wait})
            with suppress(TimeoutError):
                await asyncio.wait_for(self._draining.wait(), wait)
        close_all([self._sockets(slot)])

    def _take(self, slot: int, said: Said) -> None:
        """What one worker has learnt, all others learn."""
        if isinstance(said, DirectoryWanted):
            if self._companion:
                self._companion.wanted(slot)
            return
        if not isinstance(said, Learned):
            self._on_news(said)
            return
        for worker in self._live.values():
            if worker.slot != slot:
                worker.tell(said)

    def _sockets(self, slot: int) -> list[socket.socket]:
        return [each for each, _ in self._slots[slot]]

    async def _live_guarded(self, slot: int) -> str:
        """One worker's life, from its start; how it ended."""
        self._fates.began(slot, _now())
        try:
            return await self._live_once(slot)
        except Exception as error:  # No process to be had, most likely: the slot is tried again all the same.
            log.exception("a worker could not be led", extra={"worker": slot})
            return f"it could not be led: {error!r}"

    async def _live_once(self, slot: int) -> str:
        sockets = self._slots[slot]
        setup = replace(self._setup, slot=slot, listeners=inherited(sockets))
        worker = await self._start(slot, setup, self._sockets(slot), partial(self._take, slot))
        self._started.add(worker)
        if self._companion:
            self._companion.joined(worker)
        if self._over:
            worker.kill()
        try:
            await self._admit(worker)
        except WorkerGone as error:
            self._give_up(worker, str(error))
        except Exception as error:  # A bug of ours: the slot is tried again all the same.
            log.exception("a worker could not be admitted", extra={"worker": slot})
            self._give_up(worker, repr(error))
        checking = asyncio.create_task(self._check(worker))
        status = await worker.wait()
        checking.cancel()
        return self._dismiss(worker, status)

    async def _admit(self, worker: Worker) -> None:
        """Bring a newcomer to what the others serve; only what changes meanwhile has to wait for it."""
        await worker.ready(self._patience.start)
        known = self._served.copy()
        if known:
            await self._steps.bring(worker, known.values(), ())
        async with self._lock:
            news = [each for key, each in self._served.items() if known.get(key) is not each]
            gone = known.keys() - self._served.keys()
            if news or gone:
                await self._steps.bring(worker, news, gone)
            self._welcome(worker)
        log.info("a worker serves", extra={"worker": worker.slot, "pid": worker.pid})

    def _welcome(self, worker: Worker) -> None:
        if self._credentials:
            worker.tell(Connect(credentials=self._credentials, ahead=self._ahead))
        if self._serving:
            worker.tell(Serve())
        if self._draining.is_set():
            self._part_with(worker)
        if self._companion:
            self._companion.welcomed(worker.slot)
        self._live[worker.slot] = worker
        self._fates.serves(worker.slot)
        self._some_live.set()

    def _dismiss(self, worker: Worker, status: int) -> str:
        """A worker has ended; how."""
        self._started.discard(worker)
        if self._companion:
            self._companion.left(worker.slot)
        self._retire(worker)
        self._counts.leave(worker.slot)
        given_up = self._given_up.pop(worker, "")
        # One that was dying already has more to say of it than that we gave it up.
        how = given_up if given_up and status == -signal.SIGKILL else describe_exit(status)
        level = logging.INFO if self._draining.is_set() and not status else logging.WARNING
        log.log(level, "a worker has ended", extra={"worker": worker.slot, "pid": worker.pid, "how": how})
        return how

    def _give_up(self, worker: Worker, reason: str) -> None:
        """End a worker that is of no use any more."""
        log.error("a worker is given up", extra={"worker": worker.slot, "pid": worker.pid, "reason": reason})
        self._given_up.setdefault(worker, f"given up: {reason}")
        self._retire(worker)
        worker.kill()

    def _retire(self, worker: Worker) -> None:
        if self._live.get(worker.slot) is worker:
            del self._live[worker.slot]
            self._fates.rests(worker.slot, _now())
        if not self._live:
            self._some_live.clear()

    async def _check(self, worker: Worker) -> None:
        """Give up a worker that hangs: its share of the connections would hang with it."""
        for turn in itertools.count(1):
            await asyncio.sleep(self._patience.check)
            # A change has deadlines of its own; whoever is asked after it is asked before the next.
            async with self._lock:
                pass
            # Counting thousands of hosts takes a while; what is counted is to outlive the worker all the same.
            question = _ping if turn % _COUNT_EVERY else _scrape
            if not await self._hear(worker, self._patience.answer, question):
                self._give_up(worker, f"it gave no sign of life within {self._patience.answer:g} s")
                return

    async def _hear(self, worker: Worker, deadline: float, question: Callable[[int], Question]) -> bool:
        """Whether a worker answers in time; its counts are taken, where that was the question.

        Whoever reads counts has little time; one that is asked for a sign of life may be at work.
        """
        try:
            answer = await worker.ask(question, deadline, lenient=deadline >= self._patience.answer)
        except WorkerGone:
            return False
        if isinstance(answer, Scraped) and self._live.get(worker.slot) is worker:
            self._counts.take(worker.slot, answer.snapshot)
        return True


def _without(outcome: Outcome, failed: Mapping[str, HeldResource], reason: str) -> Outcome:
    left_out = tuple(Rejection(key=key, digest=each.digest, reason=reason) for key, each in failed.items())
    return replace(outcome, rejections=(*outcome.rejections, *left_out), failed=failed)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _ping(serial: int) -> Question:
    return Ping(serial=serial)


def _scrape(serial: int) -> Question:
    return Scrape(serial=serial)

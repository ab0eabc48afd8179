"""A change in two steps over all live workers: all prepare it, then all commit it, or none does.

A worker that gives no answer in time is given up: its replacement catches up. What ends sessions need not wait for
that, so each worker may take it as soon as it can.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from dataplane.link.held import HeldResource
from dataplane.runtime.messages import Answer, Commit, Prepare, Prepared, PrepareFailed, Question
from dataplane.runtime.process import Worker, WorkerGone
from dataplane.runtime.rollout import Attempt

PORTION = 2000
"""Resources that a newcomer is given at once: it is asked for signs of life in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Spans in seconds: deadlines of workers' answers, and the waits before a replacement."""

    start: float = 30.0
    answer: float = 5.0
    each: float = 0.005
    """More for each resource that is to be prepared."""
    scrape: float = 1.0
    check: float = 2.0
    first_restart: float = 0.1
    longest_restart: float = 10.0
    settled: float = 30.0
    retry: float = 0.5

    def prepare(self, number: int) -> float:
        """The deadline for preparing so many resources."""
        return self.answer + self.each * number


class Failed(Exception):
    """Workers failed, for whatever reason: no verdict on what they were given."""


class TwoSteps:
    """Leads the workers that `live` gives; `give_up` ends one, for a reason."""

    def __init__(
        self, live: Callable[[], Sequence[Worker]], give_up: Callable[[Worker, str], None], patience: Patience
    ) -> None:
        self._live = live
        self._give_up = give_up
        self._patience = patience

    async def prepare(self, attempt: Attempt) -> Attempt:
        """Prepare until no worker refuses anything. Raises Failed or Stuck."""
        while True:
            deadline = self._patience.prepare(len(attempt.upserts))
            refusals: dict[str, str] = {}
            for answer in await self._ask_all(_prepare(attempt.upserts, attempt.removals), deadline):
                refusals.update(_refusals(answer))
            if not refusals:
                return attempt
            attempt = attempt.refuse(refusals)

    async def commit(self) -> None:
        """Serve what was prepared last. Raises Failed when no worker says that it does."""
        await self._ask_all(_commit, self._patience.answer)

    async def hasten(self, resources: tuple[HeldResource, ...]) -> bool:
        """Have each worker take these at once, whatever the others do; whether all did."""
        deadline = self._patience.prepare(len(resources))
        taken = await asyncio.gather(*(self._take(worker, resources, deadline) for worker in self._live()))
        return all(taken)

    async def bring(self, worker: Worker, changed: Collection[HeldResource], removed: Collection[str]) -> None:
        """Bring one worker, which does not serve yet, to what the others serve. Raises WorkerGone."""
        # What others depend on comes first.
        ordered = sorted(changed, key=lambda each: each.key != "options")
        gone = tuple(removed)
        for at in range(0, max(len(ordered), 1), PORTION):
            portion = tuple(ordered[at : at + PORTION])
            answer = await worker.ask(_prepare(portion, gone), self._patience.prepare(len(portion)))
            try:
                refusals = _refusals(answer)
            except Failed as error:
                raise WorkerGone(f"it can't prepare what others serve: {error}") from error
            for key, reason in refusals.items():
                raise WorkerGone(f"it refuses what others serve: {key}: {reason}")
            await worker.ask(_commit, self._patience.answer)
            gone = ()

    async def _take(self, worker: Worker, resources: tuple[HeldResource, ...], deadline: float) -> bool:
        try:
            answer = await worker.ask(_prepare(resources, ()), deadline)
            if not isinstance(answer, Prepared) or answer.refused:
                return False
            await worker.ask(_commit, self._patience.answer)
        except WorkerGone as error:
            self._give_up(worker, str(error))
        return True

    async def _ask_all(self, question: Callable[[int], Question], deadline: float) -> list[Answer]:
        """The answers of all live workers; one that gives none is given up. Raises Failed when nobody does."""
        workers = self._live()
        answers = await asyncio.gather(*(worker.ask(question, deadline) for worker in workers), return_exceptions=True)
        given: list[Answer] = []
        for worker, answer in zip(workers, answers, strict=True):
            if isinstance(answer, WorkerGone):
                self._give_up(worker, str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                given.append(answer)
        if not given:
            raise Failed("every worker died of it or gave no answer")
        return given


def _refusals(answer: Answer) -> dict[str, str]:
    """What a worker refuses to prepare. Raises Failed."""
    match answer:
        case PrepareFailed(reason=reason):
            raise Failed(reason)
        case Prepared(refused=refused):
            return refused
        case _:
            return {}


def _prepare(changed: tuple[HeldResource, ...], removed: tuple[str, ...]) -> Callable[[int], Question]:
    return lambda serial: Prepare(serial=serial, changed=changed, removed=removed)


def _commit(serial: int) -> Question:
    return Commit(serial=serial)

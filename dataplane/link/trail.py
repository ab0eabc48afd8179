"""What happened at the outpost, on its way to control: onto the disk, over the link, and only then forgotten.

Fallback: while the disk takes nothing, or the key that it would be sealed under isn't there yet, events stay in memory,
so many at most; whatever is dropped is counted, and control is told how much. Nothing is told twice but after a crash,
and control knows each event by its id.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from dataplane.gate import Event, EventAction
from dataplane.link.disk import DiskFollower
from dataplane.link.events import EventJournal
from dataplane.link.world import World

MAX_IN_MEMORY = 20_000
NOT_SAVED = "the disk took no events and memory no more of them"
REFUSED = "control refused an event"
MAX_TEXT = 400
_MAX_AT = 253_402_300_799.0
"""The end of the year 9999, after which no timestamp can be."""

ResultT = TypeVar("ResultT")


def fit(event: Event) -> Event:
    """As it can travel and be kept: a worker faces the network, and what it says may be anything."""
    texts = (
        event.id,
        event.provider,
        event.subject,
        event.username,
        event.client_address,
        event.reason,
        event.request_id,
    )
    if max(map(len, texts)) <= MAX_TEXT and 0.0 <= event.at <= _MAX_AT and event.count >= 0:
        return event
    ident, provider, subject, username, client, reason, request = (text[:MAX_TEXT] for text in texts)
    return Event(
        id=ident,
        at=event.at if 0.0 <= event.at <= _MAX_AT else 0.0,
        action=event.action,
        provider=provider,
        subject=subject,
        username=username,
        client_address=client,
        reason=reason,
        count=max(0, event.count),
        request_id=request,
    )


class Trail:
    """The events of one outpost. `forwarded` counts those that control has."""

    def __init__(self, journal: EventJournal, world: World, limit: int = MAX_IN_MEMORY) -> None:
        self._journal = journal
        self._world = world
        self._limit = limit
        self._unsaved: dict[str, Event] = {}
        self._disk = DiskFollower(self._write, world.sleep)
        self._sealable = asyncio.Event()
        self._news = asyncio.Event()
        self._clear = asyncio.Event()
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[object]] = set()
        # Lost from memory: all, and those that no event tells of yet.
        self._lost = 0
        self._untold = 0
        self._lost_when_clear = 0
        self.forwarded = 0

    @property
    def lost(self) -> int:
        """Events that control never will hear of."""
        return self._lost + self._journal.lost

    @property
    def waiting(self) -> int:
        """Events that control hasn't got yet."""
        return self._journal.count + len(self._unsaved)

    @property
    def error(self) -> str:
        """What an admin has to know: nothing, while all that waits is kept."""
        lost = self.lost - self._lost_when_clear
        return f"events for the audit trail are lost: {lost} since control last had all of them" if lost else ""

    @property
    def gauges(self) -> dict[str, float]:
        """How it is, by the names of metrics."""
        return {
            "garrison_outpost_events_waiting": self.waiting,
            "garrison_outpost_events_bytes": self._journal.size,
            "garrison_outpost_events_unsaved": len(self._unsaved),
        }

    @property
    def counters(self) -> dict[str, float]:
        """What was counted, by the names of metrics."""
        return {
            "garrison_outpost_events_forwarded_total": self.forwarded,
            "garrison_outpost_events_lost_total": self.lost,
        }

    def add(self, events: Iterable[Event]) -> None:
        """These have happened."""
        self._unsaved.update((event.id, event) for event in map(fit, events))
        while len(self._unsaved) > self._limit:
            dropped = self._unsaved.pop(next(iter(self._unsaved)))
            self._lose(dropped.count if dropped.action is EventAction.EVENTS_LOST else 1)
        if self._unsaved:
            self._clear.clear()
            self._disk.touch()
            self._news.set()

    def seal(self) -> None:
        """The key that the disk is sealed under lies on it: from now on events may, too."""
        self._sealable.set()

    async def clear_within(self, seconds: float) -> None:
        """Wait until control has all of them, so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._clear.wait()

    async def keep(self) -> None:
        """Save whenever there is something to save. Never returns by itself."""
        await self._sealable.wait()
        await self._disk.keep()

    async def finish(self) -> None:
        """Save what isn't, if the disk takes it."""
        if self._sealable.is_set():
            await self._disk.finish()

    async def save(self) -> bool:
        """Save what isn't, or wait until that is done; whether the disk has it."""
        return await self._disk.save()

    async def first(self) -> Sequence[Event]:
        """The oldest events that control hasn't got; waits until there are any."""
        while True:
            self._news.clear()
            found = await self._in_turn(partial(self._journal.first, self._world.clock()))
            if found:
                return found
            if self._unsaved and not self._is_kept():
                self._tell_losses()
                return tuple(self._unsaved.values())
            self._check_clear()
            await self._news.wait()

    async def delivered(self, events: Sequence[Event]) -> None:
        """Control has these, of those that `first` gave."""
        self.forwarded += len(events)
        await self._forget(events)

    async def refused(self, event: Event) -> None:
        """Control never will take this one."""
        self._lost += 1
        await self._forget((event,))
        # That one can't be taken either is no news.
        if event.action is not EventAction.EVENTS_LOST:
            self.add((self._loss(1, REFUSED),))

    async def _forget(self, events: Sequence[Event]) -> None:
        for event in events:
            self._unsaved.pop(event.id, None)
        await self._in_turn(partial(self._journal.remove, events))

    def _is_kept(self) -> bool:
        """Whether the disk has what comes, or will have it in a moment."""
        return self._sealable.is_set() and not self._journal.error

    async def _write(self) -> bool:
        now, untold = self._world.clock(), self._untold
        events = [*self._unsaved.values()]
        told = [*events, self._loss(untold, NOT_SAVED)] if untold else events
        saved = not told or await self._in_turn(partial(self._journal.append, told, now))
        self._news.set()
        if saved:
            self._untold -= untold
            for event in events:
                self._unsaved.pop(event.id, None)
        return saved

    def _lose(self, count: int) -> None:
        self._lost += count
        self._untold += count

    def _tell_losses(self) -> None:
        if self._untold:
            loss = self._loss(self._untold, NOT_SAVED)
            self._unsaved[loss.id] = loss
            self._untold = 0

    def _loss(self, count: int, reason: str) -> Event:
        ident = uuid.UUID(bytes=self._world.token(16), version=4)
        action = EventAction.EVENTS_LOST
        return Event(id=str(ident), at=self._world.clock(), action=action, reason=reason, count=count)

    def _check_clear(self) -> None:
        if not self.waiting and not self._untold:
            self._lost_when_clear = self.lost
            self._clear.set()

    async def _in_turn(self, work: Callable[[], ResultT]) -> ResultT:
        """One call of the journal at a time; one that has begun is finished, whoever waits for it."""
        task = asyncio.create_task(self._run(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        async with self._turn:
            return await asyncio.to_thread(work)

"""The instances of outposts as this process sees them. Beats stay in memory; what matters reaches the database.

A change of state is written at once (a few together), beats once a minute; `control.link.ledger` does the writing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NoReturn, TypeVar
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError

from control.domain.outpost import Instance, InstanceEvent, InstanceEventKind, InstanceState, Rejection
from control.fleet.authority import Client
from control.fleet.instances import MOST_GONE
from control.link.history import MOST_DETAIL, History
from control.link.ledger import Batch, Key, Ledger, NotWritten
from control.link.messages import Health, Hello
from control.store import Store

BATCH_SECONDS = 60.0
GAP_SECONDS = 0.1
RETRY_SECONDS = 1.0
# An instance that is refused calls again and again.
REFUSED_AGAIN = timedelta(minutes=1)
LOST = "the connection was lost"
# Since this version of the protocol an instance that ends says so.
SAYS_FAREWELL = 2
# After so many new instances it is time to look which of those that are gone are too many.
MOST_NEW = MOST_GONE // 2

Result = TypeVar("Result")
log = logging.getLogger("control.link")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an instance has come."""

    applied: int
    wanted: int
    rejections: tuple[Rejection, ...] = ()


class Roster:
    """All instances by outpost and uid, with what is not written yet."""

    def __init__(self, store: Store, clock: Callable[[], datetime], holder: UUID) -> None:
        self._ledger = Ledger(store, holder)
        self._clock = clock
        self._holder = holder
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="roster")
        self._urgent: set[Key] = set()
        self._beaten: set[Key] = set()
        self._claimed: set[Key] = set()
        self._used: set[UUID] = set()
        self._done: set[UUID] = set()
        self._history = History(clock)
        self._refused_at: dict[Key, datetime] = {}
        self._new = 0
        self._some_urgent = asyncio.Event()
        self.instances: dict[Key, Instance] = {}

    async def load(self) -> None:
        """Begin: nobody is connected here, and history is as the database tells it."""
        self.instances = await self._in_pool(self._ledger.load)

    def join(self, client: Client, hello: Hello, address: str) -> Key:
        """An instance has said Hello."""
        key = (client.outpost, client.instance)
        self._used.add(client.token)
        self._claimed.add(key)
        known = self.instances.get(key)
        self._put(self._introduced(key, hello, address))
        # Another connection of the same run, with a renewed certificate for example, is no event.
        if known is None or known.state is InstanceState.DISCONNECTED or known.started != hello.started:
            detail = f"version {hello.version or 'unknown'} from {address or 'an unknown address'}"
            self._note(key, InstanceEventKind.CONNECTED, detail)
        return key

    def refuse(self, client: Client, hello: Hello, address: str, why: str) -> None:
        """An instance has said Hello and can't be served."""
        key, reason = (client.outpost, client.instance), why[:MOST_DETAIL]
        known, now = self.instances.get(key), self._clock()
        if known is not None and known.state is not InstanceState.DISCONNECTED:
            # Somebody with a copy of its state folder: the one that is served is well.
            return
        told = self._refused_at.get(key)
        is_news = told is None or now - told >= REFUSED_AGAIN
        refused = self._introduced(key, hello, address)
        self._put(
            replace(_away(refused), last_error=reason),
            urgent=is_news,
        )
        if is_news:
            self._refused_at[key] = now
        if known is None or known.last_error != reason:
            self._note(key, InstanceEventKind.REFUSED, reason)

    def drains(self, key: Key) -> None:
        """An instance accepts nothing new any more and will end."""
        known = self.instances.get(key)
        if known is not None and known.state is InstanceState.CONNECTED:
            self._put(replace(known, state=InstanceState.DRAINING))
            self._note(key, InstanceEventKind.DRAINING, "")

    def has_drained(self, drain: UUID) -> None:
        """A wish to drain is carried out."""
        self._done.add(drain)
        self._some_urgent.set()

    def holds(self, key: Key, token: str) -> None:
        """An instance has put a token, by its fingerprint, into its state."""
        known = self.instances.get(key)
        if known is not None:
            self._put(replace(known, held_token=token))

    def beat(self, key: Key, health: Health) -> None:
        """An instance has told how it is."""
        known = self.instances.get(key)
        if known is None:
            return
        changed = replace(
            known,
            last_seen=self._clock(),
            clock_skew=self._skew(health.clock),
            workers=health.workers,
            memory_bytes=health.memory_bytes,
            load=health.load,
            last_error=health.last_error,
        )
        self._put(changed, urgent=known.last_error != changed.last_error or known.workers != changed.workers)
        if changed.last_error and changed.last_error != known.last_error:
            self._note(key, InstanceEventKind.FAILED, changed.last_error)
        elif known.last_error and not changed.last_error:
            self._note(key, InstanceEventKind.RECOVERED, known.last_error)
        if health.draining:
            self.drains(key)

    def progress(self, key: Key, progress: Progress, *, urgent: bool) -> None:
        """An instance has been sent something or has applied it; not `urgent` where nothing had to be done."""
        known = self.instances.get(key)
        if known is None:
            return
        changed = replace(
            known,
            last_seen=self._clock() if urgent else known.last_seen,
            applied_revision=progress.applied,
            wanted_revision=progress.wanted,
            rejections=progress.rejections,
        )
        self._put(changed, urgent=urgent)

    def leave(self, key: Key, why: str) -> None:
        """An instance has gone; `why` is empty where nobody sent it away."""
        known = self.instances.get(key)
        if known is not None:
            lost = LOST if known.state is InstanceState.CONNECTED and known.protocol >= SAYS_FAREWELL else ""
            error = why or known.last_error or lost
            self._claimed.discard(key)
            self._put(replace(_away(known), last_error=error))
            self._note(key, InstanceEventKind.DISCONNECTED, why or lost)

    def taken(self, elsewhere: Iterable[Key], before: datetime) -> list[Key]:
        """Forget what other processes hold. Those of them that have older streams here are returned."""
        known = [key for key in elsewhere if key in self.instances and not self._is_newer(key, before)]
        older = [key for key in known if self.instances[key].state is not InstanceState.DISCONNECTED]
        for key in known:
            self._drop(key)
        return older

    def reclaim(self) -> None:
        """The others thought us dead: say again what is connected here."""
        for instance in tuple(self.instances.values()):
            if instance.state is not InstanceState.DISCONNECTED:
                self._put(instance)

    def drop_outposts(self, existing: Mapping[UUID, object]) -> None:
        """Forget the instances of outposts that are gone; the database has done so. Their streams may still end."""
        for key in [key for key in self.instances if key[0] not in existing]:
            self._drop(key)

    async def keep(self) -> NoReturn:
        """Write what has to be written, for ever."""
        loop = asyncio.get_running_loop()
        next_batch = loop.time() + BATCH_SECONDS
        while True:
            await self._wait(next_batch - loop.time())
            if loop.time() >= next_batch:
                self._urgent |= self._beaten
                next_batch = loop.time() + BATCH_SECONDS
            await self.save()
            if self._new >= MOST_NEW:
                await self._forget_some()
            await asyncio.sleep(GAP_SECONDS)

    async def _forget_some(self) -> None:
        try:
            await self.forget()
        except SQLAlchemyError as error:
            log.warning("old instances can't be forgotten", extra={"reason": type(error).__name__})

    async def save(self) -> None:
        """Write what is urgent; what can't be written now stays so."""
        batch = self._take(self._history.take())
        if batch.is_empty:
            return
        try:
            # Whoever ends this task ends no writing that has begun: what was taken would be lost.
            await asyncio.shield(self._in_pool(lambda: self._ledger.write(batch)))
        except NotWritten as error:
            log.warning("instances can't be written", extra={"reason": str(error)})
            for each in error.batches:
                self._give_back(each)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._some_urgent.set)

    def _take(self, events: Iterable[InstanceEvent]) -> Batch:
        batch = Batch(
            instances=tuple(self.instances[key] for key in self._urgent & self.instances.keys()),
            claimed=frozenset(self._claimed),
            used=frozenset(self._used),
            done=frozenset(self._done),
            events=tuple(events),
        )
        self._some_urgent.clear()
        if not batch.is_empty:
            self._beaten -= self._urgent
            self._urgent, self._claimed, self._used, self._done = set(), set(), set(), set()
        return batch

    def _give_back(self, batch: Batch) -> None:
        self._urgent |= {(each.outpost, each.uid) for each in batch.instances}
        self._claimed |= {key for key in batch.claimed if self._is_connected(key)}
        self._used |= batch.used
        self._done |= batch.done
        self._history.give_back(batch.events)

    async def forget(self) -> None:
        """Drop the history that is too old."""
        self._new = 0
        remembered = await self._in_pool(self._ledger.forget)
        for key, instance in tuple(self.instances.items()):
            is_known = key in remembered or key in self._urgent
            if instance.state is InstanceState.DISCONNECTED and not is_known:
                del self.instances[key]
                self._refused_at.pop(key, None)

    async def close(self) -> None:
        """Say that everyone is gone, and let the thread go."""
        for key, instance in self.instances.items():
            if instance.state is not InstanceState.DISCONNECTED:
                self.leave(key, "control is stopping")
        self._history.give_back(self._history.take_all())
        await self.save()
        await asyncio.to_thread(self._pool.shutdown)

    def _introduced(self, key: Key, hello: Hello, address: str) -> Instance:
        """An instance as it says of itself."""
        known, now = self.instances.get(key), self._clock()
        return Instance(
            id=known.id if known else uuid4(),
            outpost=key[0],
            uid=key[1],
            state=InstanceState.CONNECTED,
            hostname=hello.hostname[:255],
            version=hello.version[:80],
            build=hello.build[:80],
            address=address[:80],
            started=hello.started,
            holder=self._holder,
            connected_since=now,
            last_seen=now,
            applied_revision=hello.revision,
            wanted_revision=hello.revision,
            clock_skew=self._skew(hello.clock),
            protocol=hello.protocol,
            environment_token=hello.environment_token,
            held_token=hello.held_token,
        )

    def _is_connected(self, key: Key) -> bool:
        known = self.instances.get(key)
        return known is not None and known.state is not InstanceState.DISCONNECTED

    def _is_newer(self, key: Key, moment: datetime) -> bool:
        """Whether the instance has called here since, so that what was read then says nothing about it."""
        since = self.instances[key].connected_since
        return key in self._claimed or (since is not None and since >= moment)

    def _drop(self, key: Key) -> None:
        del self.instances[key]
        self._urgent.discard(key)
        self._beaten.discard(key)
        self._claimed.discard(key)
        self._refused_at.pop(key, None)

    def _note(self, key: Key, kind: InstanceEventKind, detail: str) -> None:
        self._history.note(key, kind, detail)
        self._some_urgent.set()

    def _put(self, instance: Instance, *, urgent: bool = True) -> None:
        key = (instance.outpost, instance.uid)
        self._new += key not in self.instances
        self.instances[key] = instance
        if urgent:
            self._urgent.add(key)
            self._some_urgent.set()
        else:
            self._beaten.add(key)

    def _skew(self, clock: datetime | None) -> float:
        return (clock - self._clock()).total_seconds() if clock else 0.0

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._some_urgent.wait()
        except TimeoutError:
            pass

    async def _in_pool(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _away(instance: Instance) -> Instance:
    return replace(instance, state=InstanceState.DISCONNECTED, connected_since=None, holder=None)

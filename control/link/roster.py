"""The instances of outposts as this process sees them. Beats stay in memory; what matters reaches the database.

A change of state is written at once (a few together), beats once a minute. Only this process writes instances.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn, TypeVar
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError

from control.domain.outpost import Instance, InstanceState, Rejection
from control.fleet.authority import Client
from control.fleet.instances import forget_old, mark_all_disconnected
from control.link.messages import Health, Hello
from control.store import SYSTEM, Store, Unit

BATCH_SECONDS = 60.0
GAP_SECONDS = 0.1
RETRY_SECONDS = 1.0

Key = tuple[UUID, str]
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

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="roster")
        self._urgent: set[Key] = set()
        self._beaten: set[Key] = set()
        self._used: set[UUID] = set()
        self._some_urgent = asyncio.Event()
        self.instances: dict[Key, Instance] = {}

    async def load(self) -> None:
        """Begin: nobody is connected, and history is as the database tells it."""
        self.instances = await self._in_pool(self._load)

    def join(self, client: Client, hello: Hello, address: str) -> Key:
        """An instance has said Hello."""
        key = (client.outpost, client.instance)
        self._used.add(client.token)
        known = self.instances.get(key)
        now = self._clock()
        self._put(
            Instance(
                id=known.id if known else uuid4(),
                outpost=client.outpost,
                uid=client.instance,
                state=InstanceState.CONNECTED,
                hostname=hello.hostname[:255],
                version=hello.version[:80],
                build=hello.build[:80],
                address=address[:80],
                started=hello.started,
                connected_since=now,
                last_seen=now,
                applied_revision=hello.revision,
                wanted_revision=hello.revision,
                clock_skew=self._skew(hello.clock),
                protocol=hello.protocol,
                environment_token=hello.environment_token,
                held_token=hello.held_token,
            )
        )
        return key

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
        """An instance has gone; `why` is empty where it took its leave."""
        known = self.instances.get(key)
        if known is not None:
            error = why or known.last_error
            self._put(replace(known, state=InstanceState.DISCONNECTED, connected_since=None, last_error=error))

    def drop_outposts(self, existing: Mapping[UUID, object]) -> None:
        """Forget the instances of outposts that are gone; the database has done so. Their streams may still end."""
        for key in [key for key in self.instances if key[0] not in existing]:
            del self.instances[key]
            self._urgent.discard(key)
            self._beaten.discard(key)

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
            await asyncio.sleep(GAP_SECONDS)

    async def save(self) -> None:
        """Write what is urgent; what can't be written now stays so."""
        keys, self._urgent = self._urgent, set()
        self._beaten -= keys
        self._some_urgent.clear()
        used, self._used = self._used, set()
        found = [self.instances[key] for key in keys if key in self.instances]
        if not found:
            return
        try:
            await self._in_pool(lambda: self._save(found, used))
        except SQLAlchemyError as error:
            log.warning("instances can't be written", extra={"reason": type(error).__name__})
            self._urgent |= keys
            self._used |= used
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._some_urgent.set)

    async def forget(self) -> None:
        """Drop the history that is too old."""
        remembered = await self._in_pool(self._forget)
        for key, instance in tuple(self.instances.items()):
            if instance.state is InstanceState.DISCONNECTED and key not in remembered | self._urgent:
                del self.instances[key]

    async def close(self) -> None:
        """Say that everyone is gone, and let the thread go."""
        for key, instance in self.instances.items():
            if instance.state is not InstanceState.DISCONNECTED:
                self.leave(key, "")
        await self.save()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _put(self, instance: Instance, *, urgent: bool = True) -> None:
        key = (instance.outpost, instance.uid)
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

    def _load(self) -> dict[Key, Instance]:
        with self._store.write(SYSTEM) as unit:
            mark_all_disconnected(unit)
            return {(each.outpost, each.uid): each for each in unit.instances.all()}

    def _save(self, instances: list[Instance], used: set[UUID]) -> None:
        with self._store.write(SYSTEM) as unit:
            for token in used:
                unit.tokens.touch(token)
            existing = _existing(unit, {instance.outpost for instance in instances})
            unit.instances.save(instance for instance in instances if instance.outpost in existing)

    def _forget(self) -> set[Key]:
        with self._store.write(SYSTEM) as unit:
            forget_old(unit)
            return {(each.outpost, each.uid) for each in unit.instances.all()}


def _existing(unit: Unit, outposts: set[UUID]) -> set[UUID]:
    return {outpost for outpost in outposts if unit.outposts.find(outpost) is not None}

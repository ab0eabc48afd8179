"""Our link process among those of the installation, which share its database.

It is on their list, says every ten seconds that it lives, and strikes off who has said nothing for thirty: what only
such a one held is away. Clocks of machines differ, so silence is measured on one's own, as that which isn't seen to
change; and only while one was able to look.

An instance has one holder: the process it called last. Whoever has an older stream of it learns so here.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError

from control.domain.outpost import LinkProcess
from control.fleet.instances import mark_abandoned
from control.link.ledger import Key
from control.store import SYSTEM, Store, Unit

BEAT_SECONDS = 10.0
DEAD_AFTER = timedelta(seconds=30)
# Who could not look for so long has seen no silence.
BLIND_AFTER = timedelta(seconds=20)

log = logging.getLogger("control.link")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is known of another process: what it last said, and when we first saw that, by our clock."""

    said: datetime
    seen: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One look around. `elsewhere`: instances that other processes hold, as of `begun`, by our clock.

    `was_struck`: the others thought us dead, and what we hold away.
    """

    begun: datetime
    elsewhere: frozenset[Key]
    was_struck: bool


def look(processes: Iterable[LinkProcess], before: Mapping[UUID, Sight], now: datetime) -> dict[UUID, Sight]:
    """What is seen of each of them now."""
    sights = {}
    for process in processes:
        known = before.get(process.id)
        is_news = known is None or known.said != process.last_seen
        sights[process.id] = Sight(said=process.last_seen, seen=now) if known is None or is_news else known
    return sights


def find_dead(sights: Mapping[UUID, Sight], now: datetime) -> frozenset[UUID]:
    """Who has said nothing for too long."""
    return frozenset(process for process, sight in sights.items() if now - sight.seen >= DEAD_AFTER)


def read_seat(path: Path) -> UUID:
    """The id by which the process of this data folder is known, also when it starts anew; made when there is none."""
    try:
        return UUID(path.read_text().strip())
    except (FileNotFoundError, ValueError):
        made = uuid4()
        path.write_text(f"{made}\n")
        return made


class Presence:
    """Our place among the link processes."""

    def __init__(self, store: Store, clock: Callable[[], datetime], seat: UUID) -> None:
        self.id = seat
        self._store = store
        self._clock = clock
        self._sights: dict[UUID, Sight] = {}
        self._looked = clock()

    async def enter(self) -> None:
        """Take the place. What the process before us at this seat held, and what nobody holds, is away."""
        await asyncio.to_thread(self._enter)

    async def keep(self, tell: Callable[[Round], None]) -> NoReturn:
        """Beat and look around, for ever."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self.beat(tell)

    async def beat(self, tell: Callable[[Round], None]) -> None:
        """Once; what fails now is tried again with the next."""
        try:
            tell(await asyncio.to_thread(self._beat))
        except SQLAlchemyError as error:
            log.warning("can't say that this process lives", extra={"reason": type(error).__name__})

    async def leave(self) -> None:
        """Give up the place."""
        try:
            await asyncio.to_thread(self._leave)
        except SQLAlchemyError as error:
            log.warning("can't say that this process ends", extra={"reason": type(error).__name__})

    def _enter(self) -> None:
        with self._store.write(SYSTEM) as unit:
            others = frozenset(process.id for process in unit.link_processes.all()) - {self.id}
            mark_abandoned(unit, others)
            self._register(unit)

    def _beat(self) -> Round:
        begun = self._clock()
        with self._store.write(SYSTEM) as unit:
            was_struck = not unit.link_processes.beat(self.id)
            if was_struck:
                self._register(unit)
            self._strike_off(unit, begun)
            return Round(begun=begun, elsewhere=unit.instances.held_by_others(self.id), was_struck=was_struck)

    def _strike_off(self, unit: Unit, now: datetime) -> None:
        others = {process.id: process for process in unit.link_processes.all() if process.id != self.id}
        known = self._sights if now - self._looked < BLIND_AFTER else {}
        self._sights, self._looked = look(others.values(), known, now), now
        dead = find_dead(self._sights, now)
        for process in dead:
            log.warning("a link process has died", extra={"link": others[process].name})
            unit.link_processes.remove(others[process])
        if dead:
            mark_abandoned(unit, (others.keys() - dead) | {self.id})

    def _leave(self) -> None:
        with self._store.write(SYSTEM) as unit:
            found = unit.link_processes.find(self.id)
            if found is not None:
                unit.link_processes.remove(found)

    def _register(self, unit: Unit) -> None:
        found = unit.link_processes.find(self.id)
        if found is not None:
            unit.link_processes.remove(found)
        ours = LinkProcess(id=self.id, name=socket.gethostname()[:255], started=unit.now, last_seen=unit.now)
        unit.link_processes.add(ours)

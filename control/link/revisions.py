"""Follows the database: after each commit the fleet's state is computed once, for all streams.

Writers send a datagram to the wake socket, or PostgreSQL tells (`Store.listen`); as either may be lost, the revision is
looked at every `Store.look_seconds` besides. A commit is acted on at once, further ones within the next 50 ms together.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import NoReturn

from sqlalchemy.exc import SQLAlchemyError

from control.fleet.renewal import keep_same, renew_facts
from control.fleet.snapshot import read_facts
from control.link.state import NOTHING, State, compute
from control.store import Store

GAP_SECONDS = 0.05
RETRY_SECONDS = 1.0

log = logging.getLogger("control.link")


class Revisions:
    """The newest state, and who wants to hear of the next."""

    def __init__(self, store: Store, url: str, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._url = url
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="snapshot")
        self._listeners: set[Callable[[State], None]] = set()
        self._woken = asyncio.Event()
        self._wanted_anew = False
        self._loaded_at = clock()
        self._answers = True
        self.state = NOTHING

    def wake(self) -> None:
        """Somebody has committed something."""
        self._woken.set()

    def refresh(self) -> None:
        """Compute the state anew, though no revision says so: time has passed."""
        self._wanted_anew = True
        self._woken.set()

    @contextmanager
    def listening(self, listener: Callable[[State], None]) -> Iterator[None]:
        """Call `listener` with each new state."""
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    async def load(self) -> None:
        """Compute the newest state and tell everyone."""
        anew, self._wanted_anew = self._wanted_anew, False
        # Before, not after: what ends at a moment must not wait as long again as the facts took to read.
        begun = self._clock()
        loop = asyncio.get_running_loop()
        self.state = await loop.run_in_executor(self._pool, lambda: self._compute(anew=anew))
        self._loaded_at = begun
        for listener in tuple(self._listeners):
            listener(self.state)

    async def follow(self) -> NoReturn:
        """Keep the state new, for ever."""
        while True:
            await self._wait()
            try:
                stale = await self._is_stale()
                if stale:
                    await self.load()
                self._note_answer(None)
                await asyncio.sleep(GAP_SECONDS if stale else 0)
            except SQLAlchemyError as error:
                self._wanted_anew = True
                self._note_answer(error)
                await asyncio.sleep(RETRY_SECONDS)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._store.look_seconds):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def _is_stale(self) -> bool:
        change = self.state.facts.next_change()
        if self._wanted_anew or (change is not None and change <= self._now()):
            return True
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._revision) != self.state.revision

    def _now(self) -> datetime:
        """The time by the clock that the facts go by, which may be another than ours."""
        return self.state.facts.at + (self._clock() - self._loaded_at)

    def _note_answer(self, error: SQLAlchemyError | None) -> None:
        """Say once that the database doesn't answer, and once that it does again."""
        if error is not None and self._answers:
            log.warning("the database can't be read", extra={"reason": type(error).__name__})
        if error is None and not self._answers:
            log.info("the database can be read again")
        self._answers = error is None

    def _revision(self) -> int:
        with self._store.read() as unit:
            return unit.revision()

    def _compute(self, *, anew: bool = False) -> State:
        """The next state; where time may matter, or something went wrong before, from all that is in the database."""
        known = self.state.facts
        with self._store.read() as unit:
            facts = keep_same(known, read_facts(unit)) if anew else renew_facts(unit, known)
        return compute(facts, self._url, self.state, anew=anew)

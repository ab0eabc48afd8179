"""Brings the last good state to the disk: after each change, and after each failure again until the disk takes it.

A state is written whole, which takes long where there is much of it: the next time waits for several times as long, so
that changes that never end cost a part of a core, not all of it.
"""

import asyncio
from collections.abc import Callable, Coroutine

from dataplane.link.state import Saved, StateFolder
from dataplane.link.world import World

FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0
"""Seconds between two tries at a disk that takes nothing."""
SHARE = 4.0
LONGEST_PAUSE = 30.0
"""Times as long as a save took, and seconds at most, until the next."""


class Saver:
    """Saves what `current` gives: the state and the tokens that are to open it, or None where there is none yet.

    `saved` is told of each that the disk has.
    """

    def __init__(
        self,
        folder: StateFolder,
        current: Callable[[], tuple[Saved, tuple[str, ...]] | None],
        world: World,
        saved: Callable[[Saved], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._saved = saved
        self._current = current
        self._world = world
        self._dirty = asyncio.Event()
        self._passed_over = False
        self._one_at_a_time = asyncio.Lock()

    @property
    def behind(self) -> bool:
        """Whether something is not on the disk."""
        return self._dirty.is_set()

    def touch(self) -> None:
        """Something has changed."""
        self._dirty.set()

    def begin(self) -> None:
        """There is something to save from now on; what changed before is saved, too."""
        if self._passed_over:
            self.touch()

    async def save(self) -> bool:
        """Save now what is the case now; whether the disk has it. What was begun is ended, also when cancelled."""
        async with self._one_at_a_time:
            self._dirty.clear()
            current = self._current()
            if current is None:
                self._passed_over = True
                return True
            if await _to_the_end(asyncio.to_thread(self._folder.save, *current)):
                self._saved(current[0])
                return True
            self._dirty.set()
            return False

    async def run(self) -> None:
        """Save whenever something has changed. Never returns by itself."""
        retry = FIRST_RETRY
        while True:
            await self._dirty.wait()
            began = self._world.monotonic()
            if await self.save():
                retry = FIRST_RETRY
                pause = min(LONGEST_PAUSE, SHARE * (self._world.monotonic() - began))
            else:
                pause, retry = retry, min(LONGEST_RETRY, retry * 2)
            await self._world.sleep(pause)


async def _to_the_end(work: Coroutine[None, None, bool]) -> bool:
    """The result; nobody takes away under a thread what it works on."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise

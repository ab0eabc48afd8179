"""Brings to the disk what has changed in memory, as fast as the disk takes it: what changed meanwhile goes together.

One that takes nothing is tried again, less and less often. A save that has begun is finished, even when whoever waits
for it is not there any more.
"""

import asyncio
from collections.abc import Awaitable, Callable

FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0
"""Seconds between two tries at a disk that takes nothing."""


class DiskFollower:
    """Calls `write`, which says whether the disk has taken what was not on it; `sleep` is the world's."""

    def __init__(self, write: Callable[[], Awaitable[bool]], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._write = write
        self._sleep = sleep
        self._behind = asyncio.Event()
        self._saving: asyncio.Task[bool] | None = None

    def touch(self) -> None:
        """Something has changed."""
        self._behind.set()

    async def keep(self) -> None:
        """Save whenever something has changed. Never returns by itself."""
        retry = FIRST_RETRY
        while True:
            await self._behind.wait()
            if await self.save():
                retry = FIRST_RETRY
            else:
                await self._sleep(retry)
                retry = min(LONGEST_RETRY, retry * 2)

    async def finish(self) -> None:
        """Save what isn't, if the disk takes it."""
        while self._behind.is_set() or self._saving is not None:
            if not await self.save():
                return

    async def save(self) -> bool:
        """Save what isn't, or wait until that is done; whether the disk has it."""
        self._saving = self._saving or asyncio.create_task(self._save())
        return await asyncio.shield(self._saving)

    async def _save(self) -> bool:
        self._behind.clear()
        try:
            if await self._write():
                return True
            self._behind.set()
            return False
        finally:
            self._saving = None

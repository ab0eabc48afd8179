"""Work that goes on at the same time until the first of it is done."""

import asyncio
from collections.abc import Awaitable


async def is_set(event: asyncio.Event) -> None:
    """Wait for an event."""
    await event.wait()


async def first_of(*work: Awaitable[None]) -> None:
    """Run all until the first ends, end the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()

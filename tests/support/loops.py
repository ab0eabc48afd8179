"""Tests that are coroutines, each in an event loop of its own."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec

P = ParamSpec("P")


def in_a_loop(story: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run it to its end, a minute at most."""

    @functools.wraps(story)
    def test(*arguments: P.args, **named: P.kwargs) -> None:
        asyncio.run(_within(story(*arguments, **named)))

    return test


async def _within(story: Awaitable[None]) -> None:
    async with asyncio.timeout(60):
        await story


async def until(condition: Callable[[], object]) -> None:
    """Wait for what tells nobody."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - threads, disks and peers set no event of ours
            await asyncio.sleep(0.002)

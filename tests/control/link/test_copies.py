"""Turns: few at once, one of each outpost, the outposts in turn; whoever goes away leaves nobody waiting."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import pytest

from control.link import copies as copies_module
from control.link.copies import Copies, Turn

A, B, C = (UUID(int=number) for number in range(3))


def play(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 5))


async def settled() -> None:
    """All that can go on has."""
    for _ in range(5):
        await asyncio.sleep(0)


class Stage:
    """Streams that take turns, and who has one."""

    def __init__(self, most: int) -> None:
        self.copies = Copies(most)
        self.order: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def wait(self, name: str, outpost: UUID) -> None:
        self.tasks[name] = asyncio.create_task(self._take(name, outpost))
        await settled()

    async def _take(self, name: str, outpost: UUID) -> None:
        await self.copies.take(outpost)
        self.order.append(name)

    async def give_back(self, outpost: UUID) -> None:
        self.copies.give_back(outpost)
        await settled()


def test_one_of_each_outpost_and_the_outposts_in_turn() -> None:
    async def story() -> None:
        stage = Stage(2)
        for name, outpost in (("a1", A), ("a2", A), ("a3", A), ("b1", B), ("b2", B), ("c1", C)):
            await stage.wait(name, outpost)
        assert stage.order == ["a1", "b1"]
        await stage.give_back(A)
        for outpost in (B, C, A):
            await stage.give_back(outpost)
        assert stage.order == ["a1", "b1", "c1", "a2", "b2", "a3"]

    play(story)


def test_who_comes_late_is_before_the_second_of_another() -> None:
    async def story() -> None:
        stage = Stage(1)
        for number in range(20):
            await stage.wait(f"a{number}", A)
        await stage.wait("b", B)
        await stage.give_back(A)
        await stage.give_back(B)
        assert stage.order == ["a0", "b", "a1"]

    play(story)


@pytest.mark.parametrize("when", ["while it waits", "as it gets its turn"])
def test_who_goes_away_leaves_nobody_waiting(when: str) -> None:
    async def story() -> None:
        stage = Stage(1)
        await stage.wait("a", A)
        await stage.wait("b", B)
        await stage.wait("c", C)
        if when == "while it waits":
            stage.tasks["b"].cancel()
            await settled()
            stage.copies.give_back(A)
        else:
            stage.copies.give_back(A)
            stage.tasks["b"].cancel()
        await settled()
        assert stage.order == ["a", "c"]

    play(story)


def test_a_turn_is_taken_once_and_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies_module, "TURN_SECONDS", 0.01)

    async def story() -> None:
        copies = Copies(1)
        first, second = Turn(copies, A), Turn(copies, B)
        await first.take()
        await first.take()
        await second.take()
        first.give_back()
        second.give_back()
        await first.take()

    play(story)


def test_a_turn_that_was_not_taken_is_not_given_back() -> None:
    async def story() -> None:
        copies = Copies(1)
        has, has_not = Turn(copies, A), Turn(copies, A)
        await has.take()
        has_not.give_back()
        waiting = asyncio.create_task(has_not.take())
        await settled()
        assert not waiting.done()
        has.give_back()
        await waiting

    play(story)

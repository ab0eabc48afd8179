"""How the directory comes to the workers: whole, in parts, with what changes meanwhile, and again after trouble."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from dataplane.link.directory import DirectoryChange
from dataplane.link.journal import Journal
from dataplane.link.messages import Position
from dataplane.link.world import World
from dataplane.runtime import feed
from dataplane.runtime.directory import HeldDirectory
from dataplane.runtime.feed import DirectoryFeed
from tests.dataplane.runtime.actors import Actor, until

Story = Callable[[HeldDirectory, DirectoryFeed], Coroutine[None, None, None]]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "PORTION", 2)
    monkeypatch.setattr(feed, "_RETRY", 0.0)


def play(folder: Path, story: Story) -> None:
    async def run() -> None:
        directory = HeldDirectory(Journal(folder / "directory", b"k" * 32, os.urandom), World())
        couriers = DirectoryFeed(directory)
        await story(directory, couriers)
        for slot in range(2):
            couriers.left(slot)

    asyncio.run(asyncio.wait_for(run(), 10))


def change(revision: int, *keys: str, removed: tuple[str, ...] = (), whole: bool = False) -> DirectoryChange:
    changed = {key: f"{key} {revision}".encode() for key in keys}
    return DirectoryChange(position=Position("e", revision), changed=changed, removed=frozenset(removed), whole=whole)


EVERYTHING = ("user/a", "user/b", "user/c", "group/g")


def shown(actor: Actor) -> list[tuple[list[str], tuple[str, ...], bool, bool]]:
    return [([each.decode() for each in p.entries], p.removed, p.begins, p.complete) for p in actor.parts]


def test_a_worker_gets_a_whole_copy_when_it_asks_and_changes_from_then_on(tmp_path: Path) -> None:
    async def story(directory: HeldDirectory, couriers: DirectoryFeed) -> None:
        actor = Actor(0)
        directory.apply(change(1, *EVERYTHING, whole=True))
        couriers.joined(actor)
        assert couriers.waiting == "the directory is being read", "nobody serves yet"
        directory.apply(change(2, "user/a"))
        couriers.welcomed(0)
        assert couriers.waiting == "", "it asked for nothing"
        couriers.wanted(0)
        assert couriers.waiting == "the directory is being read"
        await until(lambda: not couriers.waiting)
        assert shown(actor) == [
            (["group/g 1", "user/a 2"], (), True, False),
            (["user/b 1", "user/c 1"], (), False, True),
        ]
        actor.parts.clear()
        directory.apply(change(3, "user/b", "group/g", "user/d", removed=("user/a",)))
        await until(lambda: len(actor.parts) == 2)
        assert shown(actor) == [
            (["group/g 3"], ("user/a",), False, True),
            (["user/b 3", "user/d 3"], (), False, True),
        ]
        assert couriers.waiting == ""

    play(tmp_path, story)


def test_what_changes_while_a_copy_is_on_its_way_is_part_of_it(tmp_path: Path) -> None:
    async def story(directory: HeldDirectory, couriers: DirectoryFeed) -> None:
        actor = Actor(0, slow=True)
        directory.apply(change(1, *EVERYTHING, whole=True))
        couriers.joined(actor)
        couriers.wanted(0)
        await asyncio.sleep(0.01)
        directory.apply(change(2, "user/a", "user/c", "user/d", removed=("user/b",)))
        actor.released.set()
        await until(lambda: not couriers.waiting)
        assert shown(actor) == [
            (["group/g 1", "user/a 1"], (), True, False),
            (["user/c 2"], ("user/b",), False, False),
            (["user/a 2", "user/d 2"], (), False, True),
        ]

    play(tmp_path, story)


def test_before_control_has_sent_one_there_is_nothing_to_bring(tmp_path: Path) -> None:
    async def story(directory: HeldDirectory, couriers: DirectoryFeed) -> None:
        actor = Actor(0)
        couriers.joined(actor)
        couriers.wanted(0)
        await asyncio.sleep(0.01)
        assert couriers.waiting == "no directory yet: waiting for control"
        assert not actor.parts
        directory.apply(change(1, whole=True))
        await until(lambda: not couriers.waiting)
        assert shown(actor) == [([], (), True, True)]

    play(tmp_path, story)


def test_who_has_had_it_serves_on_while_it_comes_again(tmp_path: Path) -> None:
    async def story(directory: HeldDirectory, couriers: DirectoryFeed) -> None:
        actor = Actor(0)
        directory.apply(change(1, *EVERYTHING, whole=True))
        couriers.joined(actor)
        couriers.wanted(0)
        couriers.welcomed(0)
        await until(lambda: not couriers.waiting)
        couriers.wanted(0)
        assert not couriers.waiting
        await until(lambda: len(actor.parts) == 4)

    play(tmp_path, story)


def test_who_asks_again_gets_it_from_the_beginning(tmp_path: Path) -> None:
    async def story(directory: HeldDirectory, couriers: DirectoryFeed) -> None:
        actor = Actor(0, slow=True)
        directory.apply(change(1, *EVERYTHING, whole=True))
        couriers.joined(actor)
        couriers.wanted(0)
        await asyncio.sleep(0.01)
        couriers.wanted(0)
        actor.released.set()
        await until(lambda: not couriers.waiting)
        assert [(part.begins, part.complete) for part in actor.parts] == [(True, False), (True, False), (False, True)]

    play(tmp_path, story)


def test_a_worker_that_fails_gets_it_anew_and_a_new_one_has_to_ask(tmp_path: Path) -> None:
    async def story(directory: HeldDirectory, couriers: DirectoryFeed) -> None:
        failing, other = Actor(0, fails_on="once"), Actor(1)
        directory.apply(change(1, *EVERYTHING, whole=True))
        couriers.joined(failing)
        couriers.joined(other)
        couriers.wanted(0)
        couriers.welcomed(1)
        await until(lambda: not couriers.waiting)
        assert [(part.begins, part.complete) for part in failing.parts] == [(True, False), (True, False), (False, True)]
        assert not other.parts
        couriers.left(0)
        assert couriers.waiting
        successor = Actor(0)
        couriers.joined(successor)
        directory.apply(change(2, "user/z"))
        couriers.wanted(0)
        couriers.welcomed(0)
        assert couriers.waiting
        await until(lambda: not couriers.waiting)
        assert [each.entries[-1] for each in successor.parts] == [b"user/a 1", b"user/c 1", b"user/z 2"]
        couriers.wanted(5)

    play(tmp_path, story)

"""When the state is saved: at every change, but not all of the time, and again until the disk has taken it."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dataplane.link.state import Saved, StateFolder
from dataplane.link.world import World
from dataplane.runtime.saving import FIRST_RETRY, LONGEST_PAUSE, LONGEST_RETRY, Saver


@dataclass
class Time:
    """Passes when the story says so."""

    now: float = 0.0
    naps: list[float] = field(default_factory=list)
    awake: asyncio.Event = field(default_factory=asyncio.Event)

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.awake.clear()
        await self.awake.wait()


@dataclass
class Stage:
    """A saver of a number that counts up."""

    path: Path
    time: Time
    saver: Saver
    told: list[int]
    revision: int = 1

    def saved(self) -> int:
        folder = StateFolder(self.path.with_name("look"), os.urandom)
        try:
            (self.path.with_name("look") / "state").write_bytes((self.path / "state").read_bytes())
            found = folder.load("t")
        finally:
            folder.close()
        return found.revision if found else 0


def play(path: Path, story: Callable[[Stage], Coroutine[None, None, None]], takes: float = 0.0) -> None:
    async def run() -> None:
        time = Time()

        def current() -> tuple[Saved, tuple[str, ...]]:
            time.now += takes
            return Saved(revision=stage.revision, resources=()), ("t",)

        folder = StateFolder(path, os.urandom)
        world = World(monotonic=lambda: time.now, sleep=time.sleep)
        told: list[int] = []
        saver = Saver(folder, current, world, lambda saved: told.append(saved.revision))
        stage = Stage(path, time, saver, told)
        running = asyncio.create_task(stage.saver.run())
        await story(stage)
        running.cancel()
        folder.close()

    asyncio.run(asyncio.wait_for(run(), 10))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  a thread saves, and tells nobody
        await asyncio.sleep(0.001)


def test_changes_that_come_while_it_rests_are_saved_once(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.saver.touch()
        await until(lambda: len(stage.time.naps) == 1)
        for stage.revision in range(2, 50):
            stage.saver.touch()
        assert stage.saved() == 1
        stage.time.awake.set()
        await until(lambda: len(stage.time.naps) == 2)
        assert stage.saved() == 49
        assert not stage.saver.behind
        assert stage.time.naps == [20.0, 20.0]

    play(tmp_path / "state", story, takes=5.0)


def test_a_rest_has_an_end(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.saver.touch()
        await until(lambda: len(stage.time.naps) == 1)
        assert stage.time.naps == [LONGEST_PAUSE]

    play(tmp_path / "state", story, takes=100.0)


def test_what_the_disk_does_not_take_is_tried_again_without_another_change(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("in the way")

    async def story(stage: Stage) -> None:
        stage.saver.touch()
        for tries in range(1, 9):
            await until(lambda tries=tries: len(stage.time.naps) == tries)  # type: ignore[misc]  # a lambda's default
            assert stage.saver.behind
            stage.time.awake.set()
        await until(lambda: len(stage.time.naps) == 9)
        assert stage.time.naps[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
        assert stage.time.naps[-1] == LONGEST_RETRY
        path.unlink()
        stage.time.awake.set()
        await until(lambda: len(stage.time.naps) == 10)
        assert stage.saved() == 1
        assert not stage.saver.behind

    play(path, story)


@pytest.mark.parametrize("works", [True, False])
def test_it_says_whether_the_disk_has_it(tmp_path: Path, *, works: bool) -> None:
    path = tmp_path / "state"
    if not works:
        path.write_text("in the way")

    async def story(stage: Stage) -> None:
        assert await stage.saver.save() is works
        assert stage.saver.behind is not works
        assert stage.told == ([1] if works else [])

    play(path, story)


class SlowFolder(StateFolder):
    """Takes its time to save."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, os.urandom)
        self.begun, self.may_end = threading.Event(), threading.Event()

    def save(self, saved: Saved, tokens: tuple[str, ...]) -> bool:
        self.begun.set()
        assert self.may_end.wait(30)
        return super().save(saved, tokens)


def test_who_ends_waits_for_what_is_being_saved(tmp_path: Path) -> None:
    """Its folder is closed next: half a save would be none, and nobody would know of it."""

    async def run() -> bool:
        folder = SlowFolder(tmp_path / "state")
        saver = Saver(folder, lambda: (Saved(revision=2, resources=()), ("t",)), World())
        saver.touch()
        running = asyncio.create_task(saver.run())
        await asyncio.to_thread(folder.begun.wait, 30)
        running.cancel()
        await asyncio.wait({running}, timeout=0.1)
        was_waiting = not running.done()
        folder.may_end.set()
        await asyncio.wait({running})
        assert running.cancelled()
        found = folder.load("t")
        folder.close()
        assert found is not None
        return was_waiting and found.revision == 2

    assert asyncio.run(run())


def test_what_changes_before_there_is_a_state_is_saved_with_it(tmp_path: Path) -> None:
    """As a certificate does, on a machine where the link stands before the last good state is in force."""
    found: list[Saved] = []

    async def run() -> None:
        folder = StateFolder(tmp_path / "state", os.urandom)
        saver = Saver(folder, lambda: (found[0], ("t",)) if found else None, World())
        saver.begin()
        assert not saver.behind
        saver.touch()
        assert await saver.save()
        assert folder.load("t") is None
        found.append(Saved(revision=3, resources=()))
        saver.begin()
        running = asyncio.create_task(saver.run())
        async with asyncio.timeout(30):
            while folder.load("t") != found[0]:  # noqa: ASYNC110 - a disk says nothing
                await asyncio.sleep(0.005)
        running.cancel()
        folder.close()

    asyncio.run(run())

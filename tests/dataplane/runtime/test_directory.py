"""The directory of an outpost: who is told of what, and how the disk follows."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dataplane.link.directory import DirectoryChange
from dataplane.link.disk import FIRST_RETRY, LONGEST_RETRY
from dataplane.link.journal import Journal
from dataplane.link.messages import Position
from dataplane.link.world import World
from dataplane.runtime.directory import HeldDirectory

KEY = b"k" * 32


def at(revision: int) -> Position:
    return Position("e", revision)


def change(revision: int, changed: dict[str, bytes], *removed: str, whole: bool = False) -> DirectoryChange:
    return DirectoryChange(position=at(revision), changed=changed, removed=frozenset(removed), whole=whole)


def held(folder: Path, world: World | None = None) -> HeldDirectory:
    return HeldDirectory(Journal(folder / "directory", KEY, os.urandom), world or World())


@dataclass
class Mirror:
    """Does what it is told and nothing else."""

    entries: dict[str, bytes] = field(default_factory=dict)
    told: int = 0

    def __call__(self, changed: Mapping[str, bytes], removed: frozenset[str]) -> None:
        self.told += 1
        self.entries.update(changed)
        for key in removed:
            del self.entries[key]


def play(story: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 10))


async def saved(directory: HeldDirectory, folder: Path, wanted: Position) -> None:
    """Wait until the next process would find that."""
    while held(folder).position != wanted:  # noqa: ASYNC110 - what is waited for is on a disk
        await asyncio.sleep(0.005)
    assert held(folder).entries == directory.entries


def test_observers_are_told_all_and_then_each_change(tmp_path: Path) -> None:
    async def story() -> None:
        directory, mirror = held(tmp_path), Mirror()
        directory.apply(change(1, {"a": b"1", "b": b"2"}, whole=True))
        directory.observe(mirror)
        directory.apply(change(2, {"c": b"3"}, "a"))
        directory.apply(change(3, {"b": b"2", "d": b"4"}, whole=True))
        assert mirror.entries == directory.entries == {"b": b"2", "d": b"4"}
        assert (directory.position, mirror.told) == (at(3), 3)
        assert directory.gauges == {
            "garrison_outpost_directory_entries": 2,
            "garrison_outpost_directory_bytes": 2,
            "garrison_outpost_directory_unsaved": False,
        }
        directory.apply(change(4, {"b": b"2"}, "unknown"))
        directory.apply(change(5, {"b": b"2", "d": b"4"}, whole=True))
        assert (directory.position, mirror.told) == (at(5), 3)

    play(story)


def test_the_disk_follows_and_the_next_process_goes_on_from_there(tmp_path: Path) -> None:
    async def story() -> None:
        directory = held(tmp_path)
        keeping = asyncio.create_task(directory.keep())
        directory.apply(change(1, {f"user/{number}": b"x" * 50 for number in range(100)}, whole=True))
        await saved(directory, tmp_path, at(1))
        for revision in range(2, 30):
            directory.apply(change(revision, {f"user/{revision}": b"new"}, f"user/{revision + 50}"))
            if revision % 7 == 0:
                await saved(directory, tmp_path, at(revision))
        directory.apply(change(31, {}))
        await saved(directory, tmp_path, at(31))
        keeping.cancel()

    play(story)


def test_what_is_not_saved_at_the_end_is_saved_then(tmp_path: Path) -> None:
    async def story() -> None:
        directory = held(tmp_path)
        directory.apply(change(1, {"a": b"1"}, whole=True))
        keeping = asyncio.create_task(directory.keep())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        # In the middle of a save, whose thread goes on.
        keeping.cancel()
        directory.apply(change(2, {"b": b"2"}))
        await directory.finish()
        assert held(tmp_path).entries == {"a": b"1", "b": b"2"}
        await directory.finish()

    play(story)


def test_a_disk_that_takes_nothing_is_tried_again_and_loses_nothing(tmp_path: Path) -> None:
    folder, naps = tmp_path / "away", list[float]()

    async def story() -> None:
        seen = asyncio.Event()

        async def sleep(seconds: float) -> None:
            naps.append(seconds)
            if len(naps) == 9:
                folder.mkdir()
            await seen.wait()

        directory, mirror = held(folder, World(sleep=sleep)), Mirror()
        directory.observe(mirror)
        keeping = asyncio.create_task(directory.keep())
        directory.apply(change(1, {"a": b"1", "b": b"2"}, whole=True))
        while not naps:  # noqa: ASYNC110 - what is waited for is another task's
            await asyncio.sleep(0.001)
        directory.apply(change(2, {}, "a"))
        assert mirror.entries == {"b": b"2"}
        assert "can't be saved" in directory.error
        assert directory.gauges["garrison_outpost_directory_unsaved"]
        seen.set()
        await saved(directory, folder, at(2))
        # What is on the disk is noted as such a moment later.
        while directory.error:  # noqa: ASYNC110 - what is waited for is another task's
            await asyncio.sleep(0.001)
        keeping.cancel()
        assert naps == [FIRST_RETRY, 2, 4, 8, 16, 32, LONGEST_RETRY, LONGEST_RETRY, LONGEST_RETRY]

    play(story)


def test_a_disk_that_takes_nothing_holds_up_no_end(tmp_path: Path) -> None:
    async def story() -> None:
        directory = held(tmp_path / "away")
        directory.apply(change(1, {"a": b"1"}, whole=True))
        await directory.finish()
        assert directory.error

    play(story)


def test_a_change_of_most_entries_is_written_as_a_whole(tmp_path: Path) -> None:
    async def story() -> None:
        directory = held(tmp_path)
        directory.apply(change(1, {f"user/{number}": b"x" * 50 for number in range(100)}, whole=True))
        await directory.finish()
        before = (tmp_path / "directory").stat()
        directory.apply(change(2, {"user/1": b"y" * 50}))
        await directory.finish()
        assert (tmp_path / "directory").stat().st_ino == before.st_ino
        directory.apply(change(3, {f"user/{number}": b"z" * 50 for number in range(60)}))
        await directory.finish()
        assert (tmp_path / "directory").stat().st_ino != before.st_ino
        assert (tmp_path / "directory").stat().st_size < before.st_size + 100
        assert held(tmp_path).entries == directory.entries

    play(story)

"""The users and groups that an LDAP outpost holds: in memory, told to whoever serves them, and on disk.

Memory is what counts: a change is in force, and may be answered, before the disk has it. The disk follows as fast as it
can, with what changed meanwhile taken together; one that takes nothing costs a warning, and what was new since at the
next start.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from dataplane.link.directory import DirectoryChange
from dataplane.link.disk import DiskFollower
from dataplane.link.journal import Journal
from dataplane.link.messages import Position
from dataplane.link.world import World

Observer = Callable[[Mapping[str, bytes], frozenset[str]], None]
"""Told of each change, and of the first copy: entries that are new or different by key, and keys that are gone."""


class HeldDirectory:
    """The directory of one outpost."""

    def __init__(self, journal: Journal, world: World) -> None:
        """Loads what is on disk, which takes a while for a large one."""
        self._journal = journal
        self._directory = journal.load()
        self._observers: list[Observer] = []
        self._unsaved: set[str] = set()
        self._disk = DiskFollower(self._write, world.sleep)

    @property
    def position(self) -> Position | None:
        """How far control's feed is held; None where there is none of it yet."""
        return self._directory.position

    @property
    def entries(self) -> Mapping[str, bytes]:
        """The entries of now, by key."""
        return self._directory.entries

    @property
    def gauges(self) -> dict[str, float]:
        """How it is, by the names of metrics."""
        return {
            "garrison_outpost_directory_entries": len(self._directory.entries),
            "garrison_outpost_directory_bytes": self._directory.size,
            "garrison_outpost_directory_unsaved": bool(self._journal.error),
        }

    @property
    def error(self) -> str:
        """What is wrong with the disk, empty while nothing is."""
        return self._journal.error

    def observe(self, observer: Observer) -> None:
        """Tell an observer all that is held, and then each change."""
        self._observers.append(observer)
        observer(self._directory.entries, frozenset())

    def apply(self, change: DirectoryChange) -> None:
        """Make a change of control's. Raises LinkBroken where that is too much to hold."""
        is_first = self._directory.position is None
        news = self._directory.apply(change)
        self._unsaved.update(news.changed, news.removed)
        self._disk.touch()
        if news.changed or news.removed or is_first:
            for observer in self._observers:
                observer(news.changed, news.removed)

    async def keep(self) -> None:
        """Save whenever something has changed. Never returns by itself."""
        await self._disk.keep()

    async def finish(self) -> None:
        """Save what isn't, if the disk takes it."""
        await self._disk.finish()

    async def _write(self) -> bool:
        keys, self._unsaved = self._unsaved, set()
        if await asyncio.to_thread(self._work(keys)):
            return True
        self._unsaved |= keys
        return False

    def _work(self, keys: set[str]) -> Callable[[], bool]:
        """What brings the disk to the present, in which these keys differ from what is there."""
        position, entries = self._directory.position, self._directory.entries
        if position is None:
            return lambda: True
        if self._journal.wants_all or len(keys) > len(entries) / 2:
            return partial(self._journal.rewrite, position, dict(entries))
        changed = {key: entries[key] for key in keys if key in entries}
        change = DirectoryChange(position=position, changed=changed, removed=frozenset(keys - changed.keys()))
        return partial(self._journal.append, change)

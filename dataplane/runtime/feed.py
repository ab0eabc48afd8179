"""Brings the directory to the workers that serve it: whole to each that asks, in parts, and then every change.

A worker asks when it needs a copy: when it is new, and when what it serves has changed. It answers each part when it
has taken it, so that never more than one is on the way; what changes meanwhile is sent as it is when its turn comes.
Groups come before users, so that who is in them finds them there.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import islice

from dataplane.runtime.directory import HeldDirectory
from dataplane.runtime.messages import DirectoryTaken, TakeDirectory
from dataplane.runtime.process import Worker, WorkerGone

PORTION = 500
"""Entries in one part."""
_DEADLINE = 120.0
"""Seconds for a worker to take a part; whether it lives is asked otherwise."""
_RETRY = 1.0
log = logging.getLogger("dataplane.workers")


class _Stage(Enum):
    """How far a worker has come: it may need nothing; a copy is to begin, or has begun; it follows changes."""

    UNASKED = "unasked"
    BEGINNING = "beginning"
    COPYING = "copying"
    FOLLOWING = "following"


class Courier:
    """Brings it to one worker. `ready` once that has had all of it, or serves without having asked."""

    def __init__(self, worker: Worker, directory: HeldDirectory) -> None:
        self._worker = worker
        self._directory = directory
        self._due: dict[str, None] = {}
        """Keys of what is to be sent, in this order."""
        self._some_due = asyncio.Event()
        self._stage = _Stage.UNASKED
        self.ready = False

    def restart(self) -> None:
        """Send all there is, from the beginning."""
        self.ready = self.ready and self._stage is not _Stage.UNASKED
        self._stage = _Stage.BEGINNING
        self._due = dict.fromkeys(sorted(self._directory.entries))
        self._some_due.set()

    def welcome(self) -> None:
        """The worker serves; what it needs for that, it has asked for."""
        self.ready = self._stage is _Stage.UNASKED

    def note(self, keys: Iterable[str]) -> None:
        """These have changed."""
        if self._stage is not _Stage.UNASKED:
            self._due.update(dict.fromkeys(keys))
            self._some_due.set()

    async def run(self) -> None:
        """Send whatever is due. Never returns by itself."""
        while True:
            await self._some_due.wait()
            # Of the first copy of control's it is told.
            if self._directory.position is None:
                self._some_due.clear()
                continue
            reason = await self._send()
            if reason:
                fields = {"worker": self._worker.slot, "reason": reason}
                log.warning("a worker did not take the directory", extra=fields)
                await asyncio.sleep(_RETRY)
                self.restart()

    async def _send(self) -> str:
        """Send the next part; what went wrong with it."""
        keys = [*islice(self._due, PORTION)]
        for key in keys:
            del self._due[key]
        entries = self._directory.entries
        begins = self._stage is _Stage.BEGINNING
        if begins:
            self._stage = _Stage.COPYING
        complete = not self._due or self._stage is _Stage.FOLLOWING
        if not self._due:
            self._some_due.clear()
        changed = tuple(entries[key] for key in keys if key in entries)
        removed = tuple(key for key in keys if key not in entries)
        try:
            answer = await self._worker.ask(
                lambda serial: TakeDirectory(
                    serial=serial, entries=changed, removed=removed, begins=begins, complete=complete
                ),
                _DEADLINE,
            )
        except WorkerGone as error:
            return str(error)
        reason = answer.reason if isinstance(answer, DirectoryTaken) else "it answered something else"
        # It may have asked anew meanwhile.
        if complete and not reason and self._stage is not _Stage.BEGINNING:
            self._stage, self.ready = _Stage.FOLLOWING, True
        return reason


class DirectoryFeed:
    """The couriers of all workers."""

    def __init__(self, directory: HeldDirectory) -> None:
        self._directory = directory
        self._couriers: dict[int, tuple[Courier, asyncio.Task[None]]] = {}
        directory.observe(self._changed)

    @property
    def waiting(self) -> str:
        """What workers wait for; empty where each has had all that it needs."""
        if all(courier.ready for courier, _ in self._couriers.values()):
            return ""
        if self._directory.position is None:
            return "no directory yet: waiting for control"
        return "the directory is being read"

    def joined(self, worker: Worker) -> None:
        """A worker has started."""
        self._cancel(worker.slot)
        courier = Courier(worker, self._directory)
        self._couriers[worker.slot] = courier, asyncio.create_task(courier.run())

    def welcomed(self, slot: int) -> None:
        """It serves now."""
        self._couriers[slot][0].welcome()

    def left(self, slot: int) -> None:
        """It has ended; until another has come, its place counts as one that waits."""
        self._cancel(slot)
        if slot in self._couriers:
            self._couriers[slot][0].ready = False

    def _cancel(self, slot: int) -> None:
        if slot in self._couriers:
            self._couriers[slot][1].cancel()

    def wanted(self, slot: int) -> None:
        """A worker asks for all there is."""
        if slot in self._couriers:
            self._couriers[slot][0].restart()

    def _changed(self, changed: Mapping[str, bytes], removed: frozenset[str]) -> None:
        keys = sorted((*changed, *removed))
        for courier, _ in self._couriers.values():
            courier.note(keys)

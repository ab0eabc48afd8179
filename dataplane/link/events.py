"""Events on disk that wait for control: files of sealed records, the oldest first, bounded all together.

What is appended counts once the disk has it, so a kill or a power cut costs nothing of it. A file goes when control has
all of it; after a crash in between it is told once more, and control knows each event by its id. When there is no room
the oldest file goes, and an event says how many were lost with it; what is damaged is told of likewise. The id of such
an event follows from the file: whatever happens in between, the loss is told once. Blocking: for a thread, one call at
a time.
"""

import logging
import re
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dataplane.gate import Event, EventAction
from dataplane.link import sealed
from dataplane.link.sealed import OVERHEAD, SealedFile, Unreadable

MAGIC = b"garrison-outpost-events 1\n"
MAX_BYTES = 50 * 1024 * 1024
RECORD_EVENTS = 1_000
NO_ROOM = "there was no room for more events"
DAMAGED = "a file of events was damaged; how many there were is not known"
_FILE_BYTES = 1024 * 1024
# Of the limit: so much goes at once where there is no room.
_SHARE = 8
_NAME = re.compile(r"events-([0-9]{10})")
_SET_ASIDE = "events.damaged"
_LOSSES = uuid.UUID("b0b5e1fc-6d0c-4f0e-9a3b-7d2f0f0c5a11")
log = logging.getLogger("dataplane.link.state")


@dataclass(slots=True, kw_only=True, eq=False)
class _Part:
    """One file with its bytes and events; `open` while it is appended to."""

    file: SealedFile
    number: int
    size: int
    count: int
    open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """What a file holds, as far as it is good; `name` tells it from all others."""

    events: list[Event]
    name: str
    damaged: bool


class EventJournal:
    """The files in the state folder. `error` says what is wrong with the disk, `lost` counts events that are gone."""

    def __init__(self, folder: Path, key: bytes, random: Callable[[int], bytes], limit: int = MAX_BYTES) -> None:
        self._folder = folder
        self._key = key
        self._random = random
        self._limit = limit
        self._parts = self._find_parts()
        self._next = self._parts[-1].number + 1 if self._parts else 1
        # Of the first part what control hasn't got; empty before it is looked at.
        self._first: deque[Event] = deque()
        self.error = ""
        self.lost = 0

    @property
    def empty(self) -> bool:
        """Whether nothing waits here."""
        return not self._parts

    @property
    def count(self) -> int:
        """Events on disk that control hasn't got."""
        return sum(part.count for part in tuple(self._parts))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(part.size for part in tuple(self._parts))

    def append(self, events: Sequence[Event], now: float) -> bool:
        """Add events, and make room for them; False when the disk won't have them: then none is added."""
        plain = [_packed(events[at : at + RECORD_EVENTS]) for at in range(0, len(events), RECORD_EVENTS)]
        over = self._find_excess(sum(len(each) + OVERHEAD for each in plain))
        losses = [self._loss_of(part, now) for part in over]
        try:
            # First said, then done: a crash in between leaves the same to be done and said again.
            self._write([*plain, _packed(losses)] if losses else plain, len(events) + len(losses))
        except OSError as error:
            self._lament(error)
            return False
        for part, loss in zip(over, losses, strict=True):
            self.lost += loss.count
            log.warning("events are lost: there is no room for more", extra={"events": loss.count})
            self._drop(part)
        if self.error:
            self.error = ""
            log.info("events are saved again", extra={"folder": str(self._folder)})
        return True

    def first(self, now: float) -> Sequence[Event]:
        """The oldest events, those of one file; none when none wait."""
        while not self._first and self._parts:
            part = self._parts[0]
            # It goes as a whole: what comes from now on goes into another file.
            part.open = False
            contents = self._read(part)
            if not contents.events:
                self._set_aside(part)
            self._first.extend(contents.events)
            if contents.damaged:
                self._first.append(_loss(contents, now, 1, DAMAGED))
                self.lost += 1
            part.count = len(self._first)
            if not self._first:
                self._drop(part)
        return tuple(self._first)

    def remove(self, events: Iterable[Event]) -> None:
        """Control has these, of those that `first` gave."""
        gone = {event.id for event in events}
        if not self._first:
            return
        self._first = deque(event for event in self._first if event.id not in gone)
        self._parts[0].count = len(self._first)
        if not self._first:
            self._drop(self._parts[0])

    def _find_parts(self) -> deque[_Part]:
        """What the process before left."""
        try:
            named = [(path, _NAME.fullmatch(path.name)) for path in sorted(self._folder.iterdir())]
            found = [(path, int(match[1]), path.lstat().st_size) for path, match in named if match]
        except FileNotFoundError:
            return deque()
        except OSError as error:
            log.warning("the events that wait can't be read", extra={"folder": str(self._folder), "error": str(error)})
            return deque()
        parts = deque(_Part(file=self._file(path), number=number, size=size, count=0) for path, number, size in found)
        for part in parts:
            part.count = len(self._read(part).events)
        return parts

    def _file(self, path: Path) -> SealedFile:
        return SealedFile(path, MAGIC, self._key, self._random)

    def _find_excess(self, more: int) -> list[_Part]:
        """What has to go for so many bytes more: never what is on its way to control."""
        idle = list(self._parts)[1:] if self._first else list(self._parts)
        over = self.size + more - self._limit
        chosen: list[_Part] = []
        for part in idle:
            if over <= 0:
                break
            part.open = False
            chosen.append(part)
            over -= part.size
        return chosen

    def _loss_of(self, part: _Part, now: float) -> Event:
        """All of a file is lost, with what it told of losses."""
        contents = self._read(part)
        lost = sum(event.count if event.action is EventAction.EVENTS_LOST else 1 for event in contents.events)
        return _loss(contents, now, lost + contents.damaged, NO_ROOM)

    def _write(self, plain: list[bytes], count: int) -> None:
        last = self._parts[-1] if self._parts else None
        if last and last.open and last.file.good and last.size < min(_FILE_BYTES, self._limit // _SHARE):
            last.file.append(plain)
            last.size = last.file.good
            last.count += count
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._file(self._folder / f"events-{self._next:010}")
        file.replace(plain)
        self._parts.append(_Part(file=file, number=self._next, size=file.good, count=count, open=True))
        self._next += 1

    def _read(self, part: _Part) -> _Contents:
        """What of a file can be read."""
        events: list[Event] = []
        data, end = b"", 0
        try:
            data = part.file.read(2 * self._limit + 64 * 1024 * 1024)
            end = sealed.head(MAGIC)
            for plain, good in sealed.records(data, self._key, MAGIC):
                events += msgspec.msgpack.decode(plain, type=list[Event])
                end = good
        except (OSError, Unreadable, msgspec.MsgspecError) as error:
            log.warning("a file of events can't be read", extra={"file": str(part.file.path), "error": str(error)})
        return _Contents(
            events=events,
            name=data[: sealed.head(MAGIC)].hex() or part.file.path.name,
            damaged=end < len(data) or not events,
        )

    def _set_aside(self, part: _Part) -> None:
        try:
            part.file.set_aside(_SET_ASIDE)
        except OSError as error:
            log.warning("a file of events is left", extra={"file": str(part.file.path), "error": str(error)})

    def _drop(self, part: _Part) -> None:
        self._parts.remove(part)
        try:
            part.file.path.unlink(missing_ok=True)
        except OSError as error:
            # Told once more after the next start: control knows what it has.
            log.warning("a file of events is left", extra={"file": str(part.file.path), "error": str(error)})

    def _lament(self, error: OSError) -> None:
        if not self.error:
            log.warning("events can't be saved", extra={"folder": str(self._folder), "error": str(error)})
        self.error = f"events can't be saved: {error}"


def _packed(events: Sequence[Event]) -> bytes:
    return msgspec.msgpack.encode(events)


def _loss(contents: _Contents, now: float, count: int, reason: str) -> Event:
    ident = uuid.uuid5(_LOSSES, f"{contents.name} {reason}")
    return Event(id=str(ident), at=now, action=EventAction.EVENTS_LOST, reason=reason, count=count)

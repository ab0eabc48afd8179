"""The directory on disk: a sealed file with all entries as of a moment and, appended, what changed since.

Damage costs what comes after it, and needs no more care: what is before says how far it goes, and control leads on from
there. A file of which nothing is left is set aside. Blocking: for a thread, one call at a time.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dataplane.link import sealed
from dataplane.link.directory import MAX_BYTES, Directory, DirectoryChange
from dataplane.link.messages import Position
from dataplane.link.sealed import SealedFile, Unreadable

MAGIC = b"garrison-outpost-directory 1\n"
_RECORD_BYTES = 1024 * 1024
# Appending goes on until the file is twice as large as it need be: so each byte is written about twice.
_LEAST_APPENDED = 1024 * 1024
_MOST_READ = 4 * MAX_BYTES
log = logging.getLogger("dataplane.link.state")


class Record(msgspec.Struct, frozen=True, array_like=True):
    """Entries that are set or gone; with a position where that is reached, without one where more belongs to it."""

    position: Position | None
    changed: dict[str, bytes]
    removed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a file holds as far as it is good: `good` bytes, in so many records."""

    directory: Directory
    good: int
    records: int


def read(data: bytes, key: bytes) -> Contents:
    """What a file holds, up to the first byte that isn't good. Raises Unreadable."""
    directory, good, records = Directory(), sealed.head(MAGIC), 0
    pending: list[Record] = []
    for record, end in _records(data, key):
        pending.append(record)
        if record.position is not None:
            good, records = end, records + len(pending)
            _apply(directory, pending)
            pending.clear()
    if directory.position is None:
        raise Unreadable("it is damaged, or sealed with another key")
    return Contents(directory=Directory(directory.position, directory.entries), good=good, records=records)


def _records(data: bytes, key: bytes) -> Iterator[tuple[Record, int]]:
    for plain, end in sealed.records(data, key, MAGIC):
        try:
            record = msgspec.msgpack.decode(plain, type=Record)
        except (msgspec.MsgspecError, ValueError):
            return
        yield record, end


def _apply(directory: Directory, records: list[Record]) -> None:
    for record in records:
        for key in record.removed:
            directory.entries.pop(key, None)
        directory.entries.update(record.changed)
        directory.position = record.position


def _in_records(change: DirectoryChange) -> Iterator[Record]:
    """The change in records of bounded size, the last of which has the position."""
    some: dict[str, bytes] = {}
    size = 0
    for key, data in change.changed.items():
        if some and size + len(data) > _RECORD_BYTES:
            yield Record(None, some, [])
            some, size = {}, 0
        some[key] = data
        size += len(key) + len(data)
    yield Record(change.position, some, sorted(change.removed))


class Journal:
    """The file. `error` says what is wrong with it, empty while nothing is."""

    def __init__(self, path: Path, key: bytes, random: Callable[[int], bytes]) -> None:
        self._key = key
        self._file = SealedFile(path, MAGIC, key, random)
        # How much all entries take at once.
        self._base = 0
        self.error = ""

    @property
    def wants_all(self) -> bool:
        """Whether the next to be saved is all there is: nothing can be appended, or enough was."""
        return not self._file.good or self._file.good - self._base > max(self._base, _LEAST_APPENDED)

    def load(self) -> Directory:
        """What was saved; nothing, where that can't be used."""
        file = str(self._file.path)
        try:
            data = self._file.read(_MOST_READ)
            contents = read(data, self._key)
        except FileNotFoundError:
            return Directory()
        except Unreadable as error:
            self._set_aside(str(error))
            return Directory()
        except OSError as error:
            log.warning("the directory can't be read", extra={"file": file, "error": str(error)})
            return Directory()
        if contents.good < len(data):
            fields = {"file": file, "good": contents.good, "bytes": len(data)}
            log.warning("the end of the directory's file is damaged: it is fetched anew", extra=fields)
        self._file.go_on(data, contents.good, contents.records)
        self._base = contents.directory.size + sum(map(len, contents.directory.entries))
        return contents.directory

    def append(self, change: DirectoryChange) -> bool:
        """Add a change to what is saved; False when the disk won't have it."""
        return self._try(lambda: self._file.append(_sealable(change)))

    def rewrite(self, position: Position, entries: Mapping[str, bytes]) -> bool:
        """Save this in the place of all that is saved; False when the disk won't have it."""
        everything = DirectoryChange(position=position, changed=entries)
        done = self._try(lambda: self._file.replace(_sealable(everything)))
        if done:
            self._base = self._file.good
        return done

    def _try(self, work: Callable[[], None]) -> bool:
        fields = {"file": str(self._file.path)}
        try:
            work()
        except OSError as error:
            if not self.error:
                log.warning("the directory can't be saved", extra=fields | {"error": str(error)})
            self.error = f"the directory can't be saved: {error}"
            return False
        if self.error:
            self.error = ""
            log.info("the directory is saved again", extra=fields)
        return True

    def _set_aside(self, reason: str) -> None:
        target = f"{self._file.path.name}.damaged"
        fields = {"file": str(self._file.path), "reason": reason, "as": target}
        try:
            self._file.set_aside(target)
            log.warning("the directory's file is set aside", extra=fields)
        except OSError as error:
            log.warning("the directory's file can't be used", extra=fields | {"error": str(error)})


def _sealable(change: DirectoryChange) -> Iterator[bytes]:
    return map(msgspec.msgpack.encode, _in_records(change))

"""The directory on disk: a file with all entries as of a moment and, appended, what changed since, sealed in records.

Each record is sealed under the outpost's own key and bound to its file and its place there: none can be altered,
exchanged, doubled or left out. That the end is missing can't be told, and needn't be: what is before says how far it
goes, and control leads on from there. So a crash in the middle of an append, or damage anywhere, costs what comes after
it; a file of which nothing is left is set aside. Blocking: for a thread, one call at a time.
"""

import logging
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dataplane.link.directory import MAX_BYTES, Directory, DirectoryChange
from dataplane.link.messages import Position

_MAGIC = b"garrison-outpost-directory 1\n"
_NAME = 16
_HEADER = len(_MAGIC) + _NAME
_LENGTH = 4
_NONCE = 12
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


class Unreadable(Exception):
    """Nothing of the file can be used."""


def begun(name: bytes) -> bytes:
    """The first bytes of a file; `name` tells it from all others."""
    return _MAGIC + name


def seal(record: Record, key: bytes, place: tuple[bytes, int], nonce: bytes) -> bytes:
    """A record as bytes for the file of that name, as the one of that number."""
    sealed = nonce + AESGCM(key).encrypt(nonce, msgspec.msgpack.encode(record), _bound_to(place))
    return len(sealed).to_bytes(_LENGTH, "big") + sealed


def read(data: bytes, key: bytes) -> Contents:
    """What a file holds, up to the first byte that isn't good. Raises Unreadable."""
    if not data.startswith(_MAGIC):
        raise Unreadable("it is no file of the directory of this version")
    name = data[len(_MAGIC) : _HEADER]
    directory, good, records = Directory(), _HEADER, 0
    pending: list[Record] = []
    for record, end in _records(data, key, name):
        pending.append(record)
        if record.position is not None:
            good, records = end, records + len(pending)
            _apply(directory, pending)
            pending.clear()
    if directory.position is None:
        raise Unreadable("it is damaged, or sealed with another key")
    return Contents(directory=Directory(directory.position, directory.entries), good=good, records=records)


def _records(data: bytes, key: bytes, name: bytes) -> Iterator[tuple[Record, int]]:
    """The good records with where each ends."""
    view = memoryview(data)
    at, number = _HEADER, 0
    while at + _LENGTH < len(data):
        begin = at + _LENGTH
        end = begin + int.from_bytes(view[at:begin], "big")
        if end > len(data):
            return
        nonce, sealed = bytes(view[begin : begin + _NONCE]), view[begin + _NONCE : end]
        try:
            plain = AESGCM(key).decrypt(nonce, sealed, _bound_to((name, number)))
            record = msgspec.msgpack.decode(plain, type=Record)
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            return
        yield record, end
        at, number = end, number + 1


def _apply(directory: Directory, records: list[Record]) -> None:
    for record in records:
        for key in record.removed:
            directory.entries.pop(key, None)
        directory.entries.update(record.changed)
        directory.position = record.position


def _bound_to(place: tuple[bytes, int]) -> bytes:
    name, number = place
    return _MAGIC + name + number.to_bytes(8, "big")


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
        self._path = path
        self._key = key
        self._random = random
        # Of the file that can be appended to: which it is, how much of it is good, how much all entries take at once.
        self._inode = 0
        self._name = b""
        self._good = 0
        self._base = 0
        self._records = 0
        self.error = ""

    @property
    def wants_all(self) -> bool:
        """Whether the next to be saved is all there is: nothing can be appended, or enough was."""
        return not self._inode or self._good - self._base > max(self._base, _LEAST_APPENDED)

    def load(self) -> Directory:
        """What was saved; nothing, where that can't be used."""
        try:
            data, self._inode = _read(self._path)
            contents = read(data, self._key)
        except FileNotFoundError:
            return Directory()
        except Unreadable as error:
            self._set_aside(str(error))
            return Directory()
        except OSError as error:
            log.warning("the directory can't be read", extra={"file": str(self._path), "error": str(error)})
            return Directory()
        if contents.good < len(data):
            fields = {"file": str(self._path), "good": contents.good, "bytes": len(data)}
            log.warning("the end of the directory's file is damaged: it is fetched anew", extra=fields)
        self._name, self._records = data[len(_MAGIC) : _HEADER], contents.records
        self._good = contents.good
        self._base = contents.directory.size + sum(map(len, contents.directory.entries))
        return contents.directory

    def append(self, change: DirectoryChange) -> bool:
        """Add a change to what is saved; False when the disk won't have it."""
        return self._try(lambda: self._append(change))

    def rewrite(self, position: Position, entries: Mapping[str, bytes]) -> bool:
        """Save this in the place of all that is saved; False when the disk won't have it."""
        return self._try(lambda: self._rewrite(DirectoryChange(position=position, changed=entries)))

    def _try(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except OSError as error:
            if not self.error:
                fields = {"file": str(self._path), "error": str(error)}
                log.warning("the directory can't be saved", extra=fields)
            self.error = f"the directory can't be saved: {error}"
            return False
        if self.error:
            self.error = ""
            log.info("the directory is saved again", extra={"file": str(self._path)})
        return True

    def _append(self, change: DirectoryChange) -> None:
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            self._inode = 0
            raise
        with os.fdopen(descriptor, "wb") as file:
            self._check_same(descriptor)
            # What comes after may be half a record, of a crash or a full disk.
            os.ftruncate(descriptor, self._good)
            file.seek(self._good)
            try:
                records = self._write(file.write, change, self._records)
                file.flush()
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, self._good)
                raise
            self._good, self._records = file.tell(), self._records + records

    def _check_same(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if found.st_ino != self._inode or found.st_size < self._good:
            self._inode = 0
            raise OSError("somebody else has written the file")

    def _rewrite(self, everything: DirectoryChange) -> None:
        temporary = self._path.with_name(f".{self._path.name}.new")
        # Left by a crash, or laid there by somebody else: in either case not to be written through.
        temporary.unlink(missing_ok=True)
        self._inode, self._name = 0, self._random(_NAME)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(begun(self._name))
                self._records = self._write(file.write, everything, 0)
                file.flush()
                os.fsync(descriptor)
                self._good = self._base = file.tell()
                inode = os.fstat(descriptor).st_ino
            temporary.replace(self._path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        self._inode = inode
        _sync(self._path.parent)

    def _write(self, write: Callable[[bytes], object], change: DirectoryChange, number: int) -> int:
        """Write the records of a change, counting from a number; how many there were."""
        records = 0
        for record in _in_records(change):
            write(seal(record, self._key, (self._name, number + records), self._random(_NONCE)))
            records += 1
        return records

    def _set_aside(self, reason: str) -> None:
        """One such file is kept, lest they fill the disk."""
        self._inode = 0
        target = self._path.with_name(f"{self._path.name}.damaged")
        fields = {"file": str(self._path), "reason": reason, "as": target.name}
        try:
            self._path.replace(target)
            log.warning("the directory's file is set aside", extra=fields)
        except OSError as error:
            log.warning("the directory's file can't be used", extra=fields | {"error": str(error)})


def _read(path: Path) -> tuple[bytes, int]:
    """The bytes of a file and which it is. Raises OSError, Unreadable."""
    # Without waiting for whom a pipe would wait for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_READ:
            raise Unreadable(f"it is no file, or larger than {_MOST_READ} bytes")
        return file.read(), found.st_ino


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

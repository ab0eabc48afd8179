"""A file of sealed records that is appended to: what the outpost keeps of people on disk.

Each record is sealed under the outpost's own key and bound to its kind of file, its file and its place there: none can
be altered, exchanged, doubled or left out. That the end is missing can't be told. So a crash in the middle of an
append, or damage anywhere, costs what comes after it. What is written counts once the disk has it (fsync). Blocking:
for a thread, one call at a time.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NAME = 16
LENGTH = 4
NONCE = 12
_TAG = 16
OVERHEAD = LENGTH + NONCE + _TAG
"""Bytes of a record beside what is in it."""


class Unreadable(Exception):
    """Nothing of the file can be used."""


def head(magic: bytes) -> int:
    """Bytes before the first record."""
    return len(magic) + NAME


def seal(plain: bytes, key: bytes, place: tuple[bytes, int], nonce: bytes) -> bytes:
    """A record for the file that begins so, as the one of that number."""
    sealed = nonce + AESGCM(key).encrypt(nonce, plain, _bound_to(place))
    return len(sealed).to_bytes(LENGTH, "big") + sealed


def records(data: bytes, key: bytes, magic: bytes) -> Iterator[tuple[bytes, int]]:
    """The records up to the first byte that isn't good, with where each ends. Raises Unreadable for another file."""
    if not data.startswith(magic):
        raise Unreadable(f"it is no {magic.decode().strip()}")
    return _records(data, key, head(magic))


def _records(data: bytes, key: bytes, at: int) -> Iterator[tuple[bytes, int]]:
    view, cipher, beginning, number = memoryview(data), AESGCM(key), data[:at], 0
    while at + LENGTH < len(data):
        begin = at + LENGTH
        end = begin + int.from_bytes(view[at:begin], "big")
        if end > len(data):
            return
        nonce, sealed = bytes(view[begin : begin + NONCE]), view[begin + NONCE : end]
        try:
            plain = cipher.decrypt(nonce, sealed, _bound_to((beginning, number)))
        except (InvalidTag, ValueError):
            return
        yield plain, end
        at, number = end, number + 1


def _bound_to(place: tuple[bytes, int]) -> bytes:
    beginning, number = place
    return beginning + number.to_bytes(8, "big")


class SealedFile:
    """One file. `good` bytes of it count; 0 where it can't be appended to."""

    def __init__(self, path: Path, magic: bytes, key: bytes, random: Callable[[int], bytes]) -> None:
        self.path = path
        self.good = 0
        self._magic = magic
        self._key = key
        self._random = random
        # Which it is, how it begins, how many records it has.
        self._inode = 0
        self._beginning = b""
        self._count = 0

    def read(self, most: int) -> bytes:
        """All of it. Raises OSError, and Unreadable for what is no file or has more bytes than that."""
        # Without waiting for whom a pipe would wait for.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > most:
                raise Unreadable(f"it is no file, or larger than {most} bytes")
            self._inode = found.st_ino
            return file.read()

    def go_on(self, data: bytes, good: int, count: int) -> None:
        """Append to what was read, behind so many bytes and records that count."""
        self._beginning, self.good, self._count = data[: head(self._magic)], good, count

    def forget(self) -> None:
        """Append no more."""
        self._inode = self.good = 0

    def append(self, plain: Iterable[bytes]) -> None:
        """Add records: all of them or, where it raises OSError, none."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            self.forget()
            raise
        with os.fdopen(descriptor, "wb") as file:
            self._check_same(descriptor)
            # What comes after may be half a record, of a crash or a full disk.
            os.ftruncate(descriptor, self.good)
            file.seek(self.good)
            try:
                count = self._write(file.write, plain, self._count)
                file.flush()
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, self.good)
                raise
            self.good, self._count = file.tell(), count

    def replace(self, plain: Iterable[bytes]) -> None:
        """Have these records in the place of all there are, if there is a file already. Raises OSError."""
        temporary = self.path.with_name(f".{self.path.name}.new")
        # Left by a crash, or laid there by somebody else: in either case not to be written through.
        temporary.unlink(missing_ok=True)
        self.forget()
        self._beginning = self._magic + self._random(NAME)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._beginning)
                self._count = self._write(file.write, plain, 0)
                file.flush()
                os.fsync(descriptor)
                good, inode = file.tell(), os.fstat(descriptor).st_ino
            temporary.replace(self.path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        self.good, self._inode = good, inode
        _sync(self.path.parent)

    def set_aside(self, name: str) -> None:
        """Have it out of the way; one file of that name is kept, lest they fill the disk. Raises OSError."""
        self.forget()
        self.path.replace(self.path.with_name(name))

    def _check_same(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if found.st_ino != self._inode or found.st_size < self.good:
            self.forget()
            raise OSError("somebody else has written the file")

    def _write(self, write: Callable[[bytes], object], plain: Iterable[bytes], number: int) -> int:
        """Write records, counting from a number; the number of the next."""
        for each in plain:
            write(seal(each, self._key, (self._beginning, number), self._random(NONCE)))
            number += 1
        return number


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""A bounded reader over bytes: it can't be made to read past its end, and nested lengths must be used up."""

from collections.abc import Iterator
from contextlib import contextmanager

from dataplane.sansio.errors import PeerError


class Cursor:
    """Reads big-endian integers and byte strings from `data`; raises PeerError(`code`) when too few are left."""

    __slots__ = ("_code", "_data", "_end", "_position")

    def __init__(self, data: bytes, code: int) -> None:
        self._data = data
        self._position = 0
        self._end = len(data)
        self._code = code

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return self._end - self._position

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self._advance(count)
        return self._data[start : start + count]

    def unsigned(self, size: int) -> int:
        """The next `size` bytes as an unsigned big-endian integer."""
        return int.from_bytes(self.take(size), "big")

    @contextmanager
    def within(self, count: int) -> Iterator["Cursor"]:
        """Bound the reads of the block to the next `count` bytes and insist on their being used up."""
        outer = self._end
        self._end = self._position + self._bounded(count)
        yield self
        if self.remaining:
            raise PeerError(self._code, f"{self.remaining} bytes too many")
        self._end = outer

    def _advance(self, count: int) -> int:
        start = self._position
        self._position += self._bounded(count)
        return start

    def _bounded(self, count: int) -> int:
        if count < 0 or count > self.remaining:
            raise PeerError(self._code, f"{count} bytes expected, {self.remaining} left")
        return count

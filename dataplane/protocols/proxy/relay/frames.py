"""Where frames of a WebSocket begin and end in a stream of bytes (RFC 6455 5.2), and frames that close it. Pure.

Nothing is unmasked, joined or judged: the ends do that. We only want to know where a frame of our own may go between
two of theirs.
"""

import re

_FINAL, _OPCODE, _CLOSE = 0x80, 0x0F, 0x08
_MASKED, _LENGTH = 0x80, 0x7F
_MASK_SIZE = 4
_TWO = 126
_SHORT = 64
_OTHERS = b"".join(re.escape(bytes([byte])) for byte in range(256) if byte & _OPCODE != _CLOSE)
_LENGTHS = b"|".join(re.escape(bytes([length])) + b".{%d}" % length for length in range(_SHORT))
_RUN = re.compile(b"(?:[" + _OTHERS + b"](?:" + _LENGTHS + b"))*+", re.DOTALL)
"""Short frames of a server, one behind the other, none of which closes: thousands of them may lie in one piece."""


class Frames:
    """Follows one direction of a WebSocket."""

    __slots__ = ("_head", "_left", "closed")

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self.closed = False
        """Whether a Close frame went by: nothing may follow it (RFC 6455 5.5.1)."""

    @property
    def between(self) -> bool:
        """Whether a frame may be put in here."""
        return not self._left and not self._head

    def follow(self, data: bytes) -> None:
        """`data` is the next piece of the stream."""
        if self._left >= len(data):
            self._left -= len(data)
            return
        data, at = self._head + data[self._left :], 0
        self._head, self._left = b"", 0
        size = len(data)
        while at < size:
            ends = self._find_end(data, at)
            if ends is None:
                self._head = data[at:]
                return
            at = ends
            run = _RUN.match(data, at) if at < size else None
            at = at if run is None else run.end()
        self._left = at - size

    def follow_to_end(self, data: bytes) -> bytes:
        """As far as the frame under way goes; returns what belongs to it, and `data` may go on behind that."""
        end: int | None = self._left
        if not end and (end := self._find_end(self._head + data, 0)) is not None:
            end -= len(self._head)
        data = data[:end]
        self.follow(data)
        return data

    def _find_end(self, data: bytes, at: int) -> int | None:
        """Where the frame that begins at `at` ends; None where its head isn't all there."""
        if len(data) < at + 2:
            return None
        length = data[at + 1] & _LENGTH
        start = at + 2
        if length >= _TWO:
            extended = 2 if length == _TWO else 8
            if len(data) < start + extended:
                return None
            length = int.from_bytes(data[start : start + extended], "big")
            start += extended
        if data[at + 1] & _MASKED:
            start += _MASK_SIZE
        if data[at] & _OPCODE == _CLOSE:
            self.closed = True
        return start + length


def close_frame(code: int) -> bytes:
    """A Close frame as a server says it (RFC 6455 5.5.1)."""
    return bytes((_FINAL | _CLOSE, 2)) + code.to_bytes(2, "big")

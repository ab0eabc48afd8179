"""A request's body as it comes, in however many chunks: joined, and weighed against its framing. Pure.

A chunk of one byte is legitimate, and costs as much as one of thousands. So what came at once goes on as one piece,
small chunks are read by turns, and framing that carries next to nothing is refused.
"""

from dataplane.sansio import PeerError

SMALL = 128
"""Bytes of a chunk, its framing included, that cost more to tell apart than to carry."""
_MOST_EXCESS = 16 * 1024
_FREE, _WORTH = 16, 2
"""Bytes of framing for each chunk, and for each byte in it; what is more is excess (as in Go: CVE-2023-39326)."""


class Pieces:
    """Those of one body."""

    __slots__ = ("_excess", "_pieces", "add", "bulk")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.add = self._pieces.append
        """Takes a piece."""
        self.bulk = False
        """Whether the latest ones were large: much may be read in a row."""
        self._excess: int | None = None

    def take(self) -> bytes:
        """All that is here."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return data

    def weigh(self, size: int, since: int) -> bytes:
        """All that is here, of `size` bytes parsed now, and of `since` since there was something.

        Raises PeerError where these are mostly framing. What comes with the head isn't weighed.
        """
        count = len(self._pieces)
        self.bulk = size >= SMALL * count
        data = self.take()
        if self._excess is None:
            self._excess = 0
        elif data:
            self._excess = max(0, self._excess + since - len(data) - _FREE * count - _WORTH * len(data))
            if self._excess > _MOST_EXCESS:
                raise PeerError(400, "a body in chunks that are mostly framing")
        return data

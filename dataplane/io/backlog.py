"""What the peers of a server have not taken yet, all together, and who has to go when it is too much."""

from typing import Protocol


class Sender(Protocol):
    """A stream whose peer may be slow."""

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not taken yet."""
        ...

    def cut(self) -> None:
        """Break off what is being sent."""
        ...


class Backlog:
    """What the peers of a server have not taken yet, all together.

    Beyond `most` bytes, if any, the one that has most of it unread is cut, so that those who read are served.
    """

    __slots__ = ("_most", "_streams", "total")

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._streams: dict[Sender, None] = {}
        self.total = 0

    def grow(self, stream: Sender, size: int) -> None:
        """So much more of a stream waits."""
        self.total += size
        self._streams[stream] = None
        if self._most is not None and self.total > self._most:
            max(self._streams, key=lambda each: each.unsent).cut()

    def shrink(self, size: int) -> None:
        """So much of it is taken."""
        self.total -= size

    def leave(self, stream: Sender, size: int) -> None:
        """Nothing of a stream waits any more; so much of it was given up."""
        self.total -= size
        self._streams.pop(stream, None)

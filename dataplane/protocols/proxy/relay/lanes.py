"""How many exchanges a client may have with the upstream at once. Who has enough of them waits a while for its turn."""

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.lock import BoundedSemaphore

from dataplane.sansio.clients import client_of


class LaneFull(Exception):
    """The client's turn did not come in time."""


class Place:
    """One exchange's place in its client's lane; may be given back early, as often as one likes."""

    __slots__ = ("_lane",)

    def __init__(self, lane: "_Lane") -> None:
        self._lane: _Lane | None = lane

    def give_back(self) -> None:
        """Let the next one in."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.turns.release()


class _Lane:
    __slots__ = ("turns", "users")

    def __init__(self, width: int) -> None:
        self.turns = BoundedSemaphore(width)
        self.users = 0


class Lanes:
    """A lane for each client that is here, and none for the others."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._lanes: dict[str, _Lane] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    @contextmanager
    def place(self, address: str, patience: float) -> Iterator[Place]:
        """A place in the lane of `address`, waited for at most `patience` seconds. Raises LaneFull."""
        client = client_of(address)
        lane = self._lanes.setdefault(client, _Lane(self._width))
        lane.users += 1
        try:
            if not lane.turns.acquire(timeout=patience):
                raise LaneFull
            place = Place(lane)
            try:
                yield place
            finally:
                place.give_back()
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[client]

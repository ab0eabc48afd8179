"""Who has a place where strangers may come too, and who has to make room. Pure: knows no connection.

Whoever has just come may be anybody, so newcomers have places of their own: what has settled keeps its place however
many come. Among newcomers whoever has most gives way to whoever has less, so that a few clients, however busy, hold up
no other.
"""

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from dataplane.io.stream import LimitHit
from dataplane.sansio.clients import client_of

OwnerT = TypeVar("OwnerT", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many at once: newcomers, those who have settled, and the latter of one client."""

    newcomers: int
    settled: int
    settled_per_client: int


class Places(Generic[OwnerT]):
    """The places that are taken."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._newcomers: dict[OwnerT, str] = {}
        self._settled: dict[OwnerT, str] = {}
        self._new_of: Counter[str] = Counter()
        self._settled_of: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._newcomers) + len(self._settled)

    def __iter__(self) -> Iterator[OwnerT]:
        return iter((*self._newcomers, *self._settled))

    def enter(self, owner: OwnerT, peer: str) -> OwnerT | None:
        """Take a newcomer's place; who has lost it to this one, if anybody has to. Raises LimitHit."""
        client = client_of(peer)
        if len(self._settled) >= self._room.settled:
            raise LimitHit("link_connections")
        if self._settled_of[client] >= self._room.settled_per_client:
            raise LimitHit("link_connections_per_peer")
        displaced = self._displaced_by(client) if len(self._newcomers) >= self._room.newcomers else None
        if displaced is not None:
            self.leave(displaced)
        self._newcomers[owner] = client
        self._new_of[client] += 1
        return displaced

    def settle(self, owner: OwnerT) -> None:
        """It is no newcomer any more. There may be some more of these for it: they are bounded as they enter."""
        client = self._newcomers.pop(owner, None)
        if client is not None:
            _lower(self._new_of, client)
            self._settled[owner] = client
            self._settled_of[client] += 1

    def leave(self, owner: OwnerT) -> None:
        """Give back its place, if it has one."""
        for places, count in ((self._newcomers, self._new_of), (self._settled, self._settled_of)):
            client = places.pop(owner, None)
            if client is not None:
                _lower(count, client)

    def _displaced_by(self, client: str) -> OwnerT:
        """The first that came of those of the client who has most. Raises LimitHit where that would gain nothing."""
        crowd, size = max(self._new_of.items(), key=lambda each: each[1])
        if self._new_of[client] + 1 >= size:
            raise LimitHit("link_newcomers")
        return next(owner for owner, other in self._newcomers.items() if other == crowd)


def _lower(count: Counter[str], client: str) -> None:
    count[client] -= 1
    if not count[client]:
        del count[client]

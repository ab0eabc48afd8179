"""How many exchanges a client may have with the upstream at once. Who has enough of them waits a while for its turn."""

from collections import deque

from gevent.event import Event as Signal

from dataplane.sansio.clients import client_of


class LaneFull(Exception):
    """The client's turn did not come in time."""


class _Lane:
    __slots__ = ("taken", "waiting")

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: deque[Signal] = deque()


class Lanes:
    """A lane for each client that is here, and none for the others."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._lanes: dict[str, _Lane] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    def take(self, address: str, patience: float) -> "Place":
        """A place in the lane of `address`, waited for at most `patience` seconds. Raises LaneFull."""
        client = client_of(address)
        lane = self._lanes.get(client)
        if lane is None:
            lane = self._lanes[client] = _Lane()
        if lane.taken >= self._width:
            self._wait(client, lane, patience)
        else:
            lane.taken += 1
        return Place(self, client, lane)

    def leave(self, client: str, lane: _Lane) -> None:
        """A place is given to the next one who waits, or free."""
        if lane.waiting:
            lane.waiting.popleft().set()
            return
        lane.taken -= 1
        if not lane.taken:
            del self._lanes[client]

    def _wait(self, client: str, lane: _Lane, patience: float) -> None:
        turn = Signal()
        lane.waiting.append(turn)
        try:
            turn.wait(patience)
        except BaseException:
            self._withdraw(client, lane, turn)
            raise
        if not turn.is_set():
            lane.waiting.remove(turn)
            raise LaneFull

    def _withdraw(self, client: str, lane: _Lane, turn: Signal) -> None:
        """Who waits is needed elsewhere, and may just have got its turn."""
        if turn.is_set():
            self.leave(client, lane)
        else:
            lane.waiting.remove(turn)


class Place:
    """One exchange's place in its client's lane; may be given back early, as often as one likes."""

    __slots__ = ("_client", "_lane", "_lanes")

    def __init__(self, lanes: Lanes, client: str, lane: _Lane) -> None:
        self._lanes = lanes
        self._client = client
        self._lane: _Lane | None = lane

    def give_back(self) -> None:
        """Let the next one in."""
        lane = self._lane
        if lane is not None:
            self._lane = None
            self._lanes.leave(self._client, lane)

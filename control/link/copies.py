"""Whose turn it is to be sent a whole copy of the directory: few at once, one of each outpost, the outposts in turn.

So an outpost, however many instances it has and however slow they are, takes no other's turn.
"""

import asyncio
from collections import deque
from uuid import UUID

# For how long a turn lasts where others wait.
TURN_SECONDS = 30.0


class Copies:
    """The turns: `most` at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._busy: set[UUID] = set()
        # The outposts that wait, whoever is next first; and the streams of each.
        self._waiting: dict[UUID, deque[asyncio.Future[None]]] = {}

    async def take(self, outpost: UUID) -> None:
        """Wait until it is the outpost's turn."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(outpost, deque()).append(turn)
        self._go_on()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give_back(outpost)
            raise

    def give_back(self, outpost: UUID) -> None:
        """The outpost's turn is over: the others come first."""
        self._busy.discard(outpost)
        if outpost in self._waiting:
            self._waiting[outpost] = self._waiting.pop(outpost)
        self._go_on()

    def _go_on(self) -> None:
        for outpost in [each for each in self._waiting if each not in self._busy]:
            if len(self._busy) >= self._most:
                return
            streams = self._waiting.pop(outpost)
            turn = _find_first(streams)
            if streams:
                self._waiting[outpost] = streams
            if turn is not None:
                self._busy.add(outpost)
                turn.set_result(None)


class Turn:
    """The turn of one stream, taken and given back as often as its copy needs."""

    def __init__(self, copies: Copies, outpost: UUID) -> None:
        self._copies = copies
        self._outpost = outpost
        self._end: asyncio.TimerHandle | None = None

    async def take(self) -> None:
        """Wait for it, unless we have it."""
        if self._end is None:
            await self._copies.take(self._outpost)
            self._end = asyncio.get_running_loop().call_later(TURN_SECONDS, self.give_back)

    def give_back(self) -> None:
        """Let another have it."""
        if self._end is not None:
            self._end.cancel()
            self._end = None
            self._copies.give_back(self._outpost)


def _find_first(streams: deque[asyncio.Future[None]]) -> asyncio.Future[None] | None:
    """Take out the first that waits still."""
    while streams:
        turn = streams.popleft()
        if not turn.cancelled():
            return turn
    return None

"""How bodies move between a client and an upstream, so that a slow client costs itself and not the upstream.

A request's body is taken in before the upstream hears of it, as far as it is small; an answer is taken from the
upstream as far as `ahead` reaches. What is larger flows through, at a pace that the client has to keep.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.event import Event as Signal

from dataplane.io.connection import Connection
from dataplane.io.stream import Expired, loop_now
from dataplane.protocols.proxy.messages import Data


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayLimits:
    """What an exchange may take; times in seconds, sizes in bytes."""

    dial: float = 5.0
    answer: float = 60.0
    """Between two reads of an answer; and for the upstream to take a piece of the request."""
    stall: float = 10.0
    """How far a client may fall behind `rate` in sending."""
    lag: float = 30.0
    """How far it may in receiving."""
    rate: int = 4096
    """The slowest client served, in bytes a second."""
    spool: int = 64 * 1024
    """Of a request's body, held before the upstream is dialled."""
    uploads: int = 4
    """Larger bodies at once, for all clients together: each occupies the upstream as long as its client likes."""
    ahead: int = 1024 * 1024
    """Of an answer, held for a client slower than the upstream."""
    ahead_of_all: int = 64 * 1024 * 1024
    """The same for all clients together; beyond it each has one piece."""
    per_client: int = 32
    """Exchanges of one client at once."""
    patience: float = 5.0
    """How long a further one waits for its turn."""


class Pace:
    """What is left of a client's time: waiting spends it, bytes that move earn it back, up to what there was."""

    __slots__ = ("_most", "_rate", "left")

    def __init__(self, seconds: float, rate: int) -> None:
        self._most = seconds
        self._rate = rate
        self.left = seconds

    def time_for(self, size: int) -> float:
        """How long the next `size` bytes may take."""
        return max(0.0, self.left + size / self._rate)

    def spend(self, since: float, moved: int) -> None:
        """The client took from `since` until now for `moved` bytes."""
        self.left = min(self._most, self.left + moved / self._rate - (loop_now() - since))


class Intake:
    """A request's body, as it comes."""

    def __init__(self, connection: Connection[Any], limits: RelayLimits) -> None:
        self._connection = connection
        self._pace = Pace(limits.stall, limits.rate)
        self._spool = limits.spool

    def find_next(self) -> bytes | None:
        """The next piece; None at the end. Raises Expired and PeerError."""
        since = loop_now()
        event = self._connection.find_next_event(self._pace.time_for(0), "slow_body")
        if not isinstance(event, Data):
            return None
        self._pace.spend(since, len(event.data))
        return event.data

    def spool(self) -> tuple[bytes, bool]:
        """The body as far as it may be held, and whether that is all of it."""
        held = bytearray()
        while (piece := self.find_next()) is not None:
            held += piece
            if len(held) > self._spool:
                return bytes(held), False
        return bytes(held), True


class Held:
    """Bytes of answers held in a process."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


class Outbox:
    """What a client has yet to take of an answer: filled as fast as the upstream is, emptied as fast as the client."""

    def __init__(self, connection: Connection[Any], limits: RelayLimits, held: Held) -> None:
        self._connection = connection
        self._limits = limits
        self._held = held
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._pace = Pace(limits.lag, limits.rate)
        self._taken = Signal()
        self._writer: gevent.Greenlet[..., None] | None = None
        self._error: Exception | None = None

    def put(self, data: bytes) -> None:
        """Send in time; waits while too much is held. Raises what sending raised: ConnectionError or Expired."""
        if data:
            self._waiting.append(data)
            self._keep(len(data))
        if self._waiting and self._writer is None:
            self._writer = gevent.spawn(self._write)
        while self._error is None and self._is_full():
            self._wait()
        self._check()

    def flush(self) -> None:
        """Wait until the client has it all. Raises as put does."""
        while self._error is None and self._writer is not None:
            self._wait()
        self._check()

    def close(self) -> None:
        """Drop what is left."""
        if self._writer is not None:
            self._writer.kill()
        self._waiting.clear()
        self._keep(-self._size)

    def _is_full(self) -> bool:
        if len(self._waiting) <= 1:
            return False
        return self._size > self._limits.ahead or self._held.size > self._limits.ahead_of_all

    def _wait(self) -> None:
        self._taken.clear()
        self._taken.wait()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _keep(self, size: int) -> None:
        self._size += size
        self._held.size += size

    def _write(self) -> None:
        try:
            while self._waiting:
                piece = self._waiting.popleft()
                since = loop_now()
                with gevent.Timeout(self._pace.time_for(len(piece)), Expired("slow_reader")):
                    self._connection.send(piece)
                self._pace.spend(since, len(piece))
                self._keep(-len(piece))
                self._taken.set()
        except (Expired, OSError) as error:
            self._error = error
        finally:
            self._writer = None
            self._taken.set()

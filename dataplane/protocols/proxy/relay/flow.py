"""How bodies move between a client and an upstream, so that a slow client costs itself and not the upstream.

A request's body is taken in before the upstream hears of it, as far as it is small; an answer is taken from the
upstream as far as `ahead` reaches. What is larger flows through, at a pace that the client has to keep.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Self

import gevent
from gevent.event import Event as Signal

from dataplane.config import Upstream
from dataplane.io.connection import Connection
from dataplane.io.stream import Expired, give_way, loop_now
from dataplane.protocols.proxy.messages import Data

_LEAST_SHARE = 16
_ROW = 2
"""Pieces of a body that are taken in a row, but for reading them: with most bodies that is all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayLimits:
    """What an exchange may take; times in seconds, sizes in bytes. By default as control's own pages need it."""

    dial: float = 5.0
    answer: float = 60.0
    """From the end of a request to the head of its answer."""
    idle: float = 60.0
    """For the upstream to take, or to send, another piece of a body."""
    stall: float = 10.0
    """How far a client may fall behind `rate` in sending."""
    lag: float = 30.0
    """How far it may in receiving."""
    rate: int = 4096
    """The slowest client served, in bytes a second."""
    spool: int = 64 * 1024
    """Of a request's body, held before the upstream hears of it."""
    gather: float | None = None
    """How long a body of unknown length is held for its end; None for as long as the client may take."""
    uploads: int | None = 4
    """Larger bodies at once, for all clients together: each occupies the upstream as long as its client likes."""
    ahead: int = 1024 * 1024
    """Of an answer, held for a client slower than the upstream."""
    ahead_of_all: int = 64 * 1024 * 1024
    """The same for all clients of all applications together; beyond it each has one piece."""
    per_client: int = 32
    """Exchanges of one client at once."""
    websockets: int = 128
    """Open WebSockets of one client."""
    patience: float = 5.0
    """How long a further one waits for its turn, and any for a connection to the upstream."""
    reuse: bool = False
    """Whether a connection to the upstream serves one exchange after the other."""
    ask: float = 1.0
    """How long an upstream may take to ask for a body that the client would rather be asked for (RFC 9110 10.1.1)."""
    left: float = 5.0
    """How long an answer may still take to begin, or to go on, for a client that has closed its side."""
    parting: float = 2.0
    """For a WebSocket that is to end to come to the end of a frame, and for its ends to take the last ones."""

    @classmethod
    def of(cls, upstream: Upstream) -> Self:
        """For an application: generous, but for what protects everybody else.

        One client gets a quarter of its connections, so that nobody takes it away from all others.
        """
        share = max(_LEAST_SHARE, upstream.connections // 4)
        return cls(
            dial=upstream.connect_timeout,
            answer=upstream.response_timeout,
            idle=upstream.idle_timeout,
            stall=60.0,
            lag=60.0,
            rate=512,
            gather=0.25,
            uploads=None,
            per_client=share,
            websockets=share,
            patience=10.0,
            reuse=True,
        )


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
        self._moment = 0.0
        self._row = 0
        self.received = 0
        """Bytes so far."""

    def find_next(self, within: float | None = None) -> bytes | None:
        """The next piece; None at the end. Raises Expired("slow_body") and PeerError.

        Where it isn't there `within` so many seconds, which is no fault, Expired("gather").
        """
        since = self._take_turn()
        time = self._pace.time_for(0)
        early = within is not None and within < time
        event = self._connection.find_next_event(within if early else time, "gather" if early else "slow_body")
        if not isinstance(event, Data):
            return None
        self._pace.spend(since, len(event.data))
        self.received += len(event.data)
        return event.data

    def _take_turn(self) -> float:
        """Now; after a while for others, where piece after piece lies there already."""
        now = loop_now()
        if now != self._moment:
            self._moment, self._row = now, 0
            return now
        self._row += 1
        if self._row < _ROW:
            return now
        give_way()
        self._moment, self._row = loop_now(), 0
        return self._moment

    def spool(self, within: float | None) -> tuple[bytes, bool]:
        """The body as far as it may be held, and whether that is all of it."""
        held = bytearray()
        since = loop_now()
        try:
            while (piece := self.find_next(within and max(0.001, since + within - loop_now()))) is not None:
                held += piece
                if len(held) > self._spool:
                    return bytes(held), False
        except Expired as expired:
            if expired.limit != "gather":
                raise
            return bytes(held), False
        return bytes(held), True


class Held:
    """Bytes of answers held in a process."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


HELD = Held()
"""By all applications together, for they share the memory."""


class Outbox:
    """What a client has yet to take of an answer: filled as fast as the upstream is, emptied as fast as the client.

    What the kernel takes at once never lies here, and costs no greenlet.
    """

    def __init__(self, connection: Connection[Any], limits: RelayLimits, held: Held) -> None:
        self._connection = connection
        self._limits = limits
        self._held = held
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._pace = Pace(limits.lag, limits.rate)
        self._taken: Signal | None = None
        self._writer: gevent.Greenlet[..., None] | None = None
        self._error: Exception | None = None

    def put(self, data: bytes) -> None:
        """Send in time; waits while too much is held. Raises what sending raised: ConnectionError or Expired."""
        if self._writer is None and self._error is None:
            if not data or self._connection.stream.post(data):
                return
            self.adopt()
        elif data:
            self._waiting.append(data)
            self._keep(len(data))
        while self._error is None and self._is_full():
            self._wait()
        self._check()

    def adopt(self) -> None:
        """See to it that what was posted goes out."""
        posted = self._connection.unsent
        self._keep(posted)
        self._writer = gevent.spawn(self._write, posted)

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
        if not self._waiting:
            return False
        return self._size > self._limits.ahead or self._held.size > self._limits.ahead_of_all

    def _wait(self) -> None:
        taken = self._taken = Signal()
        taken.wait()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _keep(self, size: int) -> None:
        self._size += size
        self._held.size += size

    def _write(self, posted: int) -> None:
        try:
            self._send(None, posted)
            while self._waiting:
                piece = self._waiting.popleft()
                self._send(piece, len(piece))
        except (Expired, OSError) as error:
            self._error = error
        finally:
            self._writer = None
            self._tell()

    def _send(self, piece: bytes | None, size: int) -> None:
        since = loop_now()
        with gevent.Timeout(self._pace.time_for(size), Expired("slow_reader")):
            if piece is None:
                self._connection.settle()
            else:
                self._connection.send(piece)
        self._pace.spend(since, size)
        self._keep(-size)
        self._tell()

    def _tell(self) -> None:
        if self._taken is not None:
            self._taken.set()

"""A WebSocket that was opened: bytes both ways until one end ends it, or somebody else does.

Silence is nobody's fault: there is no idle limit, TCP finds out who is gone. Who ends it from outside says so with a
Close frame where two frames meet, so that the client learns why (RFC 6455 5.5.1), and then ends both connections.
"""

from typing import Any

import gevent
from gevent import Greenlet, get_hub, getcurrent

from dataplane.io.connection import Connection
from dataplane.io.dial import Upstream
from dataplane.io.stream import LimitHit
from dataplane.protocols.proxy.relay.flow import RelayLimits
from dataplane.protocols.proxy.relay.frames import Frames, close_frame

_FOR_EVER = float("inf")


class _Nudge(BaseException):
    """Look at what is to be done: thrown into a greenlet that waits."""


class Tunnel:
    """One open WebSocket."""

    def __init__(self, connection: Connection[Any], wire: Upstream, limits: RelayLimits) -> None:
        self._connection = connection
        self._wire = wire
        self._limits = limits
        self._frames = Frames()
        self._code = 0
        self._reads = False
        self._main: Any = getcurrent()
        self._back: Greenlet[..., None] | None = None
        self._timer: Any = None
        self.received = 0
        self.sent = 0

    @property
    def ended(self) -> bool:
        """Whether it was ended from outside."""
        return self._code != 0

    def run(self, early: bytes, rest: bytes) -> None:
        """Carry on until it ends: `early` came from the upstream already, `rest` from the client."""
        self._connection.finish()
        back = self._back = gevent.spawn(self._pump_back, early)
        try:
            self._pump_on(rest)
            self._wire.half_close()
            back.join(self._limits.left)
        except _Nudge:
            return
        finally:
            if self._timer is not None:
                self._timer.stop()
                self._timer.close()
            self._back = None
            back.kill()

    def end(self, code: int) -> None:
        """Say Close with `code` as soon as may be, and end. In the hub."""
        if self._code or self._back is None:
            return
        self._code = code
        self._timer = get_hub().loop.timer(self._limits.parting)
        self._timer.start(self._stop)
        if self._reads:
            self._back.throw(_Nudge())

    def _pump_on(self, data: bytes) -> None:
        stream, wire, timeout = self._connection.stream, self._wire, self._limits.idle
        stream.until(_FOR_EVER, "")
        try:
            while True:
                if data:
                    self.received += len(data)
                    wire.write(data, timeout)
                data = stream.read()
                if not data:
                    return
        except (OSError, LimitHit):
            raise _Nudge from None

    def _pump_back(self, data: bytes) -> None:
        try:
            self._hand_on(data)
            while not (self._code and self._frames.between):
                piece = self._read()
                if piece == b"":
                    return
                self._hand_on(piece or b"")
            if not self._frames.closed:
                self._connection.send(close_frame(self._code))
        except (OSError, LimitHit):
            return
        finally:
            get_hub().loop.run_callback(self._stop)

    def _hand_on(self, data: bytes) -> None:
        if data:
            if self._code:
                data = self._frames.follow_to_end(data)
            else:
                self._frames.follow(data)
            self.sent += len(data)
            self._connection.send(data)

    def _read(self) -> bytes | None:
        """The next bytes, empty at the end; None for a look at what is to be done."""
        self._reads = True
        try:
            return self._wire.read(None)
        except _Nudge:
            return None
        finally:
            self._reads = False

    def _stop(self) -> None:
        """In the hub: the side that waits for the client, or for the upstream to take something, is needed no more."""
        if self._back is not None:
            self._main.throw(_Nudge())

"""The side that asked, during one exchange: what it is sent, and whether it is still there."""

from collections.abc import Callable
from typing import Any

from gevent import get_hub

from dataplane.io.connection import Connection
from dataplane.io.stream import LimitHit
from dataplane.protocols.proxy.messages import Response
from dataplane.protocols.proxy.relay.exchange import Broken, Failure
from dataplane.protocols.proxy.relay.flow import Held, Outbox, RelayLimits
from dataplane.protocols.proxy.session import HttpSession


class Client:
    """Of one exchange. `leave` is called in the hub when it has gone."""

    __slots__ = ("_held", "_leave", "_limits", "_outbox", "_timer", "connection", "session")

    def __init__(
        self,
        session: HttpSession,
        connection: Connection[Any],
        limits: RelayLimits,
        held: Held,
        leave: Callable[[Broken], None],
    ) -> None:
        self.session = session
        self.connection = connection
        self._limits = limits
        self._held = held
        self._leave = leave
        self._outbox: Outbox | None = None
        self._timer: Any = None

    def put(self, data: bytes) -> None:
        """Send in time; waits where the client is too far behind. Raises Broken."""
        try:
            if self._outbox is not None:
                self._outbox.put(data)
            elif data and not self.connection.stream.post(data):
                self._outbox = Outbox(self.connection, self._limits, self._held)
                self._outbox.adopt()
        except OSError as error:
            raise Broken(Failure.CLIENT_GONE, str(error)) from error
        except LimitHit as hit:
            raise Broken(Failure.CLIENT_SLOW, hit.limit) from hit

    def finish(self) -> None:
        """All of the answer is here: wait until the client has it. Raises Broken."""
        try:
            if self._outbox is not None:
                self._outbox.flush()
        except OSError as error:
            raise Broken(Failure.CLIENT_GONE, str(error)) from error
        except LimitHit as hit:
            raise Broken(Failure.CLIENT_SLOW, hit.limit) from hit
        if not self.session.keeps_alive():
            self.connection.finish()

    def say(self, page: Response) -> None:
        """Our own answer, in place of the upstream's."""
        session, connection = self.session, self.connection
        if session.body_pending() or connection.server.draining:
            session.closing = True
        if not session.keeps_alive():
            connection.finish()
        try:
            connection.send(session.send(page))
        except (OSError, LimitHit):
            self.tear()

    def tear(self) -> None:
        """End so that nothing looks whole."""
        self.connection.finish()
        self.connection.abort()

    def watch(self) -> None:
        """Notice when it goes, while nobody reads what it says; unwatch has to follow."""
        self.connection.stream.rest(self._hear)

    def unwatch(self) -> None:
        """Somebody else cares."""
        self.connection.stream.stir()
        if self._timer is not None:
            self._stop_timer()

    def close(self) -> None:
        """The exchange is over: what it has not taken yet it won't get."""
        if self._outbox is not None:
            self._outbox.close()
        if self._timer is not None:
            self._stop_timer()
        self._leave = _nobody  # or each would be garbage that only a search finds

    def _hear(self, ready: bool) -> None:  # as the stream says it
        """In the hub: it said something, or left."""
        stream = self.connection.stream
        if not ready:  # a deadline that is not ours
            stream.rest(self._hear)
            return
        try:
            left = stream.has_left()
        except OSError as error:
            self._leave(Broken(Failure.CLIENT_GONE, str(error)))
            return
        if self._timer is not None:
            self._stop_timer()
        self._timer = get_hub().loop.timer(self._limits.left)
        if left:  # its side only, perhaps: who pipes a request in does. Who has gone for good resets what we send next.
            self._timer.start(self._leave, Broken(Failure.CLIENT_GONE, "closed"))
        else:  # what it says can't be read now, and would be heard of again and again
            self._timer.start(self._hear, True)

    def _stop_timer(self) -> None:
        self._timer.stop()
        self._timer.close()
        self._timer = None


def _nobody(_: Broken) -> None:
    """There is no exchange any more."""

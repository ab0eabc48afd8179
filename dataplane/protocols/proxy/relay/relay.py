"""Passes requests on to an upstream and its answers back: one Relay for an application, one for the front door.

No body is ever held whole unless it is small; see `flow` for who waits for whom, and `carrier` for an exchange.
"""

from collections.abc import Sequence
from typing import Any

from dataplane.io.connection import Connection
from dataplane.io.pool import Lease, Pool, Upstreams
from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.relay.carrier import Carrier
from dataplane.protocols.proxy.relay.exchange import GOING_AWAY, End, Exchange, Outcome
from dataplane.protocols.proxy.relay.flow import HELD, RelayLimits
from dataplane.protocols.proxy.relay.lanes import Lanes, Place
from dataplane.protocols.proxy.session import HttpSession


class Relay:
    """One upstream, at as many addresses as it has."""

    def __init__(self, source: Upstreams, limits: RelayLimits | None = None) -> None:
        self._source = source
        self.limits = limits or RelayLimits()
        self.held = HELD
        self._lanes = Lanes(self.limits.per_client)
        self._tunnels = Lanes(self.limits.websockets)
        self._uploads = 0
        self._open: set[End] = set()
        self.retries = 0
        """Requests that were sent again."""

    @property
    def pools(self) -> Sequence[Pool]:
        """The connections, by address."""
        return self._source.pools

    @property
    def websockets(self) -> int:
        """How many are open."""
        return len(self._open)

    def forward(
        self, request: Request, session: HttpSession, connection: Connection[Any], exchange: Exchange
    ) -> Outcome:
        """Carry out the whole exchange: the client has its answer, or as much of it as there was."""
        carrier = Carrier(self, request, session, connection, exchange)
        try:
            exchange.begin(carrier.end)  # who waits for a turn may not have it any more when it comes
            carrier.carry()
        finally:
            exchange.done()
        return carrier.outcome

    def part(self) -> None:
        """Tell those who have a WebSocket open that this server goes away."""
        for end in list(self._open):
            end(GOING_AWAY)

    # What carriers ask

    def take_turn(self, client: str) -> Place:
        """A place for one more exchange of a client, when it has one. Raises LaneFull."""
        return self._lanes.take(client, self.limits.patience)

    def take(self, rested: float) -> Lease:
        """A connection to the upstream that was used at most `rested` seconds ago. Raises Unreachable and Full."""
        return self._source.take(self.limits.patience, rested=rested)

    def take_fresh(self) -> Lease:
        """One that has carried nothing yet, for what is sent again. Raises as take does."""
        self.retries += 1
        return self._source.take(self.limits.patience, fresh=True)

    def begin_upload(self) -> bool:
        """Whether there is room for one more large body."""
        if self.limits.uploads is not None and self._uploads >= self.limits.uploads:
            return False
        self._uploads += 1
        return True

    def end_upload(self) -> None:
        """It is over."""
        self._uploads -= 1

    def take_tunnel(self, client: str) -> Place:
        """A place for one more WebSocket of a client. Raises LaneFull."""
        return self._tunnels.take(client, 0)

    def opened(self, end: End) -> None:
        """A WebSocket is open."""
        self._open.add(end)

    def closed(self, end: End) -> None:
        """It isn't any more."""
        self._open.discard(end)

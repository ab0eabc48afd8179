"""What the exchanges of an application share, as each of them sees it."""

from typing import Protocol

from dataplane.io.pool import Lease
from dataplane.protocols.proxy.relay.exchange import End
from dataplane.protocols.proxy.relay.flow import Held, RelayLimits
from dataplane.protocols.proxy.relay.lanes import Place


class Room(Protocol):
    """The rest of a Relay."""

    limits: RelayLimits
    held: Held

    def take_turn(self, client: str) -> Place:
        """A place for one more exchange of a client, waited for and to be given back. Raises LaneFull."""
        ...

    def take(self, rested: float) -> Lease:
        """A connection that was used at most `rested` seconds ago. Raises Unreachable and Full."""
        ...

    def take_fresh(self) -> Lease:
        """The one for sending it again. Raises as take does."""
        ...

    def begin_upload(self) -> bool:
        """Whether there is room for one more large body; then end_upload has to follow."""
        ...

    def end_upload(self) -> None:
        """It is over."""
        ...

    def take_tunnel(self, client: str) -> Place:
        """A place for one more WebSocket of a client, to be given back. Raises LaneFull."""
        ...

    def opened(self, end: End) -> None:
        """A WebSocket is open, which `end` ends; closed has to follow."""
        ...

    def closed(self, end: End) -> None:
        """It isn't any more."""
        ...

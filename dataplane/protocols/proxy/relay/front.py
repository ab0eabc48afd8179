"""An exchange of the front door: control's own pages, which are no application."""

from collections.abc import Callable

from dataplane.protocols.proxy.messages import Headers, Request, Response, UpstreamHead
from dataplane.protocols.proxy.relay.exchange import End, Failure, Onward
from dataplane.protocols.proxy.relay.headers import front_head
from dataplane.protocols.proxy.trust import Seen

Fail = Callable[[Failure, str], Response]


class FrontExchange:
    """What goes on to control, as it comes but for what we say of the client."""

    __slots__ = ("client", "fail", "onward")

    def __init__(self, request: Request, seen: Seen, id_: str, fail: Fail) -> None:
        self.onward = Onward(request.method, front_head(request, seen, id_))
        self.client = seen.client
        self.fail = fail

    def answer(self, head: UpstreamHead) -> Headers:
        """All of it."""
        return head.headers

    def begin(self, end: End) -> None:
        """Nobody ends it."""

    def done(self) -> None:
        """Nobody asked."""

"""What is to be told of one request: begun when it comes, filled in along the way, told when it is over.

Filling in is setting attributes, so that it costs next to nothing. It holds no secret: of the target only the path is
told, of headers the user agent and the host of the referer.
"""

from dataplane.gate import Identity
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.told.decisions import Decision
from dataplane.protocols.proxy.told.spans import Span
from dataplane.protocols.proxy.trust import Seen


class Record:
    """One request."""

    __slots__ = ("application", "decision", "id", "person", "request", "seen", "span", "started")

    def __init__(self, request: Request, seen: Seen, request_id: str, started: float) -> None:
        self.request = request
        self.seen = seen
        self.id = request_id
        self.started = started
        self.application: Application | None = None
        """Which one it is for, once that is known."""
        self.person: Identity | None = None
        """Whose it is, once that is known."""
        self.decision: Decision | None = None
        """What was decided; None where nothing was."""
        self.span: Span | None = None

"""What is said between the relay and who gives it a request: what goes on, what comes back, and how it went.

Values and ports only. The relay knows nothing of applications, sessions or pages: it asks its Exchange.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from dataplane.protocols.proxy.messages import Headers, Response, UpstreamHead

POLICY, GOING_AWAY = 1008, 1001
"""Why a WebSocket is closed (RFC 6455 7.4.1): whoever has it open may not any more; or this server goes."""


class Failure(StrEnum):
    """What went wrong with an exchange."""

    UNREACHABLE = "unreachable"
    """Nobody takes connections at any address."""
    TLS = "tls"
    """The upstream's TLS is none we may speak, its certificate above all."""
    FULL = "full"
    """As many connections to the upstream as may be are busy."""
    LATE_CONNECT = "late_connect"
    LATE_ANSWER = "late_answer"
    """No head in time."""
    STALLED = "stalled"
    """Nothing moved: of the request that the upstream takes, or of its answer's body."""
    MALFORMED = "malformed"
    """What the upstream sent is no answer (RFC 9112)."""
    RESET = "reset"
    """The upstream ended the connection before its answer was complete."""
    UPGRADE = "upgrade"
    """The upstream switched to something that nobody asked for, or not as RFC 6455 4.2.2 has it."""
    ENDED = "ended"
    """Ended from outside."""
    CLIENT_GONE = "client_gone"
    CLIENT_SLOW = "client_slow"
    """The client took too long to send or to receive."""
    CROWDED = "crowded"
    """The client, or all together, have as much open as they may."""
    HANDSHAKE = "handshake"
    """The client's WebSocket handshake is none (RFC 6455 4.2.1)."""
    REQUEST = "request"
    """The client broke HTTP within the body."""


class Broken(Exception):
    """An exchange can't go on."""

    def __init__(self, failure: Failure, detail: str = "") -> None:
        super().__init__(failure, detail)
        self.failure = failure
        self.detail = detail


class Onward(NamedTuple):
    """The request as the upstream gets it, but for framing, Connection and Upgrade."""

    method: bytes
    head: bytes
    """Request line and end-to-end header lines, each with its CRLF, without the empty line."""


class End(Protocol):
    """Ends an exchange. From any greenlet or the hub, as often as one likes, and when it is over, too."""

    def __call__(self, code: int = POLICY) -> None:
        """A WebSocket is told `code`; anything else is torn, so that it never looks complete."""
        ...


class Exchange(Protocol):
    """One request's belongings that are not in it."""

    @property
    def onward(self) -> Onward:
        """What goes to the upstream."""
        ...

    @property
    def client(self) -> str:
        """Whose share it takes: the person who asks, or the address where nobody is known."""
        ...

    def fail(self, failure: Failure, detail: str) -> Response:
        """Our answer instead of the upstream's. `detail`: for CROWDED and CLIENT_SLOW the limit that was hit."""
        ...

    def answer(self, head: UpstreamHead) -> Headers:
        """What the client gets of an answer's headers; equal bytes come as the same `head`."""
        ...

    def begin(self, end: End) -> None:
        """From now on `end` ends the exchange."""
        ...

    def done(self) -> None:
        """It is over."""
        ...


@dataclass(slots=True)
class Outcome:
    """How an exchange went."""

    status: int = 0
    """What the client got; 0 for nothing."""
    failure: Failure | None = None
    detail: str = ""
    """More about the failure, for the log and for admins."""
    address: str = ""
    """The upstream's, as configured; empty where none was reached."""
    waited: float = 0.0
    """Seconds that the upstream took to the head of its answer, connecting included."""
    received: int = 0
    """Bytes of the client's body, or of its WebSocket."""
    sent: int = 0
    """Bytes of the answer's body to the client, or of the WebSocket."""
    upgraded: bool = False
    began: float = 0.0
    """By the monotonic clock."""

    def note(self, status: int, now: float) -> None:
        """The head of the answer is there."""
        self.status = status
        self.waited = now - self.began

"""A trace as the proxy sees it: a span of ours for each request, one below it for what goes on to the application.

`dataplane.runtime.tracing` implements it with OpenTelemetry; without that there is none, and nothing is made.
"""

from typing import NamedTuple, Protocol

from dataplane.metering import Sample
from dataplane.protocols.proxy.messages import Headers, Request


class Arrived(NamedTuple):
    """A request as a span is begun of it. Of a `trusted` peer the trace context is continued, of others linked to."""

    request: Request
    scheme: str
    host: str
    client: str
    trusted: bool


class Ending(NamedTuple):
    """How it ended. `failure` is a word of ours or empty; `waited` in seconds."""

    status: int
    failure: str
    user: str
    provider: str
    decision: str
    address: str
    waited: float
    received: int
    sent: int


class Span(Protocol):
    """One request's."""

    trace_id: str
    """Of 32 hex digits; empty where nobody records it."""

    def onward(self) -> Headers:
        """Begin the span below it, and the headers that take it on to the application."""
        ...

    def end(self, ending: Ending) -> None:
        """End both."""
        ...


class Tracing(Protocol):
    """What makes spans, and sends them."""

    @property
    def names(self) -> frozenset[bytes]:
        """Headers that take traces on, in lower case: ours go in place of a client's."""
        ...

    def begin(self, arrived: Arrived) -> Span:
        """The span of a request that has just come."""
        ...

    def settle(self, seconds: float) -> None:
        """Send what waits, for so long at most."""
        ...

    def counters(self) -> list[Sample]:
        """What became of spans."""
        ...

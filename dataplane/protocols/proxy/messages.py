"""What an HTTP/1.1 connection says, in our own canonical form: handlers see this and never a parser's objects.

Events in are NamedTuples, as immutable as the rest but made at a third of the cost on the hottest path.
Header names are lower case; header values are the bytes as sent.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

Headers = tuple[tuple[bytes, bytes], ...]


def lower_names(headers: Headers) -> frozenset[bytes]:
    """The names of headers, in lower case."""
    return frozenset(name.lower() for name, _ in headers)


class Body(Enum):
    """How a message's body is delimited (RFC 9112 6.3)."""

    NONE = "none"
    SIZED = "sized"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until_close"


class Request(NamedTuple):
    """The head of a request. With a body, Data and End follow."""

    method: bytes
    target: bytes
    """The request target in origin form, as sent."""
    host: str
    """Lower case, with a port only where it is not the scheme's own; empty when HTTP/1.0 named none."""
    headers: Headers
    fields: dict[bytes, bytes]
    """Header name to value; of a repeated header the last one, see `repeated`."""
    repeated: frozenset[bytes]
    version: bytes
    keep_alive: bool
    body: Body
    upgrade: bool

    @property
    def path(self) -> bytes:
        """The target up to the query, as sent."""
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        """What stands behind the first question mark."""
        return self.target.partition(b"?")[2]


class Data(NamedTuple):
    """A piece of a body, without its framing."""

    data: bytes


class End(NamedTuple):
    """The body is complete. Trailers are dropped (RFC 9110 6.5.1)."""


Event = Request | Data | End


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A complete response; the session adds framing and connection headers."""

    status: int
    headers: Headers = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """The head of a response whose body follows piece by piece; `length` None means that it is not known."""

    status: int
    headers: Headers = ()
    length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interim:
    """A 1xx answer: 100 Continue, or 101 Switching Protocols."""

    status: int
    headers: Headers = ()


Message = Response | ResponseHead | Interim | Data | End


class UpstreamHead(NamedTuple):
    """The head of an upstream's answer, or of an interim one before it (1xx)."""

    status: int
    headers: Headers
    """Without hop-by-hop headers and Content-Length, but as sent with 101; names in any case."""
    body: Body
    length: int | None
    """What Content-Length said."""
    keep_alive: bool
    """Whether the upstream's connection may serve another exchange."""
    names: frozenset[bytes]
    """Those of `headers`, in lower case."""


class Upgraded(NamedTuple):
    """The upstream has switched protocols; `data` is what came already."""

    data: bytes


UpstreamEvent = UpstreamHead | Data | End | Upgraded

"""Heads of requests and answers that pass: what is dropped, what we write. Pure.

What describes the client (X-Forwarded-*, X-Request-Id) and what frames a body is written by us after hop-by-hop headers
are gone, so `Connection:` can't remove it.
"""

from functools import lru_cache
from http import HTTPStatus

from dataplane.protocols.proxy.messages import Body, Headers, Request, UpstreamHead
from dataplane.protocols.proxy.trust import Seen
from dataplane.protocols.proxy.wire import HOP_BY_HOP, encode_head, encode_request_head, is_managed

_KEPT = frozenset({b"host", b"cookie", b"authorization", b"x-garrison-mac"})
"""Managed towards aliases, but the client's own to send; the last proves an outpost that enrols by this door."""
_CLOSE = b"Connection: close\r\n"
_UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
_EXPECT = b"Expect: 100-continue\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_OURS = (b"expect", b"content-length")
"""What is no hop-by-hop header, and yet written anew."""
_NOT_INTERIM = frozenset({b"set-cookie", b"set-cookie2"})


def end_to_end(headers: Headers, *others: bytes) -> Headers:
    """Without hop-by-hop headers, those that Connection lists (RFC 9110 7.6.1) and `others`."""
    listed = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    } - _KEPT
    dropped = HOP_BY_HOP | listed | set(others)
    return tuple((name, value) for name, value in headers if name.lower() not in dropped)


def passing(request: Request) -> Headers:
    """What a request's headers say to the application: no hop-by-hop ones, no framing, none that is ours to set."""
    dropped = end_to_end(request.headers, *_OURS)
    return tuple((name, value) for name, value in dropped if name in _KEPT or not is_managed(name))


def front_head(request: Request, seen: Seen, id_: str) -> bytes:
    """A request for control's own pages, as Onward has it."""
    forwarding = (
        # The client as we found it, not a list: whoever reads it need not know how many proxies there were.
        (b"X-Forwarded-For", seen.client.encode()),
        (b"X-Forwarded-Host", seen.host.encode()),
        (b"X-Forwarded-Proto", seen.scheme.encode()),
        (b"X-Request-Id", id_.encode()),
    )
    return encode_request_head(request.method, request.target, (*passing(request), *forwarding))[:-2]


def plain_end(request: Request, *, reuse: bool) -> bytes:
    """What ends the head of a request without a body."""
    length = b"Content-Length: 0\r\n" if b"content-length" in request.fields else b""
    return length + (b"\r\n" if reuse else _CLOSE + b"\r\n")


def upgrade_end() -> bytes:
    """What ends the head of a WebSocket's handshake."""
    return _UPGRADE + b"\r\n"


def body_end(length: int | None, *, reuse: bool, expects: bool) -> bytes:
    """What ends the head of a request with a body: framing as it was understood, not as it came (RFC 9112 6.3)."""
    framing = _CHUNKED if length is None else b"Content-Length: %d\r\n" % length
    return framing + (_EXPECT if expects else b"") + (b"" if reuse else _CLOSE) + b"\r\n"


@lru_cache(maxsize=1024)
def whole_head(status: int, headers: Headers, length: int) -> bytes:
    """The head of an answer to HTTP/1.1 whose connection goes on. Remembered: only for what holds no secret."""
    return encode_head(status, (*headers, (b"Content-Length", b"%d" % length)))


def interim_headers(head: UpstreamHead) -> Headers:
    """Of an interim answer, without what nobody reads there."""
    return tuple((name, value) for name, value in head.headers if name.lower() not in _NOT_INTERIM)


def length_for_client(head: UpstreamHead) -> int | None:
    """The length that the client is told, None for none known: not for 204 at all (RFC 9110 8.6)."""
    if head.status == HTTPStatus.NO_CONTENT:
        return 0
    return head.length if head.body in {Body.SIZED, Body.NONE} else None

"""One HTTP/1.1 exchange as the client sees it, for the relay. Pure, like the server's side.

What an upstream sends is parsed by llhttp; anything malformed is PeerError(502), for it is the upstream's fault.
"""

from collections import deque
from collections.abc import Iterator

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from dataplane.protocols.proxy.messages import (
    Body,
    Data,
    End,
    Headers,
    Upgraded,
    UpstreamEvent,
    UpstreamHead,
    UpstreamMessage,
    UpstreamRequest,
)
from dataplane.protocols.proxy.session import BODILESS_STATUS, MAX_HEAD, MAX_HEADERS, blame
from dataplane.protocols.proxy.wire import LAST_CHUNK, encode_chunk, encode_request_head
from dataplane.sansio import PeerError

_SWITCHING = 101
_FIRST_FINAL = 200


class UpstreamSession:
    """The client's side of one exchange on a connection of its own."""

    __slots__ = ("_error", "_events", "_finished", "_framing", "_head", "_headers", "_method", "_parser", "_quiet")

    def __init__(self) -> None:
        self._events: deque[UpstreamEvent] = deque()
        self._headers: list[tuple[bytes, bytes]] = []
        self._parser = HttpResponseParser(self)
        self._method = b""
        self._quiet = 0
        self._framing = Body.NONE
        self._head: UpstreamHead | None = None
        self._finished = False
        self._error: PeerError | None = None

    def send(self, message: UpstreamMessage) -> bytes:
        """Encode a request of ours, or a piece of its body."""
        match message:
            case UpstreamRequest(method=method, target=target, headers=headers, body=body):
                self._method = method
                self._framing = body
                return encode_request_head(method, target, headers)
            case Data(data=data):
                return encode_chunk(data) if self._framing is Body.CHUNKED else data
            case End():
                return LAST_CHUNK if self._framing is Body.CHUNKED else b""

    def receive(self, data: bytes) -> None:
        """Take bytes from the upstream; empty bytes mean that it has closed."""
        if not data:
            self._close()
        elif not self._finished and self._error is None:
            self._feed(data)

    def events(self) -> Iterator[UpstreamEvent]:
        """What has arrived; raises PeerError(502) behind the last good event."""
        while self._events:
            yield self._events.popleft()
        if self._error is not None:
            raise self._error

    # The parser calls these.

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer (which nobody reads)."""
        if len(self._headers) > 2 * MAX_HEADERS:
            raise PeerError(502, f"the upstream sent more than {2 * MAX_HEADERS} headers")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there, unless it is an interim one."""
        headers = tuple(self._headers)
        self._headers.clear()
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL and status != _SWITCHING:
            return
        self._head = _upstream_head(self._method, status, headers)
        self._events.append(self._head)

    def on_body(self, data: bytes) -> None:
        """A piece of the body; where there may be none, none is passed on."""
        if self._head is not None and self._head.body is not Body.NONE:
            self._events.append(Data(data))

    def on_message_complete(self) -> None:
        """The end, unless of an interim answer."""
        if self._head is not None and self._head.status != _SWITCHING:
            self._finish()

    def _feed(self, data: bytes) -> None:
        waiting = len(self._events)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._events.append(Upgraded(data[upgrade.args[0] :]))
            self._finished = True
            return
        except HttpParserError as error:
            if not self._finished:
                self._error = PeerError(502, f"the upstream's answer is malformed: {blame(error).reason}")
            return
        if self._head is not None and self._head.body is Body.NONE and self._head.status != _SWITCHING:
            self._finish()
        # Bytes that amount to nothing are heads, trailers and the frames of chunks: they may not go on for ever.
        self._quiet = 0 if len(self._events) > waiting else self._quiet + len(data)
        if self._quiet > 2 * MAX_HEAD:
            self._error = PeerError(502, f"the upstream's answer has a head of more than {2 * MAX_HEAD} bytes")

    def _finish(self) -> None:
        if not self._finished:
            self._finished = True
            self._events.append(End())

    def _close(self) -> None:
        if self._finished or self._error is not None:
            return
        if self._head is not None and self._head.body is Body.UNTIL_CLOSE:
            self._finish()
        else:
            self._error = PeerError(502, "the upstream closed the connection before its answer was complete")


def _upstream_head(method: bytes, status: int, headers: Headers) -> UpstreamHead:
    fields = {name.lower(): value for name, value in headers}
    length = int(fields[b"content-length"]) if b"content-length" in fields else None
    if method == b"HEAD" or status in BODILESS_STATUS or status == _SWITCHING:
        return UpstreamHead(status, headers, Body.NONE, length)
    if fields.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise PeerError(502, "the upstream's transfer coding is other than chunked")
    if b"transfer-encoding" in fields:
        return UpstreamHead(status, headers, Body.CHUNKED, None)
    return UpstreamHead(status, headers, Body.UNTIL_CLOSE if length is None else Body.SIZED, length)

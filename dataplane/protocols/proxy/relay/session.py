"""One answer of an upstream, as its client reads it, for the relay. Pure, like the server's side.

llhttp parses heads and chunks and is as strict as it can be; anything malformed is PeerError(502), for it is the
upstream's fault. What comes behind an answer belongs to nobody: its connection serves no other exchange.
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
    lower_names,
)
from dataplane.protocols.proxy.pieces import SMALL
from dataplane.protocols.proxy.relay.headers import end_to_end
from dataplane.protocols.proxy.session import BODILESS_STATUS, MAX_HEAD, MAX_HEADERS, blame
from dataplane.sansio import PeerError

_SWITCHING = 101
_FIRST, _FIRST_FINAL = 100, 200
_MOST_HEAD = 2 * MAX_HEAD
_MOST_HEADERS = 2 * MAX_HEADERS
_START = b"HTTP/"
_END_OF_HEAD = b"\r\n\r\n"

_SEEN: dict[bytes, UpstreamHead] = {}
"""Heads of sized answers as they came to what they mean: an application says nearly the same again and again, but for a
Date each second. It spares the parsing only. None that sets a cookie lies here."""
_MAX_SEEN = 1024
_MAX_SEEN_SIZE = 4096


def find_sized(method: bytes, data: bytes) -> tuple[UpstreamHead, bytes] | None:
    """The known head that `data` begins with, and what is here of its body; None for other heads, and longer bodies."""
    end = data.find(_END_OF_HEAD) + 4
    head = _SEEN.get(data[:end])
    if head is None or method == b"HEAD" or len(data) - end > (head.length or 0):
        return None
    return head, data[end:]


class UpstreamSession:
    """The client's side of one exchange; interim answers are heads, too."""

    __slots__ = (
        "_begun", "_done", "_error", "_events", "_head", "_headers", "_left", "_method", "_parser",
        "_pieces", "_quiet", "_surplus", "_tail", "fine",
    )  # fmt: skip

    def __init__(self, method: bytes) -> None:
        self._method = method
        self._events: deque[UpstreamEvent] = deque()
        self._headers: list[tuple[bytes, bytes]] = []
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._head: UpstreamHead | None = None
        self._left = 0
        self._begun = 0
        self._quiet = 0
        self._tail = b""
        self._pieces: list[bytes] = []
        self._done = False
        self.fine = False
        """Whether chunks are so small that much should not be read in a row."""
        self._surplus = False
        self._error: PeerError | None = None

    @property
    def reusable(self) -> bool:
        """Whether all of the answer is here, and its connection good for another one (RFC 9112 9.3)."""
        head = self._head
        return self._done and not self._surplus and self._error is None and head is not None and head.keep_alive

    def receive(self, data: bytes) -> None:
        """Take bytes from the upstream; empty bytes mean that it has closed."""
        if self._error is not None:
            return
        if not data:
            self._close()
            return
        while data and self._head is None and self._error is None:
            data = self._receive_head(data)
        if data and self._error is None:
            self._receive_body(data)

    def events(self) -> Iterator[UpstreamEvent]:
        """What has arrived; raises PeerError(502) behind the last good event."""
        while self._events:
            yield self._events.popleft()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Let go of the parser, which knows us as we know it."""
        self._parser = None

    # The parser calls these.

    def on_message_begin(self) -> None:
        """Another answer behind the one that is complete."""
        self._surplus = self._surplus or self._done

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer (which nobody reads)."""
        if len(self._headers) >= _MOST_HEADERS:
            raise PeerError(502, f"the upstream sent more than {_MOST_HEADERS} headers")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there."""
        parser = self._parser
        if parser is None or self._done:
            return
        headers = tuple(self._headers)
        self._headers.clear()
        status, version = parser.get_status_code(), parser.get_http_version()
        head = _upstream_head(self._method, status, version, headers, keeps=parser.should_keep_alive())
        self._events.append(head)
        if status >= _FIRST_FINAL or status == _SWITCHING:
            self._head = head

    def on_body(self, data: bytes) -> None:
        """What a chunk holds."""
        if not self._done:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """The end of the last chunk's trailers."""
        if self._head is not None and self._head.body is Body.CHUNKED:
            self._finish()

    def _receive_head(self, data: bytes) -> bytes:
        """Parse up to the end of a head; what is behind it."""
        joined = self._tail + data
        found = joined.find(_END_OF_HEAD)
        end = found + 4 - len(self._tail) if found >= 0 else len(data)
        part, whole, known = data[:end], found >= 0 and not self._quiet, len(self._events)
        self._tail = joined[-3:] if found < 0 else b""
        if self._begins_otherwise(part):
            self._error = PeerError(502, "the upstream's answer is malformed: it does not begin with HTTP/")
            return b""
        self._begun = self._begun + len(part) if found < 0 else 0
        self._quiet += len(part)
        if self._quiet > _MOST_HEAD:
            self._error = PeerError(502, f"the upstream's answer has a head of more than {_MOST_HEAD} bytes")
            return b""
        self._feed(part)
        if found >= 0 and self._error is None and len(self._events) == known:
            self._error = PeerError(502, "the upstream's answer is malformed: no status line")
        elif self._head is not None:
            self._begin_body(self._head, part if whole else b"")
        return data[end:]

    def _begins_otherwise(self, part: bytes) -> bool:
        """To the parser RTSP and empty lines are fine, too."""
        rest = _START[self._begun :]
        return bool(rest) and not part.startswith(rest) and not rest.startswith(part)

    def _begin_body(self, head: UpstreamHead, seen: bytes) -> None:
        if head.body is Body.NONE and head.status != _SWITCHING:
            self._finish()
        elif head.body is Body.SIZED:
            self._left = head.length or 0
            _remember(seen, head)
            if not self._left:
                self._finish()
        self._quiet = 0

    def _receive_body(self, data: bytes) -> None:
        head = self._head
        if head is None or self._done:
            self._surplus = True
        elif head.status == _SWITCHING:
            self._events.append(Upgraded(data))
        elif head.body is Body.CHUNKED:
            self._receive_chunks(data)
        elif head.body is Body.SIZED:
            self._receive_sized(data)
        else:
            self._events.append(Data(data))

    def _receive_sized(self, data: bytes) -> None:
        left = self._left
        if len(data) > left:
            data, self._surplus = data[:left], True
        self._left = left - len(data)
        self._events.append(Data(data))
        if not self._left:
            self._finish()

    def _receive_chunks(self, data: bytes) -> None:
        waiting = len(self._events)
        self._feed(data)
        self.fine = len(data) < SMALL * len(self._pieces)
        self._join()
        # Bytes that amount to nothing are trailers and the frames of chunks: they may not go on for ever.
        self._quiet = 0 if len(self._events) > waiting else self._quiet + len(data)
        if self._quiet > _MOST_HEAD:
            self._error = PeerError(502, f"the upstream's answer says nothing in {_MOST_HEAD} bytes")

    def _feed(self, data: bytes) -> None:
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            return  # the head of a 101, of which nothing but the head was fed
        except HttpParserError as error:
            if self._done:
                self._surplus = True
            else:
                blamed = blame(error)
                ours = blamed.code == 502  # noqa: PLR2004  # what we said of it ourselves
                self._error = blamed if ours else PeerError(502, f"the upstream's answer is malformed: {blamed.reason}")

    def _join(self) -> None:
        """What came at once is one piece, in however many chunks."""
        pieces = self._pieces
        if pieces:
            self._events.append(Data(pieces[0] if len(pieces) == 1 else b"".join(pieces)))
            pieces.clear()

    def _finish(self) -> None:
        if not self._done:
            self._done = True
            self._join()
            self._events.append(End())

    def _close(self) -> None:
        self._surplus = True
        if self._done:
            return
        if self._head is not None and self._head.body is Body.UNTIL_CLOSE:
            self._finish()
        else:
            self._error = PeerError(502, "the upstream closed the connection before its answer was complete")


def _remember(seen: bytes, head: UpstreamHead) -> None:
    if not seen or len(seen) > _MAX_SEEN_SIZE or b"set-cookie" in head.names:
        return
    if len(_SEEN) >= _MAX_SEEN:
        del _SEEN[next(iter(_SEEN))]
    _SEEN[seen] = head


def _upstream_head(method: bytes, status: int, version: str, headers: Headers, *, keeps: bool) -> UpstreamHead:
    if version not in {"1.1", "1.0"} or status < _FIRST:
        raise PeerError(502, f"the upstream answers with HTTP/{version} and status {status}")
    if status == _SWITCHING:
        return UpstreamHead(status, headers, Body.NONE, None, False, lower_names(headers))
    codings = [value.lower() for name, value in headers if name.lower() == b"transfer-encoding"]
    lengths = [int(value) for name, value in headers if name.lower() == b"content-length"]
    if codings and (codings != [b"chunked"] or version == "1.0" or lengths):
        raise PeerError(502, "the upstream's transfer coding is other than chunked in HTTP/1.1 (RFC 9112 6.1)")
    length = lengths[0] if lengths else None
    passed, keeps = end_to_end(headers, b"content-length"), keeps and version == "1.1"
    if status < _FIRST_FINAL or status in BODILESS_STATUS or method == b"HEAD":
        # Whoever says that there is a body where there may be none may be about to send one, and what comes too late to
        # be seen here would be the next one's answer. Applications that take HEAD for GET are many.
        keeps, body = keeps and method != b"HEAD" and not (codings or length), Body.NONE
    elif codings:
        body = Body.CHUNKED
    else:
        body = Body.UNTIL_CLOSE if length is None else Body.SIZED
    return UpstreamHead(status, passed, body, length, keeps, lower_names(passed))

"""One HTTP/1.1 connection as the server sees it. Parsing is llhttp's, strictness included.

What llhttp lets pass and we don't: RTSP and other versions than 1.0 and 1.1, request lines with more than one space,
CONNECT and TRACE, transfer codings other than chunked, a missing or doubled Host, one that the target contradicts,
header names that applications take for another's, heads without bound.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from dataplane.protocols.proxy.known import find_known, learn
from dataplane.protocols.proxy.messages import (
    Body,
    Data,
    End,
    Event,
    Headers,
    Interim,
    Message,
    Request,
    Response,
    ResponseHead,
)
from dataplane.protocols.proxy.pieces import Pieces
from dataplane.protocols.proxy.targets import absolute_form, checked_target
from dataplane.protocols.proxy.wire import (
    LAST_CHUNK,
    encode_chunk,
    encode_head,
    find_canonical_name,
    parse_host,
)
from dataplane.sansio import PeerError
from dataplane.sansio.clients import SETTING

MAX_HEAD = 32 * 1024
"""Bytes of a head, or between two events."""
MAX_HEADERS = 100
MAX_TARGET = 8 * 1024
MAX_TURN = 8 * 1024
"""Bytes parsed in a row, but for large pieces of a body: each may cost as much as a thousand of those."""

_DROPPED = b""
_NAMES: dict[bytes, bytes] = {}
"""Spelling to canonical name, so that a name is judged once. Bounded: strangers may not fill our memory."""
_MAX_NAMES = 4096
_NO_REPEATS: frozenset[bytes] = frozenset()
_UNSUPPORTED = frozenset({b"CONNECT", b"TRACE"})
"""The one is for proxies that browsers choose, the other would show what we add for the application's eyes alone."""
BODILESS_STATUS = frozenset({204, 304})
_MAX_NAME = 64


def _unserved(version: str) -> str:
    return f"{version} is not served here, HTTP/1.1 and 1.0 are"


_UNHEARD = f"the PROXY protocol is heard from proxies within {SETTING} alone"
_UNSERVED = {"Pause on PRI/Upgrade": "HTTP/2", "Invalid HTTP version": "this version of HTTP"}
"""What the parser says, and what of."""


class HttpSession:
    """The server's side. Requests are answered in order: `send` speaks to the request that `events` gave last."""

    __slots__ = ("_add", "_append", "_begun", "_between", "_body", "_error", "_events", "_framing", "_headers",
                 "_in_head", "_parser", "_pending", "_request", "_rest", "_target", "closing", "ended")  # fmt: skip

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._headers: list[tuple[bytes, bytes]] = []
        self._append = self._headers.append
        self._parser = HttpRequestParser(self)
        self._target = b""
        self._in_head = False
        self._begun = b""
        self._pending = 0
        self._rest = b""
        self._body: Pieces | None = None
        self.ended = False  # the peer has closed its side
        self._error: PeerError | None = None
        self._request: Request | None = None
        self._framing = Body.NONE
        self._between = True
        self.closing = False
        """Set to end the connection with the answer at hand."""

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; empty bytes mean that it has closed its side."""
        if not data:
            self._close()
        elif self._rest:
            self._rest += data
        else:
            self._feed(data)

    def events(self) -> Iterator[Event]:
        """What has arrived, as far as it has; raises PeerError behind the last good event."""
        events = self._events
        while True:
            while events:
                event = events.popleft()
                if event.__class__ is Request:
                    self._request = event
                yield event
            if self._error is not None:
                raise self._error
            if not self._rest:
                return
            rest, self._rest = self._rest, b""
            self._feed(rest)
            if not events and self._error is None and not self._rest:
                return

    def send(self, message: Message) -> bytes:
        """Encode our answer, or a piece of it."""
        match message:
            case Response():
                return self._send_response(message)
            case ResponseHead():
                return self._send_head(message)
            case Interim(status=status, headers=headers):
                return encode_head(status, headers)
            case Data(data=data):
                return encode_chunk(data) if self._framing is Body.CHUNKED else data
            case End():
                return LAST_CHUNK if self._framing is Body.CHUNKED else b""

    def take_rest(self) -> bytes:
        """After an accepted upgrade: the bytes that are no longer HTTP."""
        rest, self._rest = self._rest, b""
        return rest

    # The parser calls these.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_head = True

    def on_url(self, part: bytes) -> None:
        """A piece of the request target."""
        self._target += part
        if len(self._target) > MAX_TARGET:
            raise PeerError(414, f"request target of more than {MAX_TARGET} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer; on the hot path one dict look-up judges the name."""
        known = _NAMES.get(name)
        if known is None:
            known = _learn(name)
        if known:
            # The parser leaves the space behind a value, which is no part of it (RFC 9112 5.1).
            self._append((known, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is there: make the event of it."""
        headers = tuple(self._headers)
        self._headers.clear()
        fields = dict(headers)
        repeated = _NO_REPEATS if len(fields) == len(headers) else _repeated(headers)
        self._check_size(headers)
        version = self._parser.get_http_version()
        method = self._parser.get_method()
        self._check_line(method, version)
        target, host = self._address(method, version, fields, repeated)
        if b"host" not in fields:  # whoever gets this in HTTP/1.1 has to have one (RFC 9112 3.2)
            fields[b"host"] = host.encode()
            headers = (*headers, (b"host", fields[b"host"]))
        if b"transfer-encoding" in repeated:
            raise PeerError(501, "more than one Transfer-Encoding header")
        body = _request_body(version, fields)
        switch = b"upgrade" in fields and self._parser.should_upgrade()
        if switch and body is not Body.NONE:
            # The switch would come behind the body (RFC 9110 7.8), but the parser stops before it; what it leaves there
            # must never be read as requests.
            raise PeerError(400, "a request to switch protocols with a body")
        if body is not Body.NONE:
            self._body = pieces = Pieces()
            self._add = pieces.add
        self._in_head = False
        self._target = b""
        self._events.append(
            Request(
                method,
                target,
                host,
                headers,
                fields,
                repeated,
                version.encode(),
                self._parser.should_keep_alive(),
                body,
                switch and version == "1.1",  # in 1.0 it means nothing (RFC 9110 7.8)
            )
        )

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._add(data)

    def on_message_complete(self) -> None:
        """Trailers end here, unread: nobody may smuggle a header behind a body."""
        if self._body is not None:
            self._tell(self._body.take())
            self._check_size(self._headers)
            self._headers.clear()
            self._body = None
            self._events.append(End())

    def _feed(self, data: bytes) -> None:
        # It spares the parsing only; every check is made anew.
        request = find_known(data) if self._between else None
        if request is not None:
            self._events.append(request)
        else:
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        if len(data) > MAX_TURN and (self._body is None or not self._body.bulk):
            data, self._rest = data[:MAX_TURN], data[MAX_TURN:]
        before = len(self._events)
        self._pending += len(data)
        self._begun += data
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            # Whoever does not accept the upgrade goes on in HTTP (RFC 9110 7.8): the rest waits for the decision.
            self._rest = data[upgrade.args[0] :] + self._rest
            self._parser = HttpRequestParser(self)
        except HttpParserError as error:
            introduces = self._begun.startswith((b"PROX", b"\r\n\r\n\0"))
            self._error = PeerError(400, _UNHEARD) if introduces else blame(error)
        if self._body is not None:
            self._weigh(self._body, len(data))
        if not self._in_head:
            self._begun = b""
        added = len(self._events) - before
        if added:
            self._pending = 0
            self._notice(data, added)
        elif self._pending > MAX_HEAD and self._error is None:
            self._error = PeerError(431, f"a head of more than {MAX_HEAD} bytes")
        else:
            self._between = False

    def _weigh(self, body: Pieces, size: int) -> None:
        """`size` bytes were parsed, and the body goes on."""
        try:
            self._tell(body.weigh(size, self._pending))
        except PeerError as error:
            self._error = self._error or error

    def _tell(self, data: bytes) -> None:
        if data:
            self._events.append(Data(data))

    def _notice(self, data: bytes, added: int) -> None:
        """Learn whether the parser stands between two messages now, and remember what was one whole request."""
        began_between, self._between = self._between, False
        last = self._events[-1]
        if added != 1 or not isinstance(last, Request) or self._error is not None:
            return
        if last.body is not Body.NONE or self._rest or not data.endswith(b"\r\n\r\n"):
            return
        self._between = last.keep_alive and not last.upgrade
        if began_between and self._between:
            learn(data, last)

    def _close(self) -> None:
        if self._error is None and not self.ended and (self._target or self._headers or self._body is not None):
            self._error = PeerError(400, "the connection ended within a request")
        self.ended = True

    def _check_size(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        if len(headers) > MAX_HEADERS:
            raise PeerError(431, f"more than {MAX_HEADERS} headers")
        may_be_large = self._pending > MAX_HEAD or self._body is not None
        if may_be_large and sum(len(name) + len(value) for name, value in headers) > MAX_HEAD:
            raise PeerError(431, f"a head of more than {MAX_HEAD} bytes")

    def _check_line(self, method: bytes, version: str) -> None:
        """The request line has one form (RFC 9112 3): with more space, or in RTSP, others read it otherwise.

        It is looked for in what has come since the message began; the parser doesn't say where that was.
        """
        if version not in {"1.1", "1.0"}:
            raise PeerError(505, _unserved(f"HTTP/{version}"))
        if b"%s %s HTTP/%s\r\n" % (method, self._target, version.encode()) not in self._begun:
            raise PeerError(400, "the request line is other than: METHOD TARGET HTTP/1.1")
        if method in _UNSUPPORTED:
            raise PeerError(501, f"{method.decode()} is not served here")

    def _address(
        self, method: bytes, version: str, fields: dict[bytes, bytes], repeated: frozenset[bytes]
    ) -> tuple[bytes, str]:
        """The target in origin form and the canonical host (RFC 9112 3.2)."""
        host = fields.get(b"host")
        if b"host" in repeated:
            raise PeerError(400, "more than one Host header")
        if host is None and version == "1.1":
            raise PeerError(400, "no Host header")
        name = parse_host(host) if host else ""
        target = self._target
        if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
            return checked_target(target), name
        target, authority = absolute_form(target)
        if host is not None and name != authority:
            # The target's would count (RFC 9112 3.2.2), but an application may look at the other one.
            raise PeerError(400, f"the request target names the host {authority!r}, the Host header {name!r}")
        return target, authority

    def _send_response(self, response: Response) -> bytes:
        head = ResponseHead(status=response.status, headers=response.headers, length=len(response.body))
        encoded = self._send_head(head)
        return encoded if self._is_bodiless(response.status) else encoded + response.body

    def _send_head(self, head: ResponseHead) -> bytes:
        self._framing = Body.NONE
        framing: Headers = ()
        if head.length is not None:
            if head.status not in BODILESS_STATUS or head.length:
                framing = ((b"Content-Length", b"%d" % head.length),)
        elif not self._is_bodiless(head.status):
            self._framing = Body.CHUNKED if self._speaks_11() else Body.UNTIL_CLOSE
            framing = ((b"Transfer-Encoding", b"chunked"),) if self._speaks_11() else ()
        return encode_head(head.status, (*head.headers, *framing, *self._connection()))

    def _connection(self) -> Headers:
        if not self.keeps_alive():
            return ((b"Connection", b"close"),)
        return () if self._speaks_11() else ((b"Connection", b"keep-alive"),)

    def keeps_alive(self) -> bool:
        """Whether the connection outlives the answer to the present request."""
        request = self._request
        if request is None or self.closing:
            return False
        return request.keep_alive and self._framing is not Body.UNTIL_CLOSE

    def connection_line(self) -> bytes:
        """The Connection header of an answer encoded elsewhere; empty where the default says it."""
        return b"".join(b"%s: %s\r\n" % header for header in self._connection())

    def refuse(self, response: Response) -> bytes:
        """The answer to a request that could not be read: there is nothing it could be fitted to."""
        self._request = None
        return self.send(response)

    def body_pending(self) -> bool:
        """Whether the present request has a body that has not arrived to its end."""
        return self._request is not None and self._request.body is not Body.NONE and self._body is not None

    def _speaks_11(self) -> bool:
        return self._request is None or self._request.version == b"1.1"

    def _is_bodiless(self, status: int) -> bool:
        return status in BODILESS_STATUS or (self._request is not None and self._request.method == b"HEAD")


def _learn(name: bytes) -> bytes:
    canonical = find_canonical_name(name) or _DROPPED
    if len(_NAMES) < _MAX_NAMES and len(name) <= _MAX_NAME:
        _NAMES[name] = canonical
    return canonical


def _repeated(headers: Headers) -> frozenset[bytes]:
    names = [name for name, _ in headers]
    return frozenset(name for name in names if names.count(name) > 1)


def _request_body(version: str, fields: dict[bytes, bytes]) -> Body:
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        # Only chunked, and only where the version knows it (RFC 9112 6.1): all else has been used to smuggle.
        if version == "1.0" or coding.lower() != b"chunked":
            raise PeerError(400 if version == "1.0" else 501, "transfer coding other than chunked in HTTP/1.1")
        return Body.CHUNKED
    return Body.SIZED if int(fields.get(b"content-length", b"0")) else Body.NONE


def blame(error: HttpParserError) -> PeerError:
    """What the peer did wrong, in its own words where one of our rules found it."""
    if isinstance(error, HttpParserCallbackError) and isinstance(error.__context__, PeerError):
        return error.__context__
    if isinstance(error, HttpParserInvalidMethodError):
        return PeerError(501, "unknown request method")
    version = _UNSERVED.get(str(error))
    return PeerError(400, str(error)) if version is None else PeerError(505, _unserved(version))

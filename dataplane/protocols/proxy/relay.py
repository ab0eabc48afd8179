"""The front door: passes a request on to an upstream and its answer back, piece by piece, WebSockets included.

Neither body is ever held whole: each side is read only as fast as the other takes. What describes the client
(X-Forwarded-*, X-Request-Id) is written by us after hop-by-hop headers are gone, so `Connection:` can't remove it.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gevent

from dataplane.io.dial import Address, Upstream, dial
from dataplane.io.stream import Expired
from dataplane.io.tcp import Connection
from dataplane.protocols.proxy.messages import (
    Body,
    Data,
    End,
    Headers,
    Interim,
    Message,
    Request,
    Response,
    ResponseHead,
    Upgraded,
    UpstreamHead,
    UpstreamRequest,
)
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.trust import Seen
from dataplane.protocols.proxy.upstream import UpstreamSession
from dataplane.protocols.proxy.wire import HOP_BY_HOP, is_managed
from dataplane.sansio import PeerError

DIAL_TIMEOUT = 5.0
ANSWER_TIMEOUT = 60.0

_KEPT = frozenset({b"host", b"cookie", b"authorization", b"x-garrison-mac"})
"""Managed towards aliases, but the client's own to send; the last proves an outpost that enrols by this door."""

_log = logging.getLogger("dataplane.proxy")

Fail = Callable[[int, str], Response]
"""Makes the page for 502 and 504."""


class Relay:
    """One upstream, dialled anew for each request."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def forward(self, request: Request, session: HttpSession, connection: Connection[Any], exchange: "Exchange") -> int:
        """Carry out the whole exchange; returns the status that the client got."""
        try:
            upstream = dial(self._address, DIAL_TIMEOUT)
        except OSError as error:
            return _fail(session, connection, exchange.fail(502, f"can't connect: {error}"))
        with upstream:
            carrier = _Carrier(request, session, connection, upstream)
            return carrier.carry(upstream_request(request, exchange), exchange.fail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What belongs to one request but is not in it."""

    seen: Seen
    id: str
    fail: Fail


class _ClientGone(Exception):
    """The client has left: nobody is to blame, and nobody to be told."""


class _Carrier:
    """The state of one exchange."""

    def __init__(self, request: Request, session: HttpSession, connection: Connection[Any], upstream: Upstream) -> None:
        self._request = request
        self._session = session
        self._connection = connection
        self._upstream = upstream
        self._answer = UpstreamSession()
        self._sent = 0

    def carry(self, head: UpstreamRequest, fail: Fail) -> int:
        upload: gevent.Greenlet[..., None] | None = None
        try:
            self._upstream.write(self._answer.send(head), DIAL_TIMEOUT)
            if head.body is not Body.NONE:
                upload = gevent.spawn(self._upload)
            self._download(upload)
        except _ClientGone:
            self._connection.finish()
        except TimeoutError:
            return self._break_off(fail(504, "no answer in time"))
        except PeerError as error:
            return self._break_off(fail(502, error.reason))
        except ConnectionError as error:
            return self._break_off(fail(502, str(error)))
        finally:
            if upload is not None:
                if not upload.ready():  # what is left of the request can't be told from the next one
                    self._connection.finish()
                upload.kill()
        return self._sent

    def _upload(self) -> None:
        """Client to upstream. A failure here shows on the other side; the upstream may well have answered already."""
        connection, upstream = self._connection, self._upstream
        if self._request.fields.get(b"expect", b"").lower() == b"100-continue":
            connection.send(self._session.send(Interim(status=100)))
        try:
            while True:
                event = connection.find_next_event()
                if not isinstance(event, Data):
                    upstream.write(self._answer.send(End()), ANSWER_TIMEOUT)
                    return
                upstream.write(self._answer.send(event), ANSWER_TIMEOUT)
        except (PeerError, Expired, OSError) as error:
            _log.debug("upload broken off: %s", error)
            connection.finish()
            upstream.half_close()

    def _download(self, upload: "gevent.Greenlet[..., None] | None") -> None:
        while True:
            for event in self._answer.events():
                match event:
                    case UpstreamHead(status=101):
                        self._sent = 101
                        self._deliver(Interim(status=101, headers=_switching(event)))
                    case UpstreamHead():
                        self._send_head(event)
                    case Data():
                        self._deliver(event)
                    case End():
                        self._deliver(event)
                        if not self._session.keeps_alive():
                            self._connection.finish()
                        return
                    case Upgraded(data=data):
                        self._tunnel(data)
                        return
            self._answer.receive(self._read(upload))

    def _read(self, upload: "gevent.Greenlet[..., None] | None") -> bytes:
        """A slow upload is not the upstream's fault: its time counts from the end of the request."""
        while True:
            try:
                return self._upstream.read(ANSWER_TIMEOUT)
            except TimeoutError:
                if upload is None or upload.ready():
                    raise

    def _send_head(self, head: UpstreamHead) -> None:
        length = 0 if head.body is Body.NONE and head.length is None else head.length
        if head.status in {204, 304} and head.length is None:
            length = 0
        answer = ResponseHead(status=head.status, headers=end_to_end(head.headers, b"content-length"), length=length)
        self._sent = head.status
        self._deliver(answer)

    def _deliver(self, message: Message) -> None:
        try:
            self._connection.send(self._session.send(message))
        except ConnectionError as error:
            raise _ClientGone from error

    def _tunnel(self, early: bytes) -> None:
        """Both ways until one side ends; a silent WebSocket is nobody's fault, so there is no idle limit."""
        connection, upstream = self._connection, self._upstream
        connection.finish()
        if early:
            connection.send(early)
        back = gevent.spawn(self._pump_back)
        rest = self._session.take_rest()
        try:
            with suppress(OSError, Expired):
                while not back.ready():
                    if rest:
                        upstream.write(rest, ANSWER_TIMEOUT)
                    rest = connection.read(float("inf"))
                    if not rest:
                        return
        finally:
            upstream.half_close()
            back.join(ANSWER_TIMEOUT)
            back.kill()

    def _pump_back(self) -> None:
        with suppress(OSError, Expired):
            while data := self._upstream.read(None):
                self._connection.send(data)
        self._connection.interrupt()

    def _break_off(self, page: Response) -> int:
        """An error before the head becomes a page; after it, only a torn connection tells the truth."""
        self._connection.finish()
        if self._sent:
            self._connection.abort()
            return self._sent
        self._session.closing = True
        return _fail(self._session, self._connection, page)


def upstream_request(request: Request, exchange: Exchange) -> UpstreamRequest:
    """The request as the upstream gets it."""
    headers = [(name, value) for name, value in end_to_end(request.headers, b"expect") if _may_pass(name)]
    upgrades = request.upgrade and request.fields[b"upgrade"].lower() == b"websocket" and request.body is Body.NONE
    connection: Headers = ((b"Connection", b"close"),)
    if upgrades:
        connection = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
    if request.body is Body.CHUNKED:
        connection += ((b"Transfer-Encoding", b"chunked"),)
    forwarding = (
        # The client as we found it, not a list: whoever reads it need not know how many proxies there were.
        (b"X-Forwarded-For", exchange.seen.client.encode()),
        (b"X-Forwarded-Host", exchange.seen.host.encode()),
        (b"X-Forwarded-Proto", exchange.seen.scheme.encode()),
        (b"X-Request-Id", exchange.id.encode()),
    )
    return UpstreamRequest(
        method=request.method,
        target=request.target,
        headers=(*headers, *connection, *forwarding),
        body=request.body,
    )


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


def _may_pass(name: bytes) -> bool:
    return name in _KEPT or not is_managed(name)


def _switching(head: UpstreamHead) -> Headers:
    kept = end_to_end(head.headers, b"content-length")
    return (*kept, (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))


def _fail(session: HttpSession, connection: Connection[Any], page: Response) -> int:
    if session.body_pending():
        connection.finish()
        session.closing = True
    connection.send(session.send(page))
    return page.status

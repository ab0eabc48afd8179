"""The front door: passes a request on to an upstream and its answer back, piece by piece, WebSockets included.

No body is ever held whole unless it is small; see `flow` for who waits for whom. What describes the client
(X-Forwarded-*, X-Request-Id) and what frames a body is written by us after hop-by-hop headers are gone, so
`Connection:` can't remove it.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore

from dataplane.io.connection import Connection
from dataplane.io.dial import Address, Upstream, dial
from dataplane.io.stream import Expired
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
from dataplane.protocols.proxy.relay.flow import Held, Intake, Outbox, RelayLimits
from dataplane.protocols.proxy.relay.lanes import LaneFull, Lanes, Place
from dataplane.protocols.proxy.relay.session import UpstreamSession
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.trust import Seen
from dataplane.protocols.proxy.wire import HOP_BY_HOP, is_managed
from dataplane.sansio import PeerError

_KEPT = frozenset({b"host", b"cookie", b"authorization", b"x-garrison-mac"})
"""Managed towards aliases, but the client's own to send; the last proves an outpost that enrols by this door."""

_log = logging.getLogger("dataplane.proxy")

Fail = Callable[[int, str], Response]
"""Makes the page for 502 and 504."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What belongs to one request but is not in it."""

    seen: Seen
    id: str
    fail: Fail
    """The page for an upstream that failed."""
    refuse: Fail
    """The page for a client that took too much or too long."""


class Relay:
    """One upstream, dialled anew for each request."""

    def __init__(self, address: Address, limits: RelayLimits | None = None) -> None:
        self._address = address
        self._limits = limits or RelayLimits()
        self._lanes = Lanes(self._limits.per_client)
        self._uploads = BoundedSemaphore(self._limits.uploads)
        self._held = Held()

    def forward(self, request: Request, session: HttpSession, connection: Connection[Any], exchange: Exchange) -> int:
        """Carry out the whole exchange; returns the status that the client got."""
        try:
            with self._lanes.place(exchange.seen.client, self._limits.patience) as place:
                return self._forward(request, _Client(session, connection, place), exchange)
        except LaneFull:
            return _Client(session, connection).refuse("exchanges_per_client", HTTPStatus.SERVICE_UNAVAILABLE, exchange)

    def _forward(self, request: Request, client: "_Client", exchange: Exchange) -> int:
        if request.body is Body.NONE:
            return self._dial(upstream_request(request, exchange, None), b"", None, client, exchange)
        if request.version == b"1.1" and request.fields.get(b"expect", b"").lower() == b"100-continue":
            client.connection.send(client.session.send(Interim(status=100)))
        intake = Intake(client.connection, self._limits)
        try:
            held, is_all = intake.spool()
        except Expired as expired:
            return client.refuse(expired.limit, HTTPStatus.REQUEST_TIMEOUT, exchange)
        if is_all:
            return self._dial(upstream_request(request, exchange, len(held)), held, None, client, exchange)
        if not self._uploads.acquire(blocking=False):
            return client.refuse("large_uploads", HTTPStatus.SERVICE_UNAVAILABLE, exchange)
        try:
            return self._dial(upstream_request(request, exchange, None), held, intake, client, exchange)
        finally:
            self._uploads.release()

    def _dial(
        self, head: UpstreamRequest, held: bytes, intake: Intake | None, client: "_Client", exchange: Exchange
    ) -> int:
        try:
            upstream = dial(self._address, self._limits.dial)
        except OSError as error:
            return client.answer(exchange.fail(HTTPStatus.BAD_GATEWAY, f"can't connect: {error}"))
        outbox = Outbox(client.connection, self._limits, self._held)
        carrier = _Carrier(client, upstream, outbox, self._limits)
        try:
            return carrier.carry(head, held, intake, exchange.fail)
        finally:
            upstream.close()
            outbox.close()


class _Client:
    """The side that asked."""

    def __init__(self, session: HttpSession, connection: Connection[Any], place: Place | None = None) -> None:
        self.session = session
        self.connection = connection
        self._place = place

    def answer(self, page: Response) -> int:
        """Our own answer in place of the upstream's."""
        if self.session.body_pending():
            self.session.closing = True
        if not self.session.keeps_alive():
            self.connection.finish()
        self.connection.send(self.session.send(page))
        return page.status

    def refuse(self, limit: str, status: HTTPStatus, exchange: Exchange) -> int:
        """Our answer to who has hit a limit."""
        self.count(limit)
        self.session.closing = True
        return self.answer(exchange.refuse(status, limit))

    def count(self, limit: str) -> None:
        """A limit was hit."""
        self.connection.server.counts.limits[limit] += 1

    def leave_lane(self) -> None:
        """From now on this is no exchange any more."""
        if self._place is not None:
            self._place.give_back()


class _Carrier:
    """The state of one exchange."""

    def __init__(self, client: _Client, upstream: Upstream, outbox: Outbox, limits: RelayLimits) -> None:
        self._client = client
        self._session = client.session
        self._connection = client.connection
        self._upstream = upstream
        self._outbox = outbox
        self._limits = limits
        self._answer = UpstreamSession()
        self._upload: gevent.Greenlet[..., None] | None = None
        self._upgrades = False
        self._sent = 0

    def carry(self, head: UpstreamRequest, held: bytes, intake: Intake | None, fail: Fail) -> int:
        """Pass both ways what is there: `held` is the body, or its beginning where there is an `intake`."""
        self._upgrades = _names_websocket(head.headers)
        try:
            self._upstream.write(self._answer.send(head) + self._encoded(held), self._limits.answer)
            if intake is not None:
                self._upload = gevent.spawn(self._send_rest, intake)
            self._download()
        except _ClientGone:
            self._connection.finish()
        except Expired as expired:
            self._client.count(expired.limit)
            self._connection.finish()
            self._connection.abort()
        except TimeoutError:
            return self._break_off(fail(HTTPStatus.GATEWAY_TIMEOUT, "no answer in time"))
        except PeerError as error:
            return self._break_off(fail(HTTPStatus.BAD_GATEWAY, error.reason))
        except ConnectionError as error:
            return self._break_off(fail(HTTPStatus.BAD_GATEWAY, str(error)))
        finally:
            self._end_upload()
        return self._sent

    def _encoded(self, held: bytes) -> bytes:
        return self._answer.send(Data(held)) if held else b""

    def _send_rest(self, intake: Intake) -> None:
        """Client to upstream. A failure here shows on the other side; the upstream may well have answered already."""
        upstream = self._upstream
        try:
            while (piece := intake.find_next()) is not None:
                upstream.write(self._answer.send(Data(piece)), self._limits.answer)
            upstream.write(self._answer.send(End()), self._limits.answer)
        except (PeerError, Expired, OSError) as error:
            _log.debug("upload broken off: %s", error)
            if isinstance(error, Expired):
                self._client.count(error.limit)
            self._connection.finish()
            upstream.half_close()

    def _end_upload(self) -> None:
        upload = self._upload
        if upload is None:
            return
        if not upload.ready():  # what is left of the request can't be told from the next one
            self._connection.finish()
        upload.kill()

    def _download(self) -> None:
        while True:
            for event in self._answer.events():
                match event:
                    case UpstreamHead(status=101):
                        self._switch(event)
                    case UpstreamHead():
                        self._send_head(event)
                    case Data():
                        self._deliver(event)
                    case End():
                        self._end(event)
                        return
                    case Upgraded(data=data):
                        self._tunnel(data)
                        return
            self._answer.receive(self._read())

    def _read(self) -> bytes:
        """A slow upload is not the upstream's fault: its time counts from the end of the request."""
        while True:
            try:
                return self._upstream.read(self._limits.answer)
            except TimeoutError:
                if self._upload is None or self._upload.ready():
                    raise

    def _send_head(self, head: UpstreamHead) -> None:
        length = 0 if head.body is Body.NONE and head.length is None else head.length
        if head.status == HTTPStatus.NO_CONTENT or (head.status == HTTPStatus.NOT_MODIFIED and head.length is None):
            length = 0  # RFC 9110 8.6: none at all in 204
        unfinished = self._upload is not None and not self._upload.ready()
        if unfinished or self._connection.server.draining:
            self._session.closing = True
        answer = ResponseHead(status=head.status, headers=end_to_end(head.headers, b"content-length"), length=length)
        self._sent = head.status
        self._deliver(answer)

    def _switch(self, head: UpstreamHead) -> None:
        if not self._upgrades or not _names_websocket(head.headers):
            raise PeerError(HTTPStatus.BAD_GATEWAY, "the upstream switches to a protocol that nobody asked for")
        self._sent = head.status
        self._deliver(Interim(status=101, headers=_switching(head)))

    def _deliver(self, message: Message) -> None:
        with _blaming_the_client():
            self._outbox.put(self._session.send(message))

    def _end(self, message: End) -> None:
        """All is here: the upstream is let go, however long the client still takes."""
        self._deliver(message)
        self._upstream.close()
        with _blaming_the_client():
            self._outbox.flush()
        if not self._session.keeps_alive():
            self._connection.finish()

    def _tunnel(self, early: bytes) -> None:
        """Both ways until one side ends; a silent WebSocket is nobody's fault, so there is no idle limit."""
        connection, upstream = self._connection, self._upstream
        connection.finish()
        self._client.leave_lane()
        with _blaming_the_client():
            self._outbox.put(early)
            self._outbox.flush()
        back = gevent.spawn(self._pump_back)
        rest = self._session.take_rest()
        try:
            with suppress(OSError, Expired):
                while not back.ready():
                    if rest:
                        upstream.write(rest, self._limits.answer)
                    rest = connection.read(float("inf"))
                    if not rest:
                        return
        finally:
            upstream.half_close()
            back.join(self._limits.answer)
            back.kill()

    def _pump_back(self) -> None:
        with suppress(OSError, Expired):
            while data := self._upstream.read(None):
                self._connection.send(data)
        self._connection.interrupt()

    def _break_off(self, page: Response) -> int:
        """An error before the head becomes a page; after it, only a torn connection tells the truth."""
        if self._sent:
            self._connection.finish()
            self._connection.abort()
            return self._sent
        self._session.closing = True
        return self._client.answer(page)


class _ClientGone(Exception):
    """The client has left: nobody is to blame, and nobody to be told."""


@contextmanager
def _blaming_the_client() -> Iterator[None]:
    try:
        yield
    except ConnectionError as error:
        raise _ClientGone from error


def upstream_request(request: Request, exchange: Exchange, length: int | None) -> UpstreamRequest:
    """The request as the upstream gets it; `length` of its body if that is known better than from its head."""
    dropped = end_to_end(request.headers, b"expect", b"content-length")
    headers = [(name, value) for name, value in dropped if _may_pass(name)]
    connection: Headers = ((b"Connection", b"close"),)
    if request.upgrade and request.fields[b"upgrade"].lower() == b"websocket":
        connection = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
    body, framing = _framing(request, length)
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
        headers=(*headers, *connection, *framing, *forwarding),
        body=body,
    )


def _framing(request: Request, length: int | None) -> tuple[Body, Headers]:
    """Written anew from what was understood, not passed on (RFC 9112 6.3)."""
    if length is None and request.body is Body.CHUNKED:
        return Body.CHUNKED, ((b"Transfer-Encoding", b"chunked"),)
    if length is None and b"content-length" not in request.fields:
        return Body.NONE, ()
    size = int(request.fields[b"content-length"]) if length is None else length
    return Body.SIZED, ((b"Content-Length", b"%d" % size),)


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


def _names_websocket(headers: Headers) -> bool:
    return any(name.lower() == b"upgrade" and value.lower() == b"websocket" for name, value in headers)

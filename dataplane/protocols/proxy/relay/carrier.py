"""One exchange: a request goes on to an upstream, its answer comes back, piece by piece.

A request is sent again, once and to a fresh connection, only if it can do no harm: nothing of an answer came, the
connection had served others before, the method is idempotent (RFC 9110 9.2.2) and the body is wholly here. Everything
that waits here may be broken off by an exception from the hub.
"""

import time
from typing import Any, Protocol

from gevent import get_hub, getcurrent

from dataplane.io.connection import Connection
from dataplane.io.dial import Upstream
from dataplane.io.pool import Full, Lease, Unreachable
from dataplane.io.stream import LimitHit
from dataplane.protocols.proxy.messages import Body, Interim, Request, ResponseHead, UpstreamHead
from dataplane.protocols.proxy.relay.answer import Answer
from dataplane.protocols.proxy.relay.exchange import POLICY, Broken, Exchange, Failure, Outcome
from dataplane.protocols.proxy.relay.flow import Held, Outbox, RelayLimits
from dataplane.protocols.proxy.relay.headers import (
    body_end,
    end_to_end,
    plain_end,
    upgrade_end,
    whole_head,
)
from dataplane.protocols.proxy.relay.lanes import Place
from dataplane.protocols.proxy.relay.session import find_whole
from dataplane.protocols.proxy.relay.tunnel import Tunnel
from dataplane.protocols.proxy.relay.upload import Payload, Upload, take_payload
from dataplane.protocols.proxy.relay.websocket import SWITCHING, check_accepted, is_wanted, key_of
from dataplane.protocols.proxy.session import HttpSession
from dataplane.sansio import PeerError

_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
_CONTINUE, _SWITCHING, _FIRST_FINAL = 100, 101, 200


class Room(Protocol):
    """What the exchanges of an application share."""

    limits: RelayLimits
    held: Held

    def take(self, *, fresh: bool) -> Lease:
        """A connection to the upstream. Raises Unreachable and Full."""
        ...

    def begin_upload(self) -> bool:
        """Whether there is room for one more large body; then end_upload has to follow."""
        ...

    def end_upload(self) -> None:
        """It is over."""
        ...

    def opened(self, carrier: "Carrier") -> None:
        """Its WebSocket is open; closed has to follow."""
        ...

    def closed(self, carrier: "Carrier") -> None:
        """It isn't any more."""
        ...


class Carrier:
    """The state of one exchange."""

    __slots__ = (
        "_connection", "_exchange", "_greenlet", "_key", "_lease", "_limits", "_outbox", "_over", "_place", "_request",
        "_room", "_session", "_timer", "_tunnel", "_upload", "_waiting_since", "outcome",
    )  # fmt: skip

    def __init__(
        self, room: Room, request: Request, session: HttpSession, connection: Connection[Any], exchange: Exchange
    ) -> None:
        self._room = room
        self._limits = room.limits
        self._request = request
        self._session = session
        self._connection = connection
        self._exchange = exchange
        self._greenlet: Any = getcurrent()
        self._place: Place | None = None
        self._lease: Lease | None = None
        self._upload: Upload | None = None
        self._outbox: Outbox | None = None
        self._tunnel: Tunnel | None = None
        self._timer: Any = None
        self._key = b""
        self._over = False
        self.outcome = Outcome(began=time.monotonic())
        self._waiting_since = self.outcome.began

    def carry(self, place: Place) -> None:
        """Do it all; what went wrong is told to the client, and stands in the outcome."""
        self._place = place
        try:
            if self._request.body is Body.NONE:
                self._carry_plain()
            else:
                self._carry_body()
        except Broken as broken:
            self.fail(broken)
        finally:
            self._over = True
            self._clean_up()

    def end(self, code: int = POLICY) -> None:
        """End it from wherever."""
        if not self._over:
            get_hub().loop.run_callback(self._end_now, code)

    def fail(self, broken: Broken) -> None:
        """An error before the head becomes a page; after it, only a torn connection tells the truth."""
        outcome, connection, session = self.outcome, self._connection, self._session
        outcome.failure, outcome.detail = broken.failure, broken.detail
        if broken.failure in {Failure.CLIENT_SLOW, Failure.CROWDED}:
            connection.server.counts.limits[broken.detail] += 1
            session.closing = True
        if outcome.status or broken.failure is Failure.CLIENT_GONE:
            connection.finish()
            connection.abort()
            return
        detail = broken.detail
        if outcome.address and broken.failure is not Failure.CROWDED:
            detail = f"{outcome.address}: {detail}"
        page = self._exchange.fail(broken.failure, detail)
        if session.body_pending() or connection.server.draining:
            session.closing = True
        if not session.keeps_alive():
            connection.finish()
        outcome.status = page.status
        connection.send(session.send(page))

    # The request

    def _carry_plain(self) -> None:
        request, onward = self._request, self._exchange.onward
        if request.upgrade and is_wanted(request):
            try:
                self._key = key_of(request)
            except PeerError as error:
                raise Broken(Failure.HANDSHAKE, error.reason) from error
            end = upgrade_end()
        else:
            end = plain_end(request, reuse=self._limits.reuse)
        self._answer(self._ask(onward.head + end, None))

    def _carry_body(self) -> None:
        payload = take_payload(self._request, self._session, self._connection, self._limits)
        self.outcome.received = payload.received
        head = body_end(payload.length, reuse=self._limits.reuse, expects=payload.expects)
        message = self._exchange.onward.head + head + payload.encoded()
        if payload.rest is None:
            self._answer(self._ask(message, payload))
            return
        if not self._room.begin_upload():
            raise Broken(Failure.CROWDED, "large_uploads")
        try:
            self._answer(self._ask(message, payload))
        finally:
            self._room.end_upload()

    def _ask(self, message: bytes, payload: Payload | None) -> bytes:
        """Send the request; the first bytes of the answer."""
        lease = self._take(fresh=False)
        if not lease.reused or self._exchange.onward.method not in _IDEMPOTENT or (payload and payload.rest):
            return self._try(lease.wire, message, payload)
        try:
            return self._try(lease.wire, message, payload)
        except Broken as broken:
            if broken.failure is not Failure.RESET:
                raise
        lease.drop()
        self._lease = None
        return self._try(self._take(fresh=True).wire, message, payload)

    def _take(self, *, fresh: bool) -> Lease:
        try:
            lease = self._room.take(fresh=fresh)
        except Unreachable as error:
            self.outcome.address = error.address
            raise Broken(Failure(error.failure), error.detail) from error
        except Full as error:
            raise Broken(Failure.FULL, "all connections to the upstream are busy") from error
        self._lease = lease
        self.outcome.address = lease.address
        return lease

    def _try(self, wire: Upstream, message: bytes, payload: Payload | None) -> bytes:
        try:
            wire.write(message, self._limits.idle)
        except TimeoutError as error:
            raise Broken(Failure.STALLED, "the upstream does not take the request") from error
        except OSError as error:
            raise Broken(Failure.RESET, f"the upstream does not take the request: {error}") from error
        self._waiting_since = time.monotonic()
        if payload is not None and payload.rest is not None:
            self._upload = Upload(payload, payload.rest, wire, self._limits, self._break)
            self._upload.start(self._session, self._connection)
        data = self._read(wire)
        if not data:
            raise Broken(Failure.RESET, "the upstream closed the connection before its answer")
        return data

    # The answer

    def _read(self, wire: Upstream) -> bytes:
        """The upstream's next bytes, empty at the end, while a look is kept on the client."""
        upload, stream = self._upload, self._connection.stream
        if upload is not None and upload.ended is None:
            return self._read_beside(upload, wire)
        stream.rest(self._heard)
        try:
            return wire.read(self._time_left())
        except TimeoutError as error:
            raise self._late() from error
        except OSError as error:
            raise Broken(Failure.RESET, f"the upstream broke the connection: {error}") from error
        finally:
            stream.stir()

    def _read_beside(self, upload: Upload, wire: Upstream) -> bytes:
        """A slow upload is not the upstream's fault: its time counts from the end of the request."""
        time = self._limits.idle if self.outcome.status else self._limits.answer
        while True:
            try:
                return wire.read(time)
            except TimeoutError as error:
                if upload.ended is None:
                    continue
                self._waiting_since = max(upload.ended, self._waiting_since)
                time = self._time_left()
                if time <= 0.0:
                    raise self._late() from error
            except OSError as error:
                raise Broken(Failure.RESET, f"the upstream broke the connection: {error}") from error

    def _time_left(self) -> float:
        if self.outcome.status:
            return self._limits.idle
        return self._waiting_since + self._limits.answer - time.monotonic()

    def _late(self) -> Broken:
        if self.outcome.status:
            return Broken(Failure.STALLED, "the upstream stopped in the midst of its answer")
        return Broken(Failure.LATE_ANSWER, "no answer in time")

    def _answer(self, data: bytes) -> None:
        whole = find_whole(self._exchange.onward.method, data)
        if whole is not None and self._upload is None:
            self._deliver_whole(*whole)
            return
        answer = Answer(self._request, self._session, self._exchange, self._upload, self.outcome)
        try:
            self._deliver(answer, data)
        finally:
            answer.close()

    def _deliver(self, answer: Answer, data: bytes) -> None:
        """Piece by piece, each as soon as it is here."""
        lease = self._lease
        assert lease is not None  # noqa: S101  # data came over it
        while True:
            if self._connection.server.draining:
                self._session.closing = True
            out = answer.translate(data)
            if answer.switch is not None:
                self._put(out)
                self._switch(answer.switch, answer.early)
                return
            if answer.ended:
                self._release(reusable=answer.reusable)
                self._put(out)
                self._finish()
                return
            self._put(out)
            data = self._read(lease.wire)

    def _deliver_whole(self, head: UpstreamHead, body: bytes) -> None:
        """All of a small answer in one piece, whose head is known."""
        request, session, connection = self._request, self._session, self._connection
        headers = self._exchange.answer(head)
        self.outcome.note(head.status, time.monotonic())
        self.outcome.sent = len(body)
        self._release(reusable=head.keep_alive)
        if request.version == b"1.1" and request.keep_alive and not session.closing and not connection.server.draining:
            self._put(whole_head(head.status, headers, len(body)) + body)
        else:
            if connection.server.draining:
                session.closing = True
            self._put(session.send(ResponseHead(status=head.status, headers=headers, length=len(body))) + body)
        self._finish()

    def _put(self, data: bytes) -> None:
        try:
            if self._outbox is None:
                if not data or self._connection.stream.post(data):
                    return
                self._outbox = Outbox(self._connection, self._limits, self._room.held)
                self._outbox.adopt()
            else:
                self._outbox.put(data)
        except OSError as error:
            raise Broken(Failure.CLIENT_GONE, str(error)) from error
        except LimitHit as hit:
            raise Broken(Failure.CLIENT_SLOW, hit.limit) from hit

    def _finish(self) -> None:
        """All is here: the upstream was let go, however long the client still takes."""
        if self._outbox is not None:
            try:
                self._outbox.flush()
            except OSError as error:
                raise Broken(Failure.CLIENT_GONE, str(error)) from error
            except LimitHit as hit:
                raise Broken(Failure.CLIENT_SLOW, hit.limit) from hit
        if not self._session.keeps_alive():
            self._connection.finish()

    def _release(self, *, reusable: bool) -> None:
        lease, self._lease = self._lease, None
        upload = self._upload
        if lease is None:
            return
        if reusable and self._limits.reuse and (upload is None or upload.whole):
            lease.give_back()
        else:
            lease.drop()

    # WebSockets

    def _switch(self, head: UpstreamHead, early: bytes) -> None:
        lease, place = self._lease, self._place
        assert lease is not None and place is not None  # noqa: S101, PT018  # an answer comes over it
        self._check_switch(head)
        headers = self._exchange.answer(head._replace(headers=end_to_end(head.headers, b"content-length")))
        self.outcome.note(head.status, time.monotonic())
        self.outcome.upgraded = True
        self._put(self._session.send(Interim(status=head.status, headers=(*headers, *SWITCHING))))
        place.give_back()
        tunnel = self._tunnel = Tunnel(self._connection, lease.wire, self._limits)
        self._room.opened(self)
        try:
            tunnel.run(early, self._session.take_rest())
        finally:
            self._room.closed(self)
            self.outcome.received, self.outcome.sent = tunnel.received, tunnel.sent
            if tunnel.ended:
                self.outcome.failure = Failure.ENDED

    def _check_switch(self, head: UpstreamHead) -> None:
        if not self._key:
            raise Broken(Failure.UPGRADE, "the upstream switches to a protocol that nobody asked for")
        try:
            check_accepted(self._key, head.headers)
        except PeerError as error:
            raise Broken(Failure.UPGRADE, error.reason) from error

    # What comes from outside

    def _end_now(self, code: int) -> None:
        """In the hub."""
        if self._tunnel is not None:
            self._tunnel.end(code)
        else:
            self._throw(Broken(Failure.ENDED))

    def _break(self, broken: Broken) -> None:
        """The upload can't go on, so nothing can."""
        get_hub().loop.run_callback(self._throw, broken)

    def _throw(self, broken: Broken) -> None:
        """In the hub: whoever is not over waits for something in here."""
        if not self._over:
            self._greenlet.throw(broken)

    def _heard(self, ready: bool) -> None:  # as the stream says it
        """In the hub: the client said something, or left, while its answer is waited for."""
        stream = self._connection.stream
        if not ready:  # a deadline that is not ours
            stream.rest(self._heard)
            return
        try:
            if not stream.has_left():
                return
        except OSError as error:
            self._throw(Broken(Failure.CLIENT_GONE, str(error)))
            return
        # It may have closed its side only: somebody who pipes a request in does.
        self._timer = get_hub().loop.timer(self._limits.left)
        self._timer.start(self._throw, Broken(Failure.CLIENT_GONE, "closed"))

    def _clean_up(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
        if self._upload is not None:
            self.outcome.received = self._upload.received
            if not self._upload.whole:
                self._connection.finish()
            self._upload.close()
        if self._lease is not None:
            self._lease.drop()
        if self._outbox is not None:
            self._outbox.close()

"""One exchange: a request goes on to an upstream, its answer comes back, piece by piece.

A request is sent again, once and to a fresh connection, only if it can do no harm: nothing of an answer came, the
connection had served others before, the method is idempotent (RFC 9110 9.2.2) and the body is wholly here. Everything
that waits here may be broken off by an exception from the hub.
"""

import ssl
import time
from dataclasses import replace
from typing import Any

from gevent import GreenletExit, get_hub, getcurrent

from dataplane.io.connection import Connection
from dataplane.io.dial import Upstream
from dataplane.io.pool import Full, Lease, Unreachable
from dataplane.protocols.proxy.messages import Body, Headers, Interim, Request, ResponseHead, UpstreamHead, lower_names
from dataplane.protocols.proxy.relay.answer import Answer
from dataplane.protocols.proxy.relay.client import Client
from dataplane.protocols.proxy.relay.exchange import POLICY, Broken, Exchange, Failure, Outcome
from dataplane.protocols.proxy.relay.headers import body_end, end_to_end, plain_end, upgrade_end, whole_head
from dataplane.protocols.proxy.relay.lanes import LaneFull, Place
from dataplane.protocols.proxy.relay.room import Room
from dataplane.protocols.proxy.relay.session import find_sized
from dataplane.protocols.proxy.relay.tunnel import Tunnel
from dataplane.protocols.proxy.relay.upload import Payload, Upload, take_payload
from dataplane.protocols.proxy.relay.websocket import SWITCHING, VERSION, check_accepted, is_wanted, key_of
from dataplane.protocols.proxy.session import HttpSession
from dataplane.sansio import PeerError

_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
_LIMITS = frozenset({Failure.CLIENT_SLOW, Failure.CROWDED})
"""Of these the detail is the name of a limit."""
_CLIENTS = _LIMITS | {Failure.HANDSHAKE, Failure.REQUEST, Failure.ENDED}
"""With these the upstream has nothing to do."""

_EVER, _RECENTLY = float("inf"), 1.0
"""Seconds since a connection was used last: upstreams end those that rest, gunicorn after two. What can't be sent again
takes none that may just be ended."""


class Carrier:
    """The state of one exchange."""

    __slots__ = (
        "_client", "_exchange", "_greenlet", "_key", "_lease", "_limits", "_over", "_place", "_request", "_room",
        "_tunnel", "_upload", "_waiting_since", "outcome",
    )  # fmt: skip

    def __init__(
        self, room: Room, request: Request, session: HttpSession, connection: Connection[Any], exchange: Exchange
    ) -> None:
        self._room = room
        self._limits = room.limits
        self._request = request
        self._client = Client(session, connection, room.limits, room.held, self._throw)
        self._exchange = exchange
        self._greenlet: Any = getcurrent()
        self._place: Place | None = None
        self._lease: Lease | None = None
        self._upload: Upload | None = None
        self._tunnel: Tunnel | None = None
        self._key = b""
        self._over = False
        self.outcome = Outcome(began=time.monotonic())
        self._waiting_since = self.outcome.began

    def carry(self) -> None:
        """Do it all; what went wrong is told to the client, and stands in the outcome."""
        try:
            self._place = self._room.take_turn(self._exchange.client)
            if self._request.body is Body.NONE:
                self._carry_plain()
            else:
                self._carry_body()
        except LaneFull:
            self._fail(Broken(Failure.CROWDED, "exchanges_per_client"))
        except Broken as broken:
            self._fail(broken)
        except GreenletExit:  # the server goes and waits no longer: the outcome tells how far it came
            self.outcome.failure, self.outcome.detail = Failure.ENDED, "drain"
            self._client.tear()
        finally:
            self._over = True
            self._clean_up()

    def end(self, code: int = POLICY) -> None:
        """End it from wherever."""
        if not self._over:
            get_hub().loop.run_callback(self._end_now, code)

    def _fail(self, broken: Broken) -> None:
        """An error before the head becomes a page; after it, only a torn connection tells the truth."""
        self._over = True
        if self._upload is not None:
            self._upload.close()
        outcome, client = self.outcome, self._client
        outcome.failure, outcome.detail = broken.failure, broken.detail
        if broken.failure in _LIMITS:
            client.connection.server.counts.limits[broken.detail] += 1
            client.session.closing = True
        if outcome.status or broken.failure is Failure.CLIENT_GONE:
            client.tear()
            return
        at_fault = "" if broken.failure in _CLIENTS else outcome.address
        page = self._exchange.fail(broken.failure, f"{at_fault}: {broken.detail}" if at_fault else broken.detail)
        if broken.failure is Failure.HANDSHAKE:
            page = replace(page, headers=(*page.headers, VERSION))
        outcome.status = page.status
        client.say(page)

    # The request

    def _carry_plain(self) -> None:
        request, onward = self._request, self._exchange.onward
        if request.upgrade and is_wanted(request):
            self._carry_handshake()
        else:
            self._answer(self._ask(onward.head + plain_end(request, reuse=self._limits.reuse), None))

    def _carry_handshake(self) -> None:
        try:
            self._key = key_of(self._request)
            place = self._room.take_tunnel(self._exchange.client)
        except PeerError as error:
            raise Broken(Failure.HANDSHAKE, error.reason) from error
        except LaneFull as error:
            raise Broken(Failure.CROWDED, "websockets_per_client") from error
        try:
            self._answer(self._ask(self._exchange.onward.head + upgrade_end(), None))
        finally:
            place.give_back()

    def _carry_body(self) -> None:
        client, onward, reuse = self._client, self._exchange.onward, self._limits.reuse
        payload = take_payload(self._request, client.session, client.connection, self._limits)
        self.outcome.received = payload.received
        head = body_end(payload.length, reuse=reuse, expects=payload.expects)
        message = onward.head + head + payload.encoded()
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
        again = self._exchange.onward.method in _IDEMPOTENT and (payload is None or payload.rest is None)
        lease = self._lease = self._take(_EVER if again else _RECENTLY)
        if again and lease.reused:
            try:
                return self._try(lease.wire, message, payload)
            except Broken as broken:
                if broken.failure is not Failure.RESET:
                    raise
            lease.drop()
            lease = self._lease = self._take(None)
        try:
            return self._try(lease.wire, message, payload)
        except Broken as broken:
            if broken.failure is Failure.RESET and not lease.reused:
                lease.blame()
            raise

    def _take(self, rested: float | None) -> Lease:
        """A connection that was used so long ago at most; None for one that never was."""
        try:
            lease = self._room.take_fresh() if rested is None else self._room.take(rested)
        except Unreachable as error:
            self.outcome.address = error.address
            raise Broken(Failure(error.failure), error.detail) from error
        except Full as error:
            raise Broken(Failure.FULL, error.detail) from error
        self.outcome.address = lease.address
        return lease

    def _try(self, wire: Upstream, message: bytes, payload: Payload | None) -> bytes:
        refused = ""
        try:
            wire.write(message, self._limits.idle)
        except TimeoutError as error:
            raise Broken(Failure.STALLED, "the upstream does not take the request") from error
        except OSError as error:  # it may have answered nonetheless (RFC 9112 9.5)
            refused = str(error)
        self._waiting_since = time.monotonic()
        if payload is not None and payload.rest is not None and not refused:
            client = self._client
            self._upload = Upload(payload, payload.rest, wire, self._limits, self._uploaded)
            self._upload.start(client.session, client.connection)
        data = self._read(wire)
        if not data:
            raise Broken(Failure.RESET, refused or "the upstream closed the connection before its answer")
        return data

    # The answer

    def _read(self, wire: Upstream) -> bytes:
        """The upstream's next bytes, empty at the end, while a look is kept on the client."""
        upload, client = self._upload, self._client
        if upload is not None and upload.ended is None:
            return self._read_beside(upload, wire)
        client.watch()
        try:
            return wire.read(self._time_left())
        except TimeoutError as error:
            raise self._late() from error
        except OSError as error:
            raise _broken_by(error) from error
        finally:
            client.unwatch()

    def _read_beside(self, upload: Upload, wire: Upstream) -> bytes:
        """A slow upload is not the upstream's fault: its time counts from the end of the request."""
        patience = self._limits.idle if self.outcome.status else self._limits.answer
        try:
            while True:
                try:
                    return wire.read(patience)
                except TimeoutError as error:
                    if upload.ended is None:
                        continue
                    self._waiting_since = max(upload.ended, self._waiting_since)
                    patience = self._time_left()
                    if patience <= 0.0:
                        raise self._late() from error
        except OSError as error:
            raise _broken_by(error) from error
        finally:
            if upload.ended is not None:
                self._client.unwatch()

    def _time_left(self) -> float:
        if self.outcome.status:
            return self._limits.idle
        return self._waiting_since + self._limits.answer - time.monotonic()

    def _late(self) -> Broken:
        if self.outcome.status:
            return Broken(Failure.STALLED, "the upstream stopped in the midst of its answer")
        return Broken(Failure.LATE_ANSWER, "no answer in time")

    def _answer(self, data: bytes) -> None:
        known = find_sized(self._exchange.onward.method, data) if self._upload is None else None
        if known is not None:
            self._deliver_sized(*known)
            return
        answer = Answer(self._request, self._client.session, self._exchange, self._upload, self.outcome)
        try:
            self._deliver(answer, data)
        finally:
            answer.close()

    def _deliver(self, answer: Answer, data: bytes) -> None:
        """Piece by piece, each as soon as it is here."""
        lease = self._lease
        assert lease is not None  # noqa: S101  # data came over it
        while True:
            if self._client.connection.server.draining:
                self._client.session.closing = True
            out = answer.translate(data)
            if answer.switch is not None:
                self._client.put(out)
                self._switch(answer.switch, answer.early)
                return
            if answer.ended:
                self._release(reusable=answer.reusable)
                self._client.put(out)
                self._client.finish()
                return
            self._client.put(out)
            data = answer.take_rest() or self._read(lease.wire)

    def _deliver_sized(self, head: UpstreamHead, body: bytes) -> None:
        """An answer whose head is known, and of which only bytes are to come, if any."""
        outcome, client = self.outcome, self._client
        headers = self._exchange.answer(head)
        outcome.note(head.status, time.monotonic())
        length = head.length or 0
        outcome.sent = len(body)
        if outcome.sent == length:
            self._release(reusable=head.keep_alive)
        client.put(self._encoded(head, headers, length) + body)
        if outcome.sent < length:
            self._deliver_rest(length, reusable=head.keep_alive)
        client.finish()

    def _encoded(self, head: UpstreamHead, headers: Headers, length: int) -> bytes:
        request, client = self._request, self._client
        session, draining = client.session, client.connection.server.draining
        if request.version == b"1.1" and request.keep_alive and not session.closing and not draining:
            return whole_head(head.status, headers, length)
        session.closing = session.closing or draining
        return session.send(ResponseHead(status=head.status, headers=headers, length=length))

    def _deliver_rest(self, length: int, *, reusable: bool) -> None:
        lease, outcome = self._lease, self.outcome
        assert lease is not None  # noqa: S101  # the head came over it
        while (left := length - outcome.sent) > 0:
            data = self._read(lease.wire)
            if not data:
                raise Broken(Failure.RESET, "the upstream closed the connection before its answer was complete")
            if len(data) > left:
                data, reusable = data[:left], False
            outcome.sent += len(data)
            if outcome.sent == length:
                self._release(reusable=reusable)
            self._client.put(data)

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
        lease, place, client = self._lease, self._place, self._client
        assert lease is not None and place is not None  # noqa: S101, PT018  # an answer comes over it
        self._check_switch(head)
        passed = end_to_end(head.headers, b"content-length")
        headers = self._exchange.answer(head._replace(headers=passed, names=lower_names(passed)))
        self.outcome.note(head.status, time.monotonic())
        self.outcome.upgraded = True
        client.put(client.session.send(Interim(status=head.status, headers=(*headers, *SWITCHING))))
        place.give_back()
        lease.keep()  # it may be open for days: it is no request, and stops none
        tunnel = self._tunnel = Tunnel(client.connection, lease.wire, self._limits)
        self._room.opened(self.end)
        try:
            tunnel.run(early, client.session.take_rest())
        finally:
            lease.wire.close()
            self._room.closed(self.end)
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

    def _uploaded(self, broken: Broken | None) -> None:
        """The upload has ended: nobody listens to the client any more, or nothing can go on."""
        if broken is not None:
            get_hub().loop.run_callback(self._throw, broken)
        elif not self._over:
            self._client.watch()

    def _throw(self, broken: Broken) -> None:
        """In the hub: whoever is not over waits for something in here."""
        if not self._over:
            self._greenlet.throw(broken)

    def _clean_up(self) -> None:
        upload, client = self._upload, self._client
        if upload is not None:
            self.outcome.received = upload.received
            if not upload.whole:
                client.connection.finish()
            upload.close()
            client.unwatch()
            self._upload = None
        if self._lease is not None:
            self._lease.drop()
        if self._place is not None:
            self._place.give_back()
        client.close()


def _broken_by(error: OSError) -> Broken:
    if isinstance(error, ssl.SSLError):  # a server that wants a certificate may say so as late as this (RFC 8446 4.4.2)
        return Broken(Failure.TLS, f"the upstream broke off TLS: {error.reason or error}")
    return Broken(Failure.RESET, f"the upstream broke the connection: {error}")

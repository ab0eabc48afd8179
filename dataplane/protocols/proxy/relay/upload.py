"""The body of a request on its way: what is known of it before the upstream hears of it, and what follows meanwhile."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import gevent
from gevent.event import Event as Signal

from dataplane.io.connection import Connection
from dataplane.io.dial import Upstream
from dataplane.io.stream import Expired, LimitHit
from dataplane.protocols.proxy.messages import Body, Interim, Request
from dataplane.protocols.proxy.relay.exchange import Broken, Failure
from dataplane.protocols.proxy.relay.flow import Intake, RelayLimits
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.wire import LAST_CHUNK, encode_chunk
from dataplane.sansio import PeerError

_CONTINUE = 100


class Payload(NamedTuple):
    """A body as far as it is here."""

    held: bytes
    length: int | None
    """None where only its end will tell."""
    rest: Intake | None
    """What is still to come; None where `held` is all."""
    received: int
    expects: bool
    """Whether the upstream is to ask for it (RFC 9110 10.1.1)."""

    def encoded(self) -> bytes:
        """What is here, as it goes on."""
        return encode_chunk(self.held) if self.length is None else self.held


def take_payload(request: Request, session: HttpSession, connection: Connection[Any], limits: RelayLimits) -> Payload:
    """Hold the body of `request` as far as it may be. Raises Broken."""
    intake = Intake(connection, limits)
    length = None if request.body is Body.CHUNKED else int(request.fields[b"content-length"])
    is_small = length is not None and length <= limits.spool
    if _expects(request) and not is_small and limits.gather is not None:
        return Payload(b"", length, intake, 0, expects=True)
    try:
        if _expects(request):
            connection.send(session.send(Interim(status=_CONTINUE)))
        held, is_all = intake.spool(None if is_small else limits.gather)
    except LimitHit as hit:
        raise Broken(Failure.CLIENT_SLOW, hit.limit) from hit
    except PeerError as error:
        raise _broken_by(error, session) from error
    except OSError as error:
        raise Broken(Failure.CLIENT_GONE, str(error)) from error
    if is_all:
        return Payload(held, len(held), None, len(held), expects=False)
    return Payload(held, length, intake, len(held), expects=False)


def _expects(request: Request) -> bool:
    return request.version == b"1.1" and request.fields.get(b"expect", b"").lower() == b"100-continue"


def _broken_by(error: PeerError, session: HttpSession) -> Broken:
    """A body that isn't whole: who has left says no more, anybody else should learn why."""
    return Broken(Failure.CLIENT_GONE if session.ended else Failure.REQUEST, error.reason)


class Upload:
    """What is left of a body, from client to upstream, while the answer may come already."""

    def __init__(
        self, payload: Payload, rest: Intake, wire: Upstream, limits: RelayLimits, done: Callable[[Broken | None], None]
    ) -> None:
        """`done` is told when it has ended, and what with, if that was a failure."""
        self._rest = rest
        self._wire = wire
        self._limits = limits
        self._done = done
        self._chunked = payload.length is None
        self._allowed = Signal()
        self._asks = payload.expects
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self.ended: float | None = None
        """When nothing of it was to come any more, by the monotonic clock."""
        self.whole = False
        """Whether all of it went on."""

    @property
    def received(self) -> int:
        """Bytes of the body so far."""
        return self._rest.received

    def start(self, session: HttpSession, connection: Connection[Any]) -> None:
        """Go on beside the answer."""
        self._greenlet = gevent.spawn(self._run, session, connection)

    def allow(self) -> bool:
        """The upstream asks for the body: whether the client waits to be told so, by the caller."""
        asks, self._asks = self._asks, False
        self._allowed.set()
        return asks

    def close(self) -> None:
        """No more."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def _run(self, session: HttpSession, connection: Connection[Any]) -> None:
        broken: Broken | None = None
        try:
            self._wait_to_be_asked(session, connection)
            self._carry_on(session)
        except Broken as error:
            broken = error
        finally:
            self.ended = time.monotonic()
        self._done(broken)

    def _carry_on(self, session: HttpSession) -> None:
        while (piece := self._find_next(session)) is not None:
            if not self._pass_on(encode_chunk(piece) if self._chunked else piece):
                return
        self.whole = self._pass_on(LAST_CHUNK if self._chunked else b"")

    def _wait_to_be_asked(self, session: HttpSession, connection: Connection[Any]) -> None:
        """Many servers never ask: after a while the client is asked on our own account."""
        if self._asks and not self._allowed.wait(self._limits.ask) and self.allow():
            try:
                connection.send(session.send(Interim(status=_CONTINUE)))
            except (OSError, LimitHit) as error:
                raise Broken(Failure.CLIENT_GONE, str(error)) from error

    def _find_next(self, session: HttpSession) -> bytes | None:
        try:
            return self._rest.find_next()
        except Expired as expired:
            raise Broken(Failure.CLIENT_SLOW, expired.limit) from expired
        except PeerError as error:
            raise _broken_by(error, session) from error
        except OSError as error:
            raise Broken(Failure.CLIENT_GONE, str(error)) from error

    def _pass_on(self, data: bytes) -> bool:
        """Whether the upstream takes more: one that doesn't may have answered nonetheless (RFC 9112 9.5)."""
        try:
            self._wire.write(data, self._limits.idle)
        except TimeoutError as error:
            raise Broken(Failure.STALLED, "the upstream takes nothing more of the request") from error
        except OSError:
            return False
        return True

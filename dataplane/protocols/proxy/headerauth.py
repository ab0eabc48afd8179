"""Signing in with each request: the credentials in Authorization, judged by control or by what it said before.

For programs, which keep no cookies and follow no redirects. Asked only where there is no session and the path needs
one; who gets in is let in as by a session, with the same headers.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import assert_never

from dataplane.gate import (
    Allowed,
    Attempt,
    BearerToken,
    Challenge,
    Channel,
    Denied,
    DenyReason,
    EventAction,
    ProxySession,
    Unavailable,
)
from dataplane.ledger import Happening, Ledger
from dataplane.protocols.proxy.application import Application, Opened
from dataplane.protocols.proxy.asking import Asking
from dataplane.protocols.proxy.authorization import Unusable, challenge, read_authorization
from dataplane.protocols.proxy.messages import Request, Response
from dataplane.protocols.proxy.pages import Pages, json_response
from dataplane.protocols.proxy.sessions import Sessions
from dataplane.protocols.proxy.signin import RETRY_AFTER, denial
from dataplane.sansio import PeerError
from dataplane.sansio.clients import parse_address
from dataplane.verifier import Source, Verified, Verifier


class HeaderAuth:
    """Judges requests by their Authorization header. `count` takes note of a refusal by its reason."""

    def __init__(
        self,
        verifier: Verifier,
        sessions: Sessions,
        pages: Pages,
        ledger: Ledger,
        count: Callable[[str, Asking], None],
    ) -> None:
        self._verifier = verifier
        self._sessions = sessions
        self._pages = pages
        self._ledger = ledger
        self._count = count
        self._outcomes = sessions.metrics.header_auth

    def judge(self, application: Application, request: Request, asking: Asking) -> Opened | Response | None:
        """Whom the credentials let in, or the answer to who isn't; what is opened may be denied to its owner.

        None where they open nothing and the provider doesn't intercept: they may be for the application, so that is
        nobody yet. Raises PeerError(400) for more than one header: readers differ on which of them counts.
        """
        if b"authorization" in request.repeated:
            raise PeerError(400, "more than one Authorization header")
        given = read_authorization(request.fields[b"authorization"])
        if isinstance(given, Unusable):
            return self._unproven(application, asking, "unusable", is_bearer=given.is_bearer)
        attempt = Attempt(
            provider=application.provider.id,
            channel=Channel.HTTP,
            credentials=given,
            client_address=_address(asking.client),
            request_id=asking.id,
        )
        verified = self._verifier.verify(attempt)
        if verified.source is not Source.CONTROL and isinstance(verified.answer, Allowed):
            opened = self._enter(application, asking, verified.answer.session, verified.source)
            if opened is not None:
                return opened
            # Another worker has learnt it before an end that was heard here first: control knows what is true now.
            self._verifier.end_here(verified.answer.session.id)
            verified = self._verifier.verify(attempt)
        return self._answer(application, asking, verified, is_bearer=isinstance(given, BearerToken))

    def _answer(
        self, application: Application, asking: Asking, verified: Verified, *, is_bearer: bool
    ) -> Opened | Response | None:
        match verified.answer:
            case Allowed(session=session):
                opened = self._enter(application, asking, session, verified.source)
                return opened or self._unproven(application, asking, "session_ended", is_bearer=is_bearer)
            case Denied(reason=DenyReason.ACCESS_DENIED as reason):
                # Whose they are is beyond doubt, and a page says so whatever the provider intercepts.
                self._outcomes[reason] += 1
                self._count("access_denied", asking)
                return self._pages.error("access_denied", 403, asking, denial(application, ""))
            case Denied(reason=DenyReason.BUSY, retry_after=seconds):
                return self._later(application, asking, "busy", seconds)
            case Denied(reason=reason):
                return self._unproven(application, asking, reason, is_bearer=is_bearer)
            case Challenge():
                # Nobody can be asked for a code here; it goes behind the password.
                return self._unproven(application, asking, DenyReason.SECOND_FACTOR, is_bearer=is_bearer)
            case Unavailable():
                return self._later(application, asking, "unavailable", 0.0)
            case _:
                assert_never(verified.answer)

    def _enter(self, application: Application, asking: Asking, session: ProxySession, source: Source) -> Opened | None:
        """What let somebody in may be overtaken by now: revocations judge this session like any other."""
        opened = self._sessions.admit_again(application, session)
        if opened is None or opened.denied:
            return opened
        self._outcomes[source] += 1
        if source is not Source.CONTROL:  # what control decided just now, it has in its audit trail
            action = EventAction.ADMITTED if source is Source.CACHE else EventAction.ADMITTED_OFFLINE
            happening = Happening(
                action=action,
                provider=application.provider.id,
                subject=session.identity.subject,
                username=session.identity.username,
                client_address=asking.client,
            )
            self._ledger.record(happening, asking.id)
        return opened

    def _unproven(self, application: Application, asking: Asking, outcome: str, *, is_bearer: bool) -> Response | None:
        self._outcomes[outcome] += 1
        if not application.provider.intercept_header_auth:
            return None
        self._count("credentials_refused", asking)
        answer = json_response(401, {"error": "credentials_refused", "request_id": asking.id})
        asked = challenge(application.provider.application_name, is_bearer=is_bearer)
        return Response(status=401, headers=(*answer.headers, *asked), body=answer.body)

    def _later(self, application: Application, asking: Asking, reason: str, seconds: float) -> Response | None:
        """Nobody can tell just now; the reason is a page's name."""
        self._outcomes[reason] += 1
        if not application.provider.intercept_header_auth:
            return None
        self._count(reason, asking)
        wait = max(math.ceil(seconds), RETRY_AFTER)
        parameters = {"application": application.provider.application_name, "retry_after": wait}
        return self._pages.error(reason, 503, asking, parameters)


@lru_cache(maxsize=4096)
def _address(client: str) -> str:
    """Where the client is, for lockouts; empty where that is no address."""
    try:
        return str(parse_address(client))
    except ValueError:
        return ""

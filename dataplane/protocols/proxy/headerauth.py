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
from dataplane.protocols.proxy.judgement import Entered, Turned
from dataplane.protocols.proxy.messages import Request, Response
from dataplane.protocols.proxy.pages import Pages, json_response
from dataplane.protocols.proxy.sessions import Sessions
from dataplane.protocols.proxy.signin import RETRY_AFTER, denial
from dataplane.protocols.proxy.told.decisions import CONTROL_AWAY, By, Decision, Reason, Verdict
from dataplane.sansio import PeerError
from dataplane.sansio.clients import parse_address
from dataplane.verifier import Source, Verified, Verifier

_OUTCOMES = {Reason.UNUSABLE_CREDENTIALS: "unusable"}
"""Where the metric has another word."""


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

    def judge(self, application: Application, request: Request, asking: Asking) -> Entered | Turned | None:
        """Whom the credentials let in, or the answer to who isn't; what is entered may be denied to its owner.

        None where they open nothing and the provider doesn't intercept: they may be for the application, so that is
        nobody yet. Raises PeerError(400) for more than one header: readers differ on which of them counts.
        """
        if b"authorization" in request.repeated:
            raise PeerError(400, "more than one Authorization header")
        given = read_authorization(request.fields[b"authorization"])
        if isinstance(given, Unusable):
            return self._unproven(application, asking, Reason.UNUSABLE_CREDENTIALS, is_bearer=given.is_bearer)
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
                return Entered(opened, verified.source)
            # Another worker has learnt it before an end that was heard here first: control knows what is true now.
            self._verifier.end_here(verified.answer.session.id)
            verified = self._verifier.verify(attempt)
        return self._answer(application, asking, verified, is_bearer=isinstance(given, BearerToken))

    def _answer(
        self, application: Application, asking: Asking, verified: Verified, *, is_bearer: bool
    ) -> Entered | Turned | None:
        match verified.answer:
            case Allowed(session=session):
                opened = self._enter(application, asking, session, verified.source)
                entered = None if opened is None else Entered(opened, verified.source)
                return entered or self._unproven(application, asking, Reason.SESSION_ENDED, is_bearer=is_bearer)
            case Denied(reason=DenyReason.ACCESS_DENIED as reason):
                # Whose they are is beyond doubt, and a page says so whatever the provider intercepts.
                self._outcomes[reason] += 1
                self._count("access_denied", asking)
                page = self._pages.error("access_denied", 403, asking, denial(application, ""))
                decision = Decision(Verdict.DENIED, By(verified.source), Reason.ACCESS_DENIED)
                return Turned(page, decision, None, asking)
            case Denied(reason=DenyReason.BUSY, retry_after=seconds):
                return self._later(application, asking, "busy", seconds)
            case Denied() | Challenge() as answer:
                # Nobody can be asked for a code here; it goes behind the password.
                why = Reason(answer.reason) if isinstance(answer, Denied) else Reason.SECOND_FACTOR
                return self._unproven(application, asking, why, is_bearer=is_bearer)
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

    def _unproven(self, application: Application, asking: Asking, reason: Reason, *, is_bearer: bool) -> Turned | None:
        self._outcomes[_OUTCOMES.get(reason, reason)] += 1
        if not application.provider.intercept_header_auth:
            return None
        self._count("credentials_refused", asking)
        answer = json_response(401, {"error": "credentials_refused", "request_id": asking.id})
        asked = challenge(application.provider.application_name, is_bearer=is_bearer)
        response = Response(status=401, headers=(*answer.headers, *asked), body=answer.body)
        return Turned(response, Decision(Verdict.CHALLENGED, By.CONTROL, reason), None, asking)

    def _later(self, application: Application, asking: Asking, reason: str, seconds: float) -> Turned | None:
        """Nobody can tell just now; the reason is a page's name."""
        self._outcomes[reason] += 1
        if not application.provider.intercept_header_auth:
            return None
        self._count(reason, asking)
        wait = max(math.ceil(seconds), RETRY_AFTER)
        parameters = {"application": application.provider.application_name, "retry_after": wait}
        decision = Decision(Verdict.UNAVAILABLE, By.CONTROL, Reason.BUSY) if reason == "busy" else CONTROL_AWAY
        return Turned(self._pages.error(reason, 503, asking, parameters), decision, None, asking)


@lru_cache(maxsize=4096)
def _address(client: str) -> str:
    """Where the client is, for lockouts; empty where that is no address."""
    try:
        return str(parse_address(client))
    except ValueError:
        return ""

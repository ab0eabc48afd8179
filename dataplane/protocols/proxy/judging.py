"""Who may pass: one road for the questions of reverse proxies and for what stands before an application itself.

The order is: a session, then paths that need none, then credentials, then a way to sign in. What is let in is an
`Opened`, or OPEN where nobody has to be anybody; everything else is `Turned`, with the answer to give. A known session
costs no call, no log line and no new object.
"""

import logging
from typing import Any, assert_never
from urllib.parse import quote

from dataplane.gate import EventAction, Identity, Unavailable
from dataplane.io.connection import Connection
from dataplane.ledger import MAX_ENTRIES, Entry, Happening
from dataplane.protocols.proxy.application import Application, Opened
from dataplane.protocols.proxy.asking import Asking, cookie_header
from dataplane.protocols.proxy.common import Common
from dataplane.protocols.proxy.dialects import PREFIX, Check
from dataplane.protocols.proxy.flows import Flows
from dataplane.protocols.proxy.headerauth import HeaderAuth
from dataplane.protocols.proxy.judgement import Entered, Judgement, Open, Turned
from dataplane.protocols.proxy.messages import Request, Response
from dataplane.protocols.proxy.pages import json_response, redirect
from dataplane.protocols.proxy.routes import Routes
from dataplane.protocols.proxy.sessions import Sessions
from dataplane.protocols.proxy.signin import RETRY_AFTER, denial
from dataplane.protocols.proxy.told.decisions import CONTROL_AWAY, ENDED_SESSION, MALFORMED, NOT_ALLOWED, STRANGER
from dataplane.protocols.proxy.trust import forwarded_for
from dataplane.protocols.proxy.wire import host_name
from dataplane.sansio import PeerError

_MAX_PLACES = 2 * MAX_ENTRIES
_LONGEST_FORWARDED = 256
"""Bytes of X-Forwarded-For that a place is kept by, enough for six proxies with IPv6: the longest is a whole head."""

_log = logging.getLogger("dataplane.proxy")

Place = tuple[Opened, str, bytes | None]
"""A session, the peer that asks about it, and whom it asks for: X-Forwarded-For."""


class Judge:
    """Judges by the present config."""

    def __init__(self, common: Common, sessions: Sessions, header_auth: HeaderAuth, flows: Flows) -> None:
        self.routes = Routes()
        self.admissions: dict[Place, Entry] = {}
        """Where to count the next request of a session, until the next telling."""
        self.sessions = sessions
        self._header_auth = header_auth
        self._flows = flows
        self._pages = common.pages
        self._asker = common.asker
        self._refusals = common.refusals
        self._ledger = common.ledger

    def judge(
        self, application: Application, request: Request, check: Check, connection: Connection[Any], id_: str = ""
    ) -> Judgement:
        """Whether the request that `check` describes may pass; `request` is what brought it here, `id_` its name."""
        if check.redirects and (b"X-authentik-" in check.target or check.target.startswith(PREFIX)):
            asking = self._asker.check(request, check, connection, id_)
            step = self._flows.find_step(asking)
            if step is not None:
                return Turned(step(application, asking), None)
        opened = self.sessions.find(application, cookie_header(request))
        if opened.__class__ is Opened and not opened.denied:
            # The same session from the same place counts without anything being made for it.
            forwarded = request.fields.get(b"x-forwarded-for") if not request.repeated else forwarded_for(request)
            place = opened, connection.peer, forwarded
            entry = self.admissions.get(place) or self._admit(place, request, application, connection)
            entry.count += 1
            return opened
        if opened is None:
            return self._judge_stranger(application, request, check, connection, id_)
        return self._turn_away(application, self._asker.check(request, check, connection, id_), opened)

    def find_rival(self, application: Application, check: Check, service_hosts: frozenset[str]) -> str | None:
        """The host that the proxy in front may be about to serve instead of the one that it asks about."""
        for rival in check.rivals:
            if self.routes.confuses(application, check.host, rival, service_hosts):
                return rival
        return None

    def is_open(self, application: Application, request: Request, check: Check) -> bool:
        """Whether the path needs no sign-in. Whoever forges identity headers needs one: some proxies pass them on."""
        if not application.skip or any(self._is_other_host_of(application, check, rival) for rival in check.rivals):
            return False
        scheme = check.scheme or application.origin.scheme
        origin = f"{scheme}://{check.host}" if application.is_domain else ""
        if not application.skip.match(check.path, origin):
            return False
        return not any(name.startswith(b"x-authentik-") for name in request.fields)

    def _judge_stranger(
        self, application: Application, request: Request, check: Check, connection: Connection[Any], id_: str
    ) -> Judgement:
        """Who has no session: paths that need none, then credentials, then the way to sign in."""
        if self.is_open(application, request, check):
            return Open.OPEN
        asking = self._asker.check(request, check, connection, id_)
        if b"authorization" not in request.fields:
            person: Identity | None = None
            for person in self.sessions.find_ended(application, asking.cookies):
                self._record(application, person, asking, "session ended")
            return self._ask_to_sign_in(application, check, asking, person)
        try:
            judged = self._header_auth.judge(application, request, asking)
        except PeerError as error:
            return Turned(self._refusals.explain(error, connection.peer), MALFORMED, None, asking)
        if judged is None:
            return self._ask_to_sign_in(application, check, asking)
        if isinstance(judged, Entered) and judged.opened.denied:
            return self._turn_away(application, asking, judged.opened)
        return judged

    def _turn_away(self, application: Application, asking: Asking, opened: Opened | Unavailable) -> Turned:
        """403 to who may not, 503 where that can't be told."""
        match opened:
            case Unavailable(reason=reason):
                self._refusals.count("unavailable", asking)
                _log.warning("control can't be asked: %s", reason, extra={"request_id": asking.id})
                parameters: dict[str, object] = {
                    "application": application.provider.application_name,
                    "retry_after": RETRY_AFTER,
                }
                return Turned(self._pages.error("unavailable", 503, asking, parameters), CONTROL_AWAY, None, asking)
            case Opened(session=session):
                person = session.identity
                self._refusals.count("access_denied", asking)
                self._record(application, person, asking, "access denied")
                page = self._pages.error("access_denied", 403, asking, denial(application, person.username))
                return Turned(page, NOT_ALLOWED, person, asking)
            case _:
                assert_never(opened)

    def _ask_to_sign_in(
        self, application: Application, check: Check, asking: Asking, over: Identity | None = None
    ) -> Turned:
        """`over` is whose session has ended before its time."""
        original = application.original_url(check.scheme, check.host, check.target)
        url = f"{application.start_url}?rd={quote(original, safe='', encoding='latin-1')}"
        self.sessions.metrics.sign_ins["asked"] += 1
        decision = STRANGER if over is None else ENDED_SESSION
        if check.redirects and asking.navigates:
            return Turned(redirect(url), decision, over, asking)
        content = {"error": "sign_in_required", "sign_in": url, "request_id": asking.id}
        answer = json_response(401, content)
        hints = ((b"Location", url.encode()), (b"WWW-Authenticate", b'Garrison realm="sign in with a browser"'))
        response = Response(status=401, headers=(*answer.headers, *hints), body=answer.body)
        return Turned(response, decision, over, asking)

    def _admit(self, place: Place, request: Request, application: Application, connection: Connection[Any]) -> Entry:
        """Where a request of a session is counted; kept for the next from there, unless that takes much room."""
        opened, _, forwarded = place
        entry = self._ledger.entry(
            Happening(
                action=EventAction.ADMITTED,
                provider=application.provider.id,
                subject=opened.session.identity.subject,
                username=opened.session.identity.username,
                client_address=self._asker.client(request, connection),
            )
        )
        if forwarded is None or len(forwarded) <= _LONGEST_FORWARDED:
            if len(self.admissions) >= _MAX_PLACES:
                # The oldest alone: one client's many addresses are no reason to forget everybody's.
                del self.admissions[next(iter(self.admissions))]
            self.admissions[place] = entry
        return entry

    def _record(self, application: Application, person: Identity, asking: Asking, reason: str) -> None:
        happening = Happening(
            action=EventAction.TURNED_AWAY,
            provider=application.provider.id,
            subject=person.subject,
            username=person.username,
            client_address=asking.client,
            reason=reason,
        )
        self._ledger.record(happening, asking.id)

    def _is_other_host_of(self, application: Application, check: Check, rival: str) -> bool:
        return host_name(rival) != host_name(check.host) and self.routes.find(rival) is application

"""What the connections of a worker share, and the slow roads: sign-in paths, pages, challenges, the front door."""

import logging
import re
from collections.abc import Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from dataplane.gate import Event, EventAction, Gate, Identity, Unavailable
from dataplane.io.connection import Connection
from dataplane.ledger import MAX_ENTRIES, Entry, Happening, Ledger
from dataplane.protocols.proxy.application import Application, Opened, host_name
from dataplane.protocols.proxy.asking import Asking, cookie_header, navigates, wants_json
from dataplane.protocols.proxy.config import Prepared
from dataplane.protocols.proxy.dialects import PREFIX, Check
from dataplane.protocols.proxy.headerauth import HeaderAuth
from dataplane.protocols.proxy.messages import Request, Response
from dataplane.protocols.proxy.metrics import Metrics
from dataplane.protocols.proxy.pages import STATIC_PATH, Pages, json_response, redirect
from dataplane.protocols.proxy.relay.relay import Exchange, Relay
from dataplane.protocols.proxy.routes import Routes
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.sessions import Sessions
from dataplane.protocols.proxy.signin import RETRY_AFTER, SignIn, denial
from dataplane.protocols.proxy.signout import SignOut
from dataplane.protocols.proxy.trust import Seen, Trust
from dataplane.sansio import PeerError
from dataplane.sansio.clients import SETTING
from dataplane.verifier import Verifier

_log = logging.getLogger("dataplane.proxy")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PING = PREFIX + b"/ping"
_CALLBACK = b"X-authentik-auth-callback"
_LOGOUT = b"X-authentik-logout"
_MAX_WARNED = 1000
_MAX_TOLD = 10
_MAX_PLACES = 2 * MAX_ENTRIES
_LONGEST_FORWARDED = 256
"""Bytes of X-Forwarded-For that a place is kept by, enough for six proxies with IPv6: the longest is a whole head."""

Place = tuple[Opened, str, bytes | None]
"""A session, the peer that asks about it, and whom it asks for: X-Forwarded-For."""


class Doors:
    """The present config and everything that answers by it."""

    def __init__(
        self, gate: Gate, trust: Trust, relay: Relay | None, clock: Callable[[], float], random: Callable[[int], bytes]
    ) -> None:
        self.clock = clock
        self.metrics = Metrics()
        self.ledger = Ledger(clock, random)
        self.admissions: dict[Place, Entry] = {}
        """Where to count the next check of a session, until the next telling."""
        self.sessions = Sessions(gate, clock, self.metrics)
        self.verifier = Verifier(gate.authenticate, clock, random)
        self.pages = Pages()
        self.routes = Routes()
        self._trust = trust
        self._relay = relay
        self._random = random
        self._sign_in = SignIn(gate, self.sessions, self.pages, random)
        self._sign_out = SignOut(gate, self.sessions, self.ledger)
        self._header_auth = HeaderAuth(self.verifier, self.sessions, self.pages, self.ledger, self._count)
        self._configured = False
        self._warned: set[str] = set()
        self._told_second = -1
        self._told = 0
        self._date_second = -1
        self._date_line = b""

    def commit(self, prepared: Prepared) -> None:
        """Serve by this from now on."""
        self.sessions.commit(prepared.revocations)
        self.verifier.commit(prepared.revocations, prepared.options)
        self.routes = prepared.routes
        self._configured = True

    def end_here(self, session: str, until: float) -> None:
        """Refuse a session at once: another worker of this outpost has signed it out."""
        self.sessions.end_here(session, until)
        self.verifier.end_here(session)

    def take_events(self, *, last: bool) -> tuple[Event, ...]:
        """What happened since the last time; `last`: there is no next one."""
        self.admissions.clear()
        return self.ledger.take_all() if last else self.ledger.take()

    # For checks

    def admit(self, place: Place, request: Request, application: Application, connection: Connection[Any]) -> Entry:
        """Where a check by a session is counted; kept for the next one from there, unless that takes much room."""
        opened, _, forwarded = place
        entry = self.ledger.entry(
            Happening(
                action=EventAction.ADMITTED,
                provider=application.provider.id,
                subject=opened.session.identity.subject,
                username=opened.session.identity.username,
                client_address=self._client(request, connection),
            )
        )
        if forwarded is None or len(forwarded) <= _LONGEST_FORWARDED:
            if len(self.admissions) >= _MAX_PLACES:
                # The oldest alone: one client's many addresses are no reason to forget everybody's.
                del self.admissions[next(iter(self.admissions))]
            self.admissions[place] = entry
        return entry

    def is_open(self, application: Application, request: Request, check: Check) -> bool:
        """Whether the path needs no sign-in. Whoever forges identity headers needs one: some proxies pass them on."""
        if not application.skip or any(self._is_other_host_of(application, check, rival) for rival in check.rivals):
            return False
        scheme = check.scheme or application.origin.scheme
        origin = f"{scheme}://{check.host}" if application.is_domain else ""
        if not application.skip.match(check.path, origin):
            return False
        return not any(name.startswith(b"x-authentik-") for name in request.fields)

    def judge_credentials(
        self, application: Application, request: Request, check: Check, connection: Connection[Any]
    ) -> Opened | Response:
        """Whom the Authorization header lets in, or the answer to who isn't. Raises PeerError for a malformed one."""
        asking = self._asking_check(request, check, connection)
        judged = self._header_auth.judge(application, request, asking)
        if judged is None:
            return self._ask_to_sign_in(application, check, asking)
        if isinstance(judged, Opened) and judged.denied:
            return self.challenge(application, request, check, connection, judged)
        return judged

    def find_flow(
        self, application: Application, request: Request, check: Check, connection: Connection[Any]
    ) -> Response | None:
        """The sign-in paths, reached through a proxy that sends every path of the host here."""
        asking = self._asking_check(request, check, connection)
        step = self._find_step(asking)
        return None if step is None else step(application, asking)

    def challenge(
        self,
        application: Application,
        request: Request,
        check: Check,
        connection: Connection[Any],
        opened: Opened | Unavailable | None,
    ) -> Response:
        """The answer to a check that may not pass: 403, 503, or a way to sign in."""
        asking = self._asking_check(request, check, connection)
        match opened:
            case Unavailable(reason=reason):
                self._count("unavailable", asking)
                _log.warning("control can't be asked: %s", reason, extra={"request_id": asking.id})
                parameters: dict[str, object] = {
                    "application": application.provider.application_name,
                    "retry_after": RETRY_AFTER,
                }
                return self.pages.error("unavailable", 503, asking, parameters)
            case Opened(session=session):
                self._count("access_denied", asking)
                self._turn_away(application, session.identity, asking, "access denied")
                return self.pages.error("access_denied", 403, asking, denial(application, session.identity.username))
            case None:
                for over in self.sessions.find_ended(application, asking.cookies):
                    self._turn_away(application, over, asking, "session ended")
                return self._ask_to_sign_in(application, check, asking)

    def _turn_away(self, application: Application, person: Identity, asking: Asking, reason: str) -> None:
        happening = Happening(
            action=EventAction.TURNED_AWAY,
            provider=application.provider.id,
            subject=person.subject,
            username=person.username,
            client_address=asking.client,
            reason=reason,
        )
        self.ledger.record(happening, asking.id)

    def refuse_unknown_host(self, request: Request, check: Check, connection: Connection[Any]) -> Response:
        """A check for a host that no application claims."""
        asking = self._asking_check(request, check, connection)
        self.metrics.observe(request.method, "", "app", 0.0)
        return self._no_application(asking)

    def find_rival(self, application: Application, check: Check) -> str | None:
        """The host that the proxy in front may be about to serve instead of the one that it asks about."""
        for rival in check.rivals:
            if self.routes.confuses(application, check.host, rival, self._trust.service_hosts):
                return rival
        return None

    def refuse_confused(self, host: str, rival: str, peer: str) -> Response:
        """A check that names two hosts: one application may be asked about and another one served."""
        reason = f"X-Original-URL names {host}, Host or X-Forwarded-Host {rival}: nginx has to build them from $host"
        return self.explain_check(PeerError(400, reason), peer, "hosts_differ")

    def _is_other_host_of(self, application: Application, check: Check, rival: str) -> bool:
        return host_name(rival) != host_name(check.host) and self.routes.find(rival) is application

    # For the rest

    def visit(self, request: Request, session: HttpSession, connection: Connection[Any]) -> Response | None:
        """Answer what is no check; None when the answer has been written already."""
        started = self.clock()
        path = request.path
        if path == _PING:
            self.metrics.observe(request.method, "", "ping", 0.0)
            return Response(status=204)
        if path.startswith(STATIC_PATH):
            found = self.pages.find_static(path)
            if found is not None:
                return found
        try:
            seen = self._trust.see(request, connection.peer, secure=connection.secure)
        except PeerError as error:
            return self.explain(error, connection.peer)
        application = self.routes.find(seen.host)
        if application is None and self._relay is not None and not path.startswith(PREFIX + b"/"):
            self._pass_on(request, session, connection, seen)
            self.metrics.observe(request.method, "", "core", self.clock() - started)
            return None
        answer = self._visit_application(application, request, connection, seen)
        host = application.origin.host if application is not None else ""
        self.metrics.observe(request.method, host, "app", self.clock() - started)
        return answer

    def explain(self, error: PeerError, peer: str, kind: str = "malformed") -> Response:
        """Plain words to a peer that broke the protocol; `kind` is what it counts as."""
        self.metrics.refusals[kind] += 1
        self._tell("refused a request of %s: %s", peer, error.reason, client=peer)
        return json_response(error.code, {"error": "malformed_request", "message": error.reason})

    def explain_check(self, error: PeerError, peer: str, kind: str = "malformed") -> Response:
        """The same to a reverse proxy, whose questions are for its admin to mend."""
        if self._configured:
            self._misconfigured(f"a check is malformed: {error.reason}", peer)
        return self.explain(error, peer, kind)

    def _misconfigured(self, reason: str, peer: str = "") -> None:
        self.ledger.record(Happening(action=EventAction.MISCONFIGURED, client_address=peer, reason=reason))

    def complete(self, response: Response) -> Response:
        """With the Date that every answer bears (RFC 9110 6.6.1)."""
        date = self.date_line()[6:-4]
        return Response(status=response.status, headers=(*response.headers, (b"Date", date)), body=response.body)

    def date_line(self) -> bytes:
        """The Date header and the end of a head, made once a second."""
        second = int(self.clock())
        if second != self._date_second:
            self._date_second = second
            self._date_line = b"Date: " + formatdate(second, usegmt=True).encode() + b"\r\n\r\n"
        return self._date_line

    def _visit_application(
        self, application: Application | None, request: Request, connection: Connection[Any], seen: Seen
    ) -> Response:
        asking = self._asking_visit(request, connection, seen)
        if application is None:
            return self._no_application(asking)
        step = self._find_step(asking)
        if step is not None:
            if seen.distrusted:
                self._warn_of(asking)
            return step(application, asking)
        parameters = {
            "application": application.provider.application_name,
            "external_host": application.provider.external_host,
        }
        return self.pages.error("not_here", 404, asking, parameters)

    def _find_step(self, asking: Asking) -> Callable[[Application, Asking], Response] | None:
        path, _, query = asking.target.encode("latin-1").partition(b"?")
        if _is_signed(query, _CALLBACK) or path == PREFIX + b"/callback":
            return self._sign_in.callback
        if _is_signed(query, _LOGOUT) or path == PREFIX + b"/sign_out":
            # A person goes there, or a form of the application posts. Previews, scanners and images (that anybody can
            # put into a page) sign nobody out.
            goes = asking.method == b"POST" or (asking.method == b"GET" and asking.navigates)
            return self._sign_out.end if goes else None
        return self._sign_in.start if path == PREFIX + b"/start" else None

    def _ask_to_sign_in(self, application: Application, check: Check, asking: Asking) -> Response:
        original = application.original_url(check.scheme, check.host, check.target)
        url = f"{application.start_url}?rd={quote(original, safe='', encoding='latin-1')}"
        self.metrics.sign_ins["asked"] += 1
        if check.redirects and asking.navigates:
            return redirect(url)
        content = {"error": "sign_in_required", "sign_in": url, "request_id": asking.id}
        answer = json_response(401, content)
        hints = ((b"Location", url.encode()), (b"WWW-Authenticate", b'Garrison realm="sign in with a browser"'))
        return Response(status=401, headers=(*answer.headers, *hints), body=answer.body)

    def _pass_on(self, request: Request, session: HttpSession, connection: Connection[Any], seen: Seen) -> None:
        assert self._relay is not None  # noqa: S101  # asked before
        asking = self._asking_visit(request, connection, seen)

        def fail(status: int, reason: str) -> Response:
            self.metrics.refusals["bad_gateway"] += 1
            _log.error("the control plane does not answer: %s", reason, extra={"request_id": asking.id})
            return self.complete(self.pages.error("bad_gateway", status, asking, {"retry_after": RETRY_AFTER}))

        def refuse(status: int, limit: str) -> Response:
            self._tell("refused: %s", limit, request_id=asking.id, client=asking.client)
            return self.complete(self.pages.error(limit, status, asking, {"retry_after": RETRY_AFTER}))

        exchange = Exchange(seen=seen, id=asking.id, fail=fail, refuse=refuse)
        started = self.clock()
        self._relay.forward(request, session, connection, exchange)
        self.metrics.observe_upstream(request.method, "", self.clock() - started)

    def _no_application(self, asking: Asking) -> Response:
        if not self._configured:
            return self.pages.error("not_ready", 503, asking, {"retry_after": RETRY_AFTER})
        self._count("no_application", asking)
        self._misconfigured(f"no application has the host {asking.host or '(none)'}")
        if asking.distrusted:
            self._warn_of(asking)
        return self.pages.error("no_application", 404, asking, {"setting": SETTING})

    def _warn_of(self, asking: Asking) -> None:
        """Once per peer: what is ignored, and the setting that would change it."""
        if asking.distrusted in self._warned or len(self._warned) >= _MAX_WARNED:
            return
        self._warned.add(asking.distrusted)
        _log.warning(
            "X-Forwarded-* of %s are ignored, for it is not within %s",
            asking.distrusted,
            SETTING,
            extra={"request_id": asking.id, "peer": asking.distrusted, "host": asking.host},
        )

    def _count(self, reason: str, asking: Asking) -> None:
        self.metrics.refusals[reason] += 1
        self._tell("refused: %s", reason, request_id=asking.id, host=asking.host, client=asking.client)

    def _tell(self, message: str, *values: str, **fields: str) -> None:
        """Log what strangers can cause as often as they like: so many lines a second, the rest for who debugs."""
        second = int(self.clock())
        if second != self._told_second:
            self._told_second, self._told = second, 0
        self._told += 1
        _log.log(logging.INFO if self._told <= _MAX_TOLD else logging.DEBUG, message, *values, extra=fields)

    def _asking_visit(self, request: Request, connection: Connection[Any], seen: Seen) -> Asking:
        return Asking(
            id=self._request_id(request, connection.peer),
            method=request.method,
            scheme=seen.scheme,
            host=seen.host,
            target=request.target.decode("latin-1"),
            cookies=cookie_header(request),
            navigates=navigates(request, request.method),
            wants_json=wants_json(request),
            client=seen.client,
            distrusted=seen.distrusted,
        )

    def _asking_check(self, request: Request, check: Check, connection: Connection[Any]) -> Asking:
        return Asking(
            id=self._request_id(request, connection.peer),
            method=check.method,
            scheme=check.scheme,
            host=check.host,
            target=check.target.decode("latin-1"),
            cookies=cookie_header(request),
            navigates=navigates(request, check.method),
            wants_json=wants_json(request),
            client=self._client(request, connection),
        )

    def _client(self, request: Request, connection: Connection[Any]) -> str:
        try:
            return self._trust.see(request, connection.peer, secure=connection.secure).client
        except PeerError:
            return connection.peer

    def _request_id(self, request: Request, peer: str) -> str:
        given = request.fields.get(b"x-request-id", b"")
        if given and self._trust.is_trusted(peer) and _REQUEST_ID.fullmatch(given):
            return given.decode()
        return self._random(8).hex()


def _is_signed(query: bytes, name: bytes) -> bool:
    """Whether authentik's query signature `name` stands in the query, on whatever path."""
    if name not in query:
        return False
    return [field for field in query.split(b"&") if field.startswith(name + b"=")] == [name + b"=true"]

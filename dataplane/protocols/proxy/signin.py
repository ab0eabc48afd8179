"""Signing in at the edge: start sends the browser to control, callback takes the code it comes back with.

Whatever goes wrong on the way leads to one clean retry, then to a page that says what is likely the matter. A
browser that keeps coming back signed in, and is asked again each time, is in a loop: that is explained too.
"""

import base64
import binascii
import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from urllib.parse import quote, unquote

from dataplane.gate import Gate, ProxySession, Redemption, Refusal, Unavailable
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.asking import Asking
from dataplane.protocols.proxy.attempts import (
    Attempt,
    State,
    attempt_cookies,
    authorize_url,
    begin,
    cut,
    find_attempt,
    forget_attempt,
    read_state,
)
from dataplane.protocols.proxy.cookies import MAX_PARTS, find_values, seal_session, set_cookie, split_token
from dataplane.protocols.proxy.messages import Headers, Response
from dataplane.protocols.proxy.pages import Pages, redirect
from dataplane.protocols.proxy.sessions import Sessions
from dataplane.protocols.proxy.told.decisions import (
    BY_CONTROL,
    CONTROL_AWAY,
    REDIRECT_LOOP,
    RETURN_REFUSED,
    SIGN_IN_FAILED,
    TURNED_DOWN,
)
from dataplane.protocols.proxy.told.told import Told
from dataplane.sansio.clients import SETTING

LOOP_COUNT = 5
"""Sign-ins within LOOP_SECONDS that end where they began."""
LOOP_SECONDS = 60
RETRY_AFTER = 5

_log = logging.getLogger("dataplane.proxy")


class SignIn:
    """The two halves of a sign-in."""

    def __init__(
        self, gate: Gate, sessions: Sessions, pages: Pages, random: Callable[[int], bytes], told: Told
    ) -> None:
        self._gate = gate
        self._sessions = sessions
        self._pages = pages
        self._told = told
        self._metrics = sessions.metrics
        self._clock = sessions.clock
        self._random = random

    def start(self, application: Application, asking: Asking) -> Response:
        """Begin an attempt and send the browser to control, where that can lead anywhere."""
        query = asking.target.partition("?")[2]
        wanted, tries = read_start(query)
        return_url = application.find_return_url(wanted) if wanted else application.provider.external_host + "/"
        if return_url is None:
            self._count("return_refused", asking)
            self._told.sign_in(application, asking, None, RETURN_REFUSED)
            parameters = {"wanted": wanted, "host": application.origin.host, "domain": application.domain}
            return self._pages.error("return_refused", 400, asking, parameters)
        return_url = cut(return_url)
        if self._visits(application, asking, return_url)[0] >= LOOP_COUNT:
            return self._explain_loop(application, asking, return_url)
        outage = self._gate.find_outage()
        if outage is not None:
            return self._unavailable(application, asking, outage.reason)
        attempt = begin(return_url, tries, self._clock(), self._random)
        self._metrics.sign_ins["started"] += 1
        return redirect(authorize_url(application, attempt), attempt_cookies(application, attempt, asking.cookies))

    def callback(self, application: Application, asking: Asking) -> Response:
        """Trade the code for a session and send the browser back to where it wanted to go."""
        query = read_answer(asking.target.partition("?")[2])
        state = read_state(application, query.get("state", ""))
        error = query.get("error", "")
        if error == "access_denied" and state.attempt:  # anybody can write the word into a link
            return self._deny(application, asking)
        attempt = find_attempt(application, state, asking.cookies, self._clock())
        if attempt is None:
            return self._return_or_retry(application, asking, state)
        code = query.get("code", "")
        if error or not code:
            return self._retry(application, asking, state, f"control answered {error or 'without a code'}")
        return self._redeem(application, asking, attempt, code)

    def _redeem(self, application: Application, asking: Asking, attempt: Attempt, code: str) -> Response:
        redemption = Redemption(
            provider=application.provider.id,
            code=code,
            redirect_uri=application.redirect_uri,
            code_verifier=attempt.verifier,
        )
        state = State(tries=attempt.tries, attempt=attempt.id, return_url=attempt.return_url, started=attempt.started)
        match self._gate.redeem_code(redemption):
            case ProxySession() as session:
                return self._admit(application, asking, attempt, session)
            case Refusal.ACCESS_DENIED:
                return self._deny(application, asking)
            case Refusal() as refusal:
                return self._retry(application, asking, state, f"control refused the code: {refusal.value}")
            case Unavailable(reason=reason):
                return self._unavailable(application, asking, reason)

    def _admit(self, application: Application, asking: Asking, attempt: Attempt, session: ProxySession) -> Response:
        state = State(tries=attempt.tries, attempt=attempt.id, return_url=attempt.return_url, started=attempt.started)
        if not hmac.compare_digest(token_nonce(session.id_token).encode(), attempt.nonce.encode()):
            return self._retry(application, asking, state, "the nonce in the ID token is not this attempt's")
        opened = self._sessions.admit(application, session)
        if opened is None:
            return self._retry(application, asking, state, "the session is over already")
        if opened.denied:
            return self._deny(application, asking)
        # Judged again, for the state has been to the browser and config may have changed meanwhile.
        return_url = application.find_return_url(attempt.return_url) or application.provider.external_host + "/"
        self._metrics.sign_ins["completed"] += 1
        self._told.sign_in(application, asking, session.identity, BY_CONTROL)
        lifetime = max(1, int(opened.until - self._clock()))
        cookies = (
            *session_cookies(application, split_token(seal_session(application.sealer, session)), lifetime, asking),
            forget_attempt(application, attempt.id),
            self._visit_cookie(application, asking, attempt.return_url),
        )
        _log.info(
            "signed in", extra={"request_id": asking.id, "host": asking.host, "subject": session.identity.subject}
        )
        return redirect(return_url, cookies)

    def _return_or_retry(self, application: Application, asking: Asking, state: State) -> Response:
        """A reused callback (back button, reload) of someone signed in needs no new sign-in."""
        if state.return_url:
            opened = self._sessions.find(application, asking.cookies)
            return_url = application.find_return_url(state.return_url)
            if opened is not None and not isinstance(opened, Unavailable) and return_url is not None:
                return redirect(return_url)
        return self._retry(application, asking, state, "the attempt is unknown to this browser, used up or too old")

    def _retry(self, application: Application, asking: Asking, state: State, reason: str) -> Response:
        _log.info("sign-in failed: %s", reason, extra={"request_id": asking.id, "host": asking.host})
        used = (forget_attempt(application, state.attempt),) if state.attempt else ()
        if state.tries == 0:
            self._metrics.sign_ins["retried"] += 1
            back = quote(state.return_url or application.provider.external_host + "/", safe="")
            return redirect(f"{application.start_url}?tries=1&rd={back}", used)
        self._count("sign_in_failed", asking)
        self._told.sign_in(application, asking, None, SIGN_IN_FAILED)
        page = self._pages.error(
            "sign_in_failed", 400, asking, {**_diagnosis(application, asking, state.return_url), "reason": reason}
        )
        return Response(status=page.status, headers=(*page.headers, *used), body=page.body)

    def _explain_loop(self, application: Application, asking: Asking, return_url: str) -> Response:
        self._count("redirect_loop", asking)
        self._told.sign_in(application, asking, None, REDIRECT_LOOP)
        page = self._pages.error("redirect_loop", 400, asking, _diagnosis(application, asking, return_url))
        # With the count gone, "try again" on the page does try again.
        cleared = set_cookie(application.cookie + b"_v", b"", application.flow_scope, 0)
        return Response(status=page.status, headers=(*page.headers, cleared), body=page.body)

    def _deny(self, application: Application, asking: Asking) -> Response:
        self._count("access_denied", asking)
        self._told.sign_in(application, asking, None, TURNED_DOWN)
        return self._pages.error("access_denied", 403, asking, denial(application, ""))

    def _unavailable(self, application: Application, asking: Asking, reason: str) -> Response:
        self._count("unavailable", asking)
        self._told.sign_in(application, asking, None, CONTROL_AWAY)
        _log.warning("control can't be asked: %s", reason, extra={"request_id": asking.id, "host": asking.host})
        parameters = {"application": application.provider.application_name, "retry_after": RETRY_AFTER}
        return self._pages.error("unavailable", 503, asking, parameters)

    def _visits(self, application: Application, asking: Asking, return_url: str) -> tuple[int, float]:
        """How often in a row this browser has lately signed in to reach the same URL, and since when.

        Many tabs opened at once sign in often too, but each for a page of its own.
        """
        for value in find_values(asking.cookies, application.cookie + b"_v"):
            match application.sealer.find("visits", value):
                case [int(count), int() | float() as since, str(digest)] if (
                    0 <= self._clock() - since <= LOOP_SECONDS and digest == _digest(return_url)
                ):
                    return count, since
        return 0, self._clock()

    def _visit_cookie(self, application: Application, asking: Asking, return_url: str) -> tuple[bytes, bytes]:
        count, since = self._visits(application, asking, return_url)
        value = application.sealer.seal("visits", [count + 1, since, _digest(return_url)])
        return set_cookie(application.cookie + b"_v", value, application.flow_scope, LOOP_SECONDS)

    def _count(self, reason: str, asking: Asking) -> None:
        self._metrics.refusals[reason] += 1
        extra = {"request_id": asking.id, "host": asking.host, "client": asking.client}
        _log.warning("refused: %s", reason, extra=extra)


def session_cookies(application: Application, values: tuple[bytes, ...], lifetime: int, asking: Asking) -> Headers:
    """The session's cookies, and the removal of parts that an earlier and longer session has left."""
    names = [application.cookie, *(application.cookie + b"_%d" % part for part in range(1, MAX_PARTS))]
    written = [
        set_cookie(name, value, application.session_scope, lifetime) for name, value in zip(names, values, strict=False)
    ]
    held = {name: sum(1 for _ in find_values(asking.cookies, name)) for name in names}
    stale = [set_cookie(name, b"", application.session_scope, 0) for name in names[len(values) :] if held[name]]
    # Two of a name: one of them lies where this application had its cookies before it was configured otherwise.
    doubled = any(count > 1 for count in held.values())
    elsewhere = application.other_scopes if doubled else ()
    return (*written, *stale, *(set_cookie(name, b"", scope, 0) for scope in elsewhere for name in names))


def read_answer(query: str) -> dict[str, str]:
    """What control says in a callback: the first of each, whatever else there is and however much of it."""
    told: dict[str, str] = {}
    for field in query.split("&"):
        name, _, value = field.partition("=")
        if name in {"state", "code", "error"}:
            told.setdefault(name, unquote(value.replace("+", " ")))
    return told


def read_start(query: str) -> tuple[str, int]:
    """Where to return to, and which try this is.

    nginx's usual snippet puts a URL behind `rd=` as it is, ampersands and all: then all of the rest belongs to it.
    """
    before, found, value = query.partition("rd=")
    if not found or (before and not before.endswith("&")):
        return "", _tries(query)
    if value.startswith(("http://", "https://", "/")):
        return value, _tries(before)
    return unquote(value.partition("&")[0].replace("+", " ")), _tries(query)


def token_nonce(id_token: str) -> str:
    """The nonce of an ID token that came over the link, which vouches for it; empty when there is none."""
    try:
        payload = id_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        nonce = claims["nonce"]
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return ""
    return nonce if isinstance(nonce, str) else ""


def denial(application: Application, username: str) -> dict[str, object]:
    """What the page for a person without access says."""
    return {
        "application": application.provider.application_name,
        "username": username,
        "portal": application.browser_url,
        "sign_out": f"{application.provider.external_host}/outpost.goauthentik.io/sign_out",
    }


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def _tries(query: str) -> int:
    return 1 if "tries=1" in query.split("&") else 0


def _diagnosis(application: Application, asking: Asking, return_url: str) -> dict[str, object]:
    return {
        "application": application.provider.application_name,
        "external_host": application.provider.external_host,
        "domain": application.domain,
        "host": asking.host,
        "return_url": return_url,
        "again": f"{application.start_url}?rd={quote(return_url, safe='')}",
        "insecure": application.secure and asking.scheme == "http",
        "distrusted": asking.distrusted,
        "setting": SETTING,
    }

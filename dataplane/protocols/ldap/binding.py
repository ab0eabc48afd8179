"""Who a client is: a Bind request judged (RFC 4511 section 4.2, RFC 4513 section 5.1).

Passwords are control's to check; in the mode `cached` what it said may count for a while, in `direct` it is asked each
time. Who is locked out, unknown, inactive or simply wrong hears the same, so that nobody learns who is there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from dataplane.config import BindMode, LdapProvider
from dataplane.gate import (
    Allowed,
    Attempt,
    Challenge,
    Channel,
    Denied,
    DenyReason,
    EventAction,
    PasswordCredentials,
    ProxySession,
    Unavailable,
)
from dataplane.ledger import Happening, Ledger
from dataplane.protocols.ldap.messages import SUCCESS, Bind, Result, ResultCode, Simple
from dataplane.protocols.ldap.metrics import Metrics
from dataplane.protocols.ldap.trees import Trees
from dataplane.revocations import Revocations
from dataplane.verifier import Source, Verified, Verifier

_VERSION = 3
INVALID = Result(code=ResultCode.INVALID_CREDENTIALS, diagnostic="wrong name or password")
_OTHER_VERSION = Result(code=ResultCode.PROTOCOL_ERROR, diagnostic="only version 3 of LDAP is served")
_NOT_SIMPLE = Result(code=ResultCode.AUTH_METHOD_NOT_SUPPORTED, diagnostic="only simple binds are served")
_NO_PASSWORD = Result(
    code=ResultCode.UNWILLING_TO_PERFORM, diagnostic="a name without a password (RFC 4513 section 5.1.2)"
)
_NO_DN = Result(code=ResultCode.INVALID_DN_SYNTAX, diagnostic="the name is no distinguished name")
_SECOND_FACTOR = Result(
    code=ResultCode.INVALID_CREDENTIALS,
    diagnostic="a code of the second factor is due: write password;code where the password goes",
)
DENIED = Result(code=ResultCode.INSUFFICIENT_ACCESS_RIGHTS, diagnostic="you may not use this application")
BUSY = Result(code=ResultCode.BUSY, diagnostic="too many passwords are being checked: try again")
UNAVAILABLE = Result(code=ResultCode.UNAVAILABLE, diagnostic="passwords can't be checked just now: try again")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bound:
    """A client that has proven who it is, at a provider (by its id and its application's slug)."""

    provider: str
    application: str
    session: ProxySession


class Binder:
    """Judges Bind requests."""

    def __init__(
        self,
        verifier: Verifier,
        revocations: Revocations,
        ledger: Ledger,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._ledger = ledger
        self._metrics = metrics
        self._clock = clock

    def bind(self, trees: Trees, request: Bind, client: str) -> Bound | Result:
        """Who it is, or the answer; SUCCESS is for nobody."""
        if request.version != _VERSION:
            return _OTHER_VERSION
        if not isinstance(request.authentication, Simple):
            return _NOT_SIMPLE
        password = request.authentication.password
        if not request.name:
            return INVALID if password else SUCCESS
        # It would look like a success to whoever forgot to ask for a password.
        return self._bind(trees, request.name, password, client) if password else _NO_PASSWORD

    def _bind(self, trees: Trees, name: str, password: bytes, client: str) -> Bound | Result:
        try:
            tree = trees.find_tree(name)
        except ValueError:
            return _NO_DN
        username = tree.bind_name(name) if tree is not None else None
        if tree is None or username is None:
            return INVALID
        try:
            credentials = PasswordCredentials(username=username, password=password.decode())
        except UnicodeDecodeError:  # what was prepared as RFC 4513 section 5.1 has it is UTF-8
            return INVALID
        provider = tree.provider
        attempt = Attempt(
            provider=provider.id, channel=Channel.LDAP, credentials=credentials, client_address=_address(client)
        )
        return self._judge(provider, attempt)

    def _judge(self, provider: LdapProvider, attempt: Attempt) -> Bound | Result:
        verified = self._verify(provider, attempt)
        answer, is_kept = verified.answer, verified.source is not Source.CONTROL
        if is_kept and isinstance(answer, Allowed) and self.is_over(answer.session, provider):
            # It was learnt before an end that was heard of here first: control knows what is true now.
            self._verifier.end_here(answer.session.id)
            verified = self._verify(provider, attempt)
        return self._answer(provider, attempt, verified)

    def _verify(self, provider: LdapProvider, attempt: Attempt) -> Verified:
        match provider.bind_mode:
            case BindMode.CACHED:
                return self._verifier.verify(attempt)
            case BindMode.DIRECT:
                return Verified(self._verifier.ask(attempt), Source.CONTROL)
            case _:
                assert_never(provider.bind_mode)

    def _answer(self, provider: LdapProvider, attempt: Attempt, verified: Verified) -> Bound | Result:
        match verified.answer:
            case Allowed(session=session):
                return self._enter(provider, attempt, session, verified.source)
            case Denied(reason=reason):
                self._metrics.binds[reason] += 1
                return _RESULTS[reason]
            case Challenge():
                # LDAP can't ask: it goes behind the password.
                self._metrics.binds["challenged"] += 1
                return _SECOND_FACTOR
            case Unavailable():
                self._metrics.binds["unavailable"] += 1
                return UNAVAILABLE
            case _:
                assert_never(verified.answer)

    def _enter(self, provider: LdapProvider, attempt: Attempt, session: ProxySession, source: Source) -> Bound | Result:
        if self.is_over(session, provider):
            self._metrics.binds["session_ended"] += 1
            return INVALID
        if self.is_denied(session, provider.id):
            self._metrics.binds[DenyReason.ACCESS_DENIED] += 1
            self._record(EventAction.TURNED_AWAY, provider.id, session, attempt.client_address, "access denied")
            return DENIED
        self._metrics.binds[source] += 1
        if source is not Source.CONTROL:  # what control decided just now, it has in its audit trail
            action = EventAction.ADMITTED if source is Source.CACHE else EventAction.ADMITTED_OFFLINE
            self._record(action, provider.id, session, attempt.client_address)
        return Bound(provider=provider.id, application=provider.application_slug, session=session)

    def is_over(self, session: ProxySession, provider: LdapProvider) -> bool:
        """Whether a session has run out, or was ended before."""
        return session.expires <= self._clock() or self._revocations.is_ended(session, provider.id)

    def is_denied(self, session: ProxySession, provider: str) -> bool:
        """Whether the person has lost the application since."""
        change = self._revocations.find_change(session)
        return change is not None and provider in change.denied_providers

    def _record(self, action: EventAction, provider: str, session: ProxySession, client: str, reason: str = "") -> None:
        happening = Happening(
            action=action,
            provider=provider,
            subject=session.identity.subject,
            username=session.identity.username,
            client_address=client,
            reason=reason,
        )
        self._ledger.record(happening)


_RESULTS = {
    DenyReason.INVALID_CREDENTIALS: INVALID,
    DenyReason.LOCKED_OUT: INVALID,
    DenyReason.ACCESS_DENIED: DENIED,
    DenyReason.SECOND_FACTOR: _SECOND_FACTOR,
    DenyReason.BUSY: BUSY,
}


def _address(peer: str) -> str:
    """Where the client is, for lockouts; empty for one on a unix socket."""
    return "" if peer == "unix" else peer

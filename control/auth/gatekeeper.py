"""What outposts ask of control while they serve: codes for sessions, sessions again, their end, who may in, passwords.

In domain terms and synchronous: control.link calls it from a thread pool after it has checked that the provider lies
within the calling outpost's scope, and makes messages of the answers. One transaction a call.
"""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import assert_never
from uuid import UUID

from authlib.oauth2.rfc6749 import OAuth2Error

from control.auth import sessions
from control.auth.deciding import Decider
from control.auth.granting import Asked, Granted, attempt_of, bound, is_lasting, subject_of
from control.auth.oidc.adapters import Request
from control.auth.oidc.issuer import Issuer
from control.auth.oidc.keys import ensure_signing_key
from control.auth.oidc.server import Refused as TurnedDown
from control.auth.oidc.server import Server
from control.auth.oidc.tokens import TokenSubject, id_token_claims, sign
from control.auth.password_change import ChangeAsked, change_password
from control.auth.passwords import Passwords
from control.domain.application import Application, BindMode, LdapProvider, ProxyProvider
from control.domain.decision import Admitted, Challenged, Deny, Refused, RefusedReason
from control.domain.grant import (
    IssuedSession,
    PasswordRefused,
    PasswordSet,
    Refusal,
    RefusalReason,
    find_basic_credentials,
    identity_of,
)
from control.domain.identity import merged_attributes
from control.domain.policy import decide
from control.store import Actor, Event, Store, Unit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Of a MAC that is asked of control alone, where each guess is a call.
_PROOF_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """A code and everything it has to fit."""

    provider: UUID
    code: str = field(repr=False)
    redirect_uri: str
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClaim:
    """What a cookie says of its session, with the proof that control said it first.

    Outposts that know of no proof have none; they are believed while the sign-in is going on.
    """

    provider: UUID
    session: UUID
    subject: UUID
    authenticated: datetime
    expires: datetime
    proof: str = field(default="", repr=False)


class Gatekeeper:
    """Answers outposts. Safe to call from many threads."""

    def __init__(self, store: Store, issuer: Issuer, passwords: Passwords | None = None) -> None:
        self._store = store
        self._issuer = issuer
        self._passwords = passwords or Passwords()
        self._decider = Decider(store, self._passwords, issuer)
        self._key = store.sealer.derive("proof of sessions")

    def redeem_code(self, caller: Actor, redemption: Redemption) -> IssuedSession | Refusal:
        """Trade a code for a session. The code is used up whatever the answer is.

        A code shown twice is refused and audited, and that is all: RFC 6749 section 4.1.2 would also end what the
        first showing gave, but a browser that loads the callback twice is no thief. A thief lacks the PKCE verifier,
        which lies in the browser's sealed cookie, and the outpost's certificate.
        """
        with self._store.write(caller) as unit:
            answer = _redeem(unit, self._issuer, redemption)
            unit.record(_redeemed(unit, redemption, answer))
        if isinstance(answer, Refusal):
            return answer
        return replace(answer, proof=_prove(self._key, _claimed(redemption.provider, answer)))

    def look_up_session(self, claim: SessionClaim) -> IssuedSession | Refusal:
        """The session again, with the identity as it is now and an ID token that says so.

        The token has the bounds of the first one and no nonce: it answers no attempt to sign in.
        """
        with self._store.read() as unit:
            if not _is_ours(unit, self._key, claim):
                return Refusal(RefusalReason.SESSION_ENDED)
            return _look_up(unit, self._issuer, claim)

    def end_session(self, caller: Actor, session: UUID) -> None:
        """End the sign-in and all that was born of it. Asking twice does nothing more."""
        with self._store.write(caller) as unit:
            sessions.end_session(unit, session)

    def authenticate(self, caller: Actor, asked: Asked) -> Granted | Refused | Challenged:
        """Decide whether somebody with credentials may in, and open a session at the provider for who may."""
        with self._store.read() as unit:
            application = unit.applications.find_for_provider(asked.provider)
            provider = unit.providers.find(asked.provider)

        def enter(unit: Unit, admitted: Admitted) -> Granted | Refused:
            still = unit.applications.find_for_provider(asked.provider)
            if still is None or application is None or still.id != application.id:
                # The provider guards another one since a moment ago.
                return Refused(reason=RefusedReason.ACCESS_DENIED)
            return self._grant(unit, asked, admitted, still)

        return self._decider.settle(attempt_of(asked, caller, application, provider), enter)

    def change_password(self, caller: Actor, asked: ChangeAsked) -> PasswordSet | PasswordRefused:
        """Change the password of a person who knows the present one."""
        return change_password(self._store, self._passwords, caller, asked)

    def _grant(self, unit: Unit, asked: Asked, admitted: Admitted, application: Application) -> Granted:
        provider = unit.providers.get(asked.provider)
        match provider:
            case ProxyProvider():
                return self._sign_in(unit, asked, admitted, application, provider)
            case LdapProvider():
                # Of attributes it has what its mappings show, in the directory.
                lasting = is_lasting(asked.given, admitted) and provider.bind_mode is BindMode.CACHED
                return Granted(session=bound(unit, admitted), attributes={}, lasting=lasting)
            case _:
                assert_never(provider)

    def _sign_in(
        self, unit: Unit, asked: Asked, admitted: Admitted, application: Application, provider: ProxyProvider
    ) -> Granted:
        subject = subject_of(unit, asked.given, admitted, application, provider)
        session = _issued(unit, subject, sign(id_token_claims(self._issuer, subject), ensure_signing_key(unit)))
        return Granted(
            session=replace(session, proof=_prove(self._key, _claimed(provider.id, session))),
            attributes=merged_attributes(admitted.person),
            lasting=is_lasting(asked.given, admitted),
        )


def _claimed(provider: UUID, session: IssuedSession) -> SessionClaim:
    return SessionClaim(
        provider=provider,
        session=session.id,
        subject=session.identity.subject,
        authenticated=session.authenticated,
        expires=session.expires,
    )


def _prove(key: bytes, claim: SessionClaim) -> str:
    """What only control can make of these bounds: an outpost that makes up a session of somebody's learns nothing."""
    times = ((each - _EPOCH) // timedelta(microseconds=1) for each in (claim.authenticated, claim.expires))
    message = "\0".join(map(str, (claim.provider, claim.session, claim.subject, *times)))
    return urlsafe_b64encode(hmac.new(key, message.encode(), sha256).digest()[:_PROOF_BYTES]).rstrip(b"=").decode()


def _is_ours(unit: Unit, key: bytes, claim: SessionClaim) -> bool:
    """Whether control made the session that is claimed."""
    if claim.proof:
        return hmac.compare_digest(_prove(key, claim).encode(), claim.proof.encode())
    sign_in = unit.sign_ins.find(claim.session)
    return sign_in is not None and sign_in.user == claim.subject and sign_in.expires > unit.now


def _redeem(unit: Unit, issuer: Issuer, redemption: Redemption) -> IssuedSession | Refusal:
    provider = unit.proxy_providers.find(redemption.provider)
    if provider is None:
        return Refusal(RefusalReason.INVALID_CODE)
    server = Server(unit, issuer)
    try:
        grant = server.get_token_grant(_request(provider, redemption))
        grant.validate_token_request()
        _, token, _ = grant.create_token_response()
    except TurnedDown as refused:
        return Refusal(refused.reason)
    except OAuth2Error:
        return Refusal(RefusalReason.INVALID_CODE)
    return _issued(unit, token["subject"], token["id_token"])


def _request(provider: ProxyProvider, redemption: Redemption) -> Request:
    """RFC 6749 section 4.1.3 and RFC 7636 section 4.5; the client is the provider the link vouches for."""
    parameters = (
        ("grant_type", "authorization_code"),
        ("client_id", provider.client_id),
        ("code", redemption.code),
        ("redirect_uri", redemption.redirect_uri),
        ("code_verifier", redemption.verifier),
    )
    return Request("POST", parameters)


def _issued(unit: Unit, subject: TokenSubject, id_token: str) -> IssuedSession:
    return IssuedSession(
        id=subject.session,
        identity=identity_of(subject.person),
        authenticated=subject.dated,
        expires=subject.expires,
        clock=unit.now,
        id_token=id_token,
        basic=find_basic_credentials(subject.person, subject.provider),
    )


def _redeemed(unit: Unit, redemption: Redemption, answer: IssuedSession | Refusal) -> Event:
    application = unit.applications.find_for_provider(redemption.provider)
    slug = application.slug if application else str(redemption.provider)
    if isinstance(answer, Refusal):
        return Event(action="redeemed", kind="code", target="", name=slug, outcome=answer.reason)
    name = f"{answer.identity.username} at {slug}"
    return Event(action="redeemed", kind="code", target=str(answer.id), name=name)


def _look_up(unit: Unit, issuer: Issuer, claim: SessionClaim) -> IssuedSession | Refusal:
    user, provider = unit.users.find(claim.subject), unit.proxy_providers.find(claim.provider)
    if user is None or not user.active or provider is None or _is_over(unit, claim, provider):
        return Refusal(RefusalReason.SESSION_ENDED)
    application = unit.applications.find_for_provider(provider.id)
    person = unit.memberships.person(user)
    if application is None or isinstance(
        decide(person, application, unit.bindings.of_application(application.id)), Deny
    ):
        return Refusal(RefusalReason.ACCESS_DENIED)
    sign_in = unit.sign_ins.find(claim.session)
    subject = TokenSubject(
        person=person,
        session=claim.session,
        authenticated=sign_in.authenticated if sign_in is not None else None,
        methods=sign_in.methods if sign_in is not None else (),
        provider=provider,
        application=application,
        nonce="",
        issued=min(claim.authenticated, unit.now),
        dated=claim.authenticated,
        expires=min(claim.expires, claim.authenticated + provider.access_token_validity),
    )
    return _issued(unit, subject, sign(id_token_claims(issuer, subject), unit.signing_keys.all()[-1]))


def _is_over(unit: Unit, claim: SessionClaim, provider: ProxyProvider) -> bool:
    """Whether the session ran out or was ended. Its sign-in may have run out before it: that ends nothing."""
    return (
        claim.expires <= unit.now
        or claim.authenticated + provider.access_token_validity <= unit.now
        or any(
            revocation.ends(claim.session, claim.authenticated)
            for revocation in unit.revocations.about(claim.session, claim.subject, claim.provider)
        )
    )

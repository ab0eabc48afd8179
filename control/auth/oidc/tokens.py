"""ID tokens: what they claim (pure) and how they are signed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from joserfc import jwt

from control.auth.oidc.issuer import Issuer
from control.auth.oidc.keys import ALGORITHM, TYPE, signer
from control.domain.application import Application, ProxyProvider
from control.domain.factors import Method
from control.domain.identity import PROXY_SETTINGS, Person, merged_attributes
from control.domain.security import SigningKey

# What its session counts from, in microseconds: seconds don't tell whether it was ended before or after.
MOMENT = "garrison_moment"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A recovery code is a password good once, an app password one good for a while.
_METHOD_WORDS = {
    Method.PASSWORD: "pwd",
    Method.APP_PASSWORD: "pwd",
    Method.ONE_TIME_CODE: "otp",
    Method.RECOVERY_CODE: "otp",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSubject:
    """Whom a token speaks of, to which application, from when until when.

    `authenticated` is when the person signed in and `methods` are by what, where that is still known; `nonce` is empty
    in a token given again.
    `dated` is the moment its session counts from (`control.store.moments`), `issued` the time.
    """

    person: Person
    session: UUID
    authenticated: datetime | None
    methods: tuple[Method, ...] = ()
    provider: ProxyProvider
    application: Application
    nonce: str
    issued: datetime
    dated: datetime
    expires: datetime


def id_token_claims(issuer: Issuer, subject: TokenSubject) -> dict[str, Any]:
    """The claims of OpenID Connect Core 1.0 section 2, and those that proxied applications know from authentik."""
    user = subject.person.user
    claims: dict[str, Any] = {
        "iss": issuer.of(subject.application.slug),
        "aud": subject.provider.client_id,
        "sub": str(user.id),
        "sid": str(subject.session),
        "exp": int(subject.expires.timestamp()),
        "iat": int(subject.issued.timestamp()),
        "preferred_username": user.username,
        "name": user.name,
        "email": user.email,
        # Only administrators write addresses, so one that is there has been vouched for.
        "email_verified": bool(user.email),
        "groups": list(subject.person.group_names),
        "entitlements": [],
        "ak_proxy": {"user_attributes": _shown_attributes(subject.person), "is_superuser": subject.person.superuser},
        MOMENT: (subject.dated - _EPOCH) // timedelta(microseconds=1),
    }
    if subject.authenticated is not None:
        claims["auth_time"] = int(subject.authenticated.timestamp())
    if subject.methods:
        claims["amr"] = authentication_methods(subject.methods)
    if subject.nonce:
        claims["nonce"] = subject.nonce
    return claims


def moment_of(claims: Mapping[str, Any]) -> datetime:
    """The moment a token's session counts from; of tokens that don't tell, the second in which they were made."""
    return _EPOCH + timedelta(microseconds=claims.get(MOMENT, claims["iat"] * 1_000_000))


def authentication_methods(methods: Iterable[Method]) -> list[str]:
    """The `amr` claim in the words of RFC 8176 section 2: `mfa` beside them where two kinds were used."""
    words = sorted({_METHOD_WORDS[method] for method in methods})
    return [*words, "mfa"] if len(words) > 1 else words


def sign(claims: dict[str, Any], key: SigningKey) -> str:
    """The claims as a signed token."""
    private = signer(key)
    return jwt.encode({"alg": ALGORITHM, "typ": TYPE, "kid": private.kid or ""}, claims, private, [ALGORITHM])


def _shown_attributes(person: Person) -> dict[str, Any]:
    """All but where mode proxy finds applications: that is between control and its outposts."""
    return {name: value for name, value in merged_attributes(person).items() if name != PROXY_SETTINGS}

"""Certificates, signing keys, sign-in sessions, authorization codes and what ends a session early."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from control.domain.factors import Method

# How long a sign-in lasts, and with it the time in which proxy sessions are born of it.
SIGN_IN_LIFETIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate chain (PEM, leaf first), with its private key (PEM) where Garrison has it."""

    id: UUID
    name: str
    chain: str
    private_key: str | None = field(default=None, repr=False)
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key that signs ID tokens: ES256, private key as PEM. The newest signs, all verify."""

    id: UUID
    private_key: str = field(repr=False)
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority of the link. The newest signs; the others are trusted until they retire or end."""

    id: UUID
    certificate: str
    private_key: str = field(repr=False)
    created: datetime
    retires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieKey:
    """An AES-256-GCM key of a proxy provider's cookies: 32 bytes. The newest seals, the others open."""

    id: UUID
    provider: UUID
    secret: bytes = field(repr=False)
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A server-side session of the control plane. The browser holds a secret whose SHA-256 is `fingerprint`.

    `methods` are what the person proved to be by.
    """

    id: UUID
    user: UUID
    fingerprint: str
    authenticated: datetime
    expires: datetime
    last_seen: datetime
    methods: tuple[Method, ...] = (Method.PASSWORD,)
    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCode:
    """An OIDC authorization code: stored by its SHA-256, good once, bound to all it was asked with (RFC 7636)."""

    fingerprint: str
    provider: UUID
    user: UUID
    sign_in: UUID
    redirect_uri: str
    nonce: str
    challenge: str
    scope: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What ends or overlays proxy sessions before their time; fields that are None match anything.

    `changed` marks a person whose identity or access changed; the rest end sessions authenticated before `at`.
    """

    id: UUID
    sign_in: UUID | None = None
    user: UUID | None = None
    provider: UUID | None = None
    changed: bool = False
    at: datetime
    until: datetime

    def ends(self, session: UUID, dated: datetime) -> bool:
        """Whether it ends a session of its user and provider that counts from `dated`.

        The end of the sign-in that a session was born of ends it whenever it began.
        """
        return self.sign_in == session or (not self.changed and dated < self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Who did what to what, how it ended and why. `fields` names what changed, never its value.

    `outpost` names the one that tells of it, empty where control itself does; `count` is of how many like events. `at`
    is when it happened, as far as who tells of it knows, and `recorded` when it came into the trail.
    """

    id: UUID
    at: datetime
    recorded: datetime
    actor: str
    action: str
    kind: str
    target: str
    name: str
    fields: tuple[str, ...] = ()
    address: str = ""
    outcome: str = "success"
    reason: str = ""
    request_id: str = ""
    outpost: str = ""
    count: int = 1

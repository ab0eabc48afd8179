"""What an outpost is told of a person and of a proxy session: made by sign-in and by the fleet's snapshot alike."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from control.domain.identity import Person, additional_headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a person is, as far as an application has to be told. Hashable, since snapshots are compared."""

    subject: str
    username: str = ""
    name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    entitlements: tuple[str, ...] = ()
    additional_headers: tuple[tuple[str, str], ...] = ()


def identity_of(person: Person, entitlements: Iterable[str] = ()) -> Identity:
    """The identity of a person now."""
    return Identity(
        subject=str(person.user.id),
        username=person.user.username,
        name=person.user.name,
        email=person.user.email,
        groups=person.group_names,
        entitlements=tuple(sorted(entitlements)),
        additional_headers=tuple(sorted(additional_headers(person).items())),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySession:
    """A session at a proxy outpost. `id` is that of the sign-in it was born of; `authenticated` is its issue time."""

    id: str
    identity: Identity
    authenticated: datetime
    expires: datetime
    id_token: str = field(repr=False)


class RefusalReason(StrEnum):
    """Why there is no session."""

    INVALID_CODE = "invalid_code"
    SESSION_ENDED = "session_ended"
    ACCESS_DENIED = "access_denied"


@dataclass(frozen=True, slots=True)
class Refusal:
    """No session, and why."""

    reason: RefusalReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """An authorization code with what it has to match (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""

    provider: UUID
    code: str = field(repr=False)
    redirect_uri: str
    code_verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuestion:
    """Whether a session that an outpost knows only by name still stands, and what it says."""

    provider: UUID
    session: UUID
    subject: UUID
    authenticated: datetime
    expires: datetime

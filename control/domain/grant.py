"""What a person gets at one provider: a session with an identity and an ID token, or a refusal by reason.

Made by control.auth, carried to the outpost by control.link, which alone makes messages of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from control.domain.identity import Person, additional_headers


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedIdentity:
    """Who a person is, as far as an outpost has to tell applications. `groups` are names, nested ones included."""

    subject: UUID
    username: str
    name: str
    email: str
    groups: tuple[str, ...]
    entitlements: tuple[str, ...] = ()
    additional_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedSession:
    """A session at one provider. `id` is the sign-in it was born of (`sid`); no credential, safe to show.

    `authenticated` is the moment control issued it (`control.store.moments`), so what is revoked before then never
    ends it. `clock` is control's time as it answers. `proof` shows later that control made the session.
    """

    id: UUID
    identity: IssuedIdentity
    authenticated: datetime
    expires: datetime
    clock: datetime
    id_token: str = field(repr=False)
    proof: str = field(default="", repr=False)


class RefusalReason(StrEnum):
    """Why there is no session."""

    INVALID_CODE = "invalid_code"
    SESSION_ENDED = "session_ended"
    ACCESS_DENIED = "access_denied"


@dataclass(frozen=True, slots=True)
class Refusal:
    """No session, and why."""

    reason: RefusalReason


def identity_of(person: Person) -> IssuedIdentity:
    """The identity that applications are told."""
    return IssuedIdentity(
        subject=person.user.id,
        username=person.user.username,
        name=person.user.name,
        email=person.user.email,
        groups=person.group_names,
        additional_headers=additional_headers(person),
    )

"""What a person gets at one provider: a session with an identity and an ID token, or a refusal by reason.

Made by control.auth, carried to the outpost by control.link, which alone makes messages of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from control.domain.application import ProxyProvider
from control.domain.identity import Person, additional_headers, merged_attributes, proxy_settings

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedIdentity:
    """Who a person is, as far as an outpost has to tell applications. `groups` are names, nested ones included.

    `superuser`: who is told what went wrong in detail. `backend_override` is another address of the application for
    this person, `host_header` another Host header, in mode proxy; both are mostly empty.
    """

    subject: UUID
    username: str
    name: str
    email: str
    groups: tuple[str, ...]
    entitlements: tuple[str, ...] = ()
    additional_headers: Mapping[str, str] = field(default_factory=dict)
    superuser: bool = False
    backend_override: str = ""
    host_header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCredentials:
    """What an application is sent as HTTP Basic (RFC 7617)."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedSession:
    """A session at one provider. `id` is the sign-in it was born of (`sid`); no credential, safe to show.

    `authenticated` is the moment control issued it (`control.store.moments`), so what is revoked before then never
    ends it. `clock` is control's time as it answers. `proof` shows later that control made the session; `basic` is what
    the application is sent.
    """

    id: UUID
    identity: IssuedIdentity
    authenticated: datetime
    expires: datetime
    clock: datetime
    id_token: str = field(repr=False)
    proof: str = field(default="", repr=False)
    basic: BasicCredentials | None = None


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
class PasswordSet:
    """A person's password is another now; `generated` is it, where nobody wanted a certain one."""

    generated: str = field(default="", repr=False)


class PasswordRefusal(StrEnum):
    """Why a person's password stays as it is. What `INVALID_CREDENTIALS` was about nobody is told."""

    INVALID_CREDENTIALS = "invalid_credentials"
    LOCKED_OUT = "locked_out"
    BUSY = "busy"
    UNSUITABLE = "unsuitable"
    ACCESS_DENIED = "access_denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordRefused:
    """The password stays as it is; `retry_after` where time heals it."""

    reason: PasswordRefusal
    retry_after: timedelta = timedelta()


def identity_of(person: Person, *, is_proxied: bool = True) -> IssuedIdentity:
    """The identity that applications are told; what attributes say for those alone that are asked over HTTP."""
    identity = IssuedIdentity(
        subject=person.user.id,
        username=person.user.username,
        name=person.user.name,
        email=person.user.email,
        groups=person.group_names,
    )
    if not is_proxied:
        return identity
    settings = proxy_settings(person)
    return replace(
        identity,
        additional_headers=additional_headers(person),
        superuser=person.superuser,
        backend_override=settings.backend_override,
        host_header=settings.host_header,
    )


def find_basic_credentials(person: Person, provider: ProxyProvider) -> BasicCredentials | None:
    """What the provider's application is sent of this person as HTTP Basic; None for nothing.

    The merged attributes hold it under the names that the provider says: text, or it doesn't count. Without a username
    there the e-mail address stands in; without a password nothing is sent. So it is where HTTP Basic can't say it: a
    colon in the username would end it early, and control characters are forbidden (RFC 7617 section 2).
    """
    if not provider.basic_auth_enabled:
        return None
    attributes = merged_attributes(person)
    password = _text(attributes, provider.basic_auth_password_attribute)
    username = _text(attributes, provider.basic_auth_user_attribute) or person.user.email
    if not password or ":" in username or _CONTROL_CHARACTERS.search(username + password):
        return None
    return BasicCredentials(username=username, password=password)


def _text(attributes: Mapping[str, object], name: str) -> str:
    value = attributes.get(name) if name else None
    return value if isinstance(value, str) else ""

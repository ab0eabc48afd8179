"""The answer to "may this person in?": closed unions that every protocol renders its own way.

A `Decision` is what an application's rules say of somebody who is known; a `Verdict` is the whole answer to somebody
who brings credentials: who it is, by what that was proved, and whether the application's rules let that person in.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from control.domain.factors import Method
from control.domain.identity import Person


class DenyReason(StrEnum):
    """Why not; templates hold the words."""

    USER_INACTIVE = "user_inactive"
    NO_BINDING_MATCHES = "no_binding_matches"
    A_BINDING_FAILS = "a_binding_fails"


@dataclass(frozen=True, slots=True)
class Allow:
    """Come in. `open_to_all` when no enabled binding guards the application."""

    open_to_all: bool = False


@dataclass(frozen=True, slots=True)
class Deny:
    """Stay out, and why."""

    reason: DenyReason


Decision = Allow | Deny


class Channel(StrEnum):
    """The way credentials came: a browser at our own sign-in page, or a protocol of an outpost."""

    BROWSER = "browser"
    HTTP = "http"
    LDAP = "ldap"
    RADIUS = "radius"


class RefusedReason(StrEnum):
    """Why credentials open nothing. What `INVALID_CREDENTIALS` was about nobody is told, but the audit trail."""

    INVALID_CREDENTIALS = "invalid_credentials"
    LOCKED_OUT = "locked_out"
    ACCESS_DENIED = "access_denied"
    SECOND_FACTOR = "second_factor"
    BUSY = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Come in. `session` is what ends it early: the app password, where it was one, else an id of its own.

    What was proved by ends at `expires`, and nothing that is born of it may outlast that.
    """

    person: Person
    methods: tuple[Method, ...]
    session: UUID
    app_password: UUID | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Stay out; `retry_after` where time heals it."""

    reason: RefusedReason
    retry_after: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenged:
    """The password is right and a code is due; `state` goes back with it."""

    state: str = field(repr=False)
    expires_in: timedelta


Verdict = Admitted | Refused | Challenged

"""How people prove who they are besides their password, and what stands in for it where no second step can be asked.

A second factor is an authenticator app (TOTP, RFC 6238) or one of the recovery codes given with the first of them. An
app password is a random secret for one device or program; it asks for no second factor, since the session that made it
had one where one was due.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Method(StrEnum):
    """What somebody proved to be by; the words of the `amr` claim (RFC 8176 section 2) where it has one."""

    PASSWORD = "pwd"
    ONE_TIME_CODE = "otp"
    RECOVERY_CODE = "recovery"
    APP_PASSWORD = "app"


SECOND_FACTORS = frozenset({Method.ONE_TIME_CODE, Method.RECOVERY_CODE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """An authenticator app. `secret` is 20 random bytes; it counts once `confirmed` by a first code.

    `last_step` is the time step (30 s since 1970) of the last code that was accepted: that and older ones are spent.
    """

    id: UUID
    user: UUID
    name: str
    secret: bytes = field(repr=False)
    created: datetime
    confirmed: datetime | None = None
    last_step: int = 0
    last_used: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many active members a group has, those of groups below it included, and how many without an app."""

    members: int
    without: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCode:
    """A code for the day the app is gone, good once; known by its keyed hash."""

    id: UUID
    user: UUID
    fingerprint: str
    created: datetime
    used: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPassword:
    """A secret for one device, known by its keyed hash. Where not `everywhere` it is good for `applications` alone.

    Its id is the session of whoever comes in by it, so that outposts end that with it. `second_factor`: whoever made it
    had proved to be that person by one, or was an administrator.
    """

    id: UUID
    user: UUID
    name: str
    fingerprint: str
    created: datetime
    expires: datetime | None = None
    everywhere: bool = False
    second_factor: bool = False
    applications: frozenset[UUID] = frozenset()
    last_used: datetime | None = None
    last_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How often somebody failed in a row. `bucket` says who (control.auth.lockout): a user, an address, or both.

    `shown` is what the UI calls it: a username or an address. While `locked_until` lies ahead nothing is tried.
    """

    bucket: str
    shown: str
    address: str
    count: int
    first: datetime
    last: datetime
    locked_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Familiar:
    """That a user has come in from an address; failures elsewhere don't lock that way."""

    user: UUID
    address: str
    last: datetime

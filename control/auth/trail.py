"""What the audit trail is told of attempts to get in: the one place where the true reason of a refusal stands.

Names in it are what somebody typed, so they are made fit for a log first.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from control.auth.lockout import Kind, Lock, one_line
from control.domain.application import Application
from control.domain.decision import Channel, DenyReason
from control.store import Event

SIGN_IN = "signed_in"
AUTHENTICATED = "authenticated"


class Why(StrEnum):
    """Why credentials opened nothing, or not yet."""

    UNKNOWN_USER = "unknown user"
    INACTIVE = "inactive user"
    NOT_FOR_PEOPLE = "account of another kind"
    NO_PASSWORD = "no password is set"
    WRONG_PASSWORD = "wrong password"
    CHANGED = "changed meanwhile"
    WRONG_CODE = "wrong code"
    CODE_DUE = "second factor is due"
    NO_FACTOR = "second factor is due, there is none"
    BAD_STATE = "unknown challenge"
    OLD_STATE = "challenge is over"
    UNKNOWN_TOKEN = "unknown token"
    OLD_TOKEN = "token has expired"
    ENDED_TOKEN = "token was ended"
    FOREIGN_TOKEN = "token for another application"
    LOCKED_USER = "locked: user"
    LOCKED_ADDRESS = "locked: address"
    LOCKED_PAIR = "locked: user at this address"
    NO_APPLICATION = "no such application"
    USER_INACTIVE = "access denied: inactive user"
    NO_BINDING_MATCHES = "access denied: no rule lets the user in"
    A_BINDING_FAILS = "access denied: not every rule lets the user in"


_LOCKED = {Kind.USER: Why.LOCKED_USER, Kind.ADDRESS: Why.LOCKED_ADDRESS, Kind.PAIR: Why.LOCKED_PAIR}
_DENIED = {
    DenyReason.USER_INACTIVE: Why.USER_INACTIVE,
    DenyReason.NO_BINDING_MATCHES: Why.NO_BINDING_MATCHES,
    DenyReason.A_BINDING_FAILS: Why.A_BINDING_FAILS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whom an attempt was about, as far as that is known, by which way and to which application."""

    channel: Channel
    application: Application | None
    user: UUID | None = None
    name: str = ""


def admitted(about: About, how: str) -> Event:
    """Somebody came in; `how` names the methods."""
    return _event(about, "success", how)


def refused(about: About, why: Why) -> Event:
    """Somebody did not."""
    return _event(about, "failure", why)


def challenged(about: About) -> Event:
    """Somebody was asked for a code."""
    return _event(about, "challenged", Why.CODE_DUE)


def why_locked(lock: Lock) -> Why:
    """The reason, for a lock."""
    return _LOCKED[lock.kind]


def why_denied(reason: DenyReason) -> Why:
    """The reason, for a denial of an application's rules."""
    return _DENIED[reason]


def _event(about: About, outcome: str, reason: str) -> Event:
    name = one_line(about.name)
    is_browser = about.channel is Channel.BROWSER
    return Event(
        action=SIGN_IN if is_browser else AUTHENTICATED,
        kind="user",
        target=str(about.user) if about.user else "",
        name=name if about.application is None else f"{name} at {about.application.slug}",
        outcome=outcome,
        reason=reason,
        common=about.user is None,
    )

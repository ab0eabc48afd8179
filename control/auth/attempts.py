"""What somebody brings to get in, and the rules that need nothing else: pure.

Who may come how: people everywhere; service accounts by app passwords only, which no browser takes; outposts' accounts
never.
"""

from dataclasses import dataclass, field
from uuid import UUID

from control.auth.codes import read_code
from control.auth.sessions import Origin
from control.auth.trail import Why
from control.domain.decision import Channel
from control.domain.identity import User, UserKind
from control.store import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordGiven:
    """A name and a password; at protocols a code may stand behind the password's last `;`, or it is an app password."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGiven:
    """A token by itself: an app password, or an ID token for the application's provider."""

    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerGiven:
    """The code that a challenge asked for, with its state."""

    state: str = field(repr=False)
    code: str = field(repr=False)


Given = PasswordGiven | TokenGiven | AnswerGiven


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Somebody brings credentials. `dialogue`: whether a code can be asked for; `actor` is who asks on their behalf.

    Without `takes_codes` no code is looked for behind a password: whoever has to give one has no way to.
    """

    channel: Channel
    given: Given
    origin: Origin
    application: UUID | None
    dialogue: bool
    actor: Actor
    takes_codes: bool = True


def may_use_password(user: User) -> bool:
    """Whether the account is one for people, and active."""
    return user.active and user.kind is UserKind.INTERNAL


def may_use_app_passwords(user: User) -> bool:
    """Whether programs may act for the account."""
    return user.active and user.kind is not UserKind.OUTPOST


def split(password: str) -> tuple[str, str]:
    """The password and the code behind its last `;`, where what stands there has the shape of one; else no code."""
    before, _, behind = password.rpartition(";")
    return (before, behind) if before and read_code(behind) is not None else (password, "")


def why_wrong(user: User | None) -> Why:
    """Why a password opened nothing, for the audit trail."""
    if user is None:
        return Why.UNKNOWN_USER
    if user.kind is not UserKind.INTERNAL:
        return Why.NOT_FOR_PEOPLE
    if not user.active:
        return Why.INACTIVE
    return Why.WRONG_PASSWORD if user.password_hash else Why.NO_PASSWORD

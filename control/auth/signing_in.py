"""Signing in with username and password: find, verify, open a session.

The answer and the work are the same whether the user is unknown, has no password, may not sign in or typed a wrong
one; the audit trail says no more either. The hash is computed between two transactions, never inside one.
"""

from dataclasses import dataclass, field

from control.auth import sessions
from control.auth.passwords import Passwords
from control.auth.people_rules import USERNAME_LENGTH, composed
from control.auth.sessions import OpenedSession, Origin
from control.domain.identity import User, UserKind
from control.store import Actor, Event, Store, Unit

ANONYMOUS = "anonymous"
SIGN_IN = "signed_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What somebody typed."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignInFailed:
    """No; and nobody is told why."""


def sign_in(
    store: Store, passwords: Passwords, credentials: Credentials, origin: Origin, replaced: str = ""
) -> OpenedSession | SignInFailed:
    """Check the credentials and open a session in place of the one the browser brought. Raises Busy."""
    user = _find_user(store, credentials.username)
    known = user.password_hash if user else None
    if not passwords.verify(known, credentials.password, origin.address) or user is None:
        _record_failure(store, credentials.username, origin)
        return SignInFailed()
    renewed = passwords.hash(credentials.password) if passwords.is_outdated(user.password_hash or "") else None
    with store.write(Actor(name=user.username, address=origin.address, request_id=origin.request_id)) as unit:
        if not _is_unchanged(unit, user):
            unit.record(_failure(credentials.username))
            return SignInFailed()
        if renewed is not None:
            unit.users.rehash_password(user.id, renewed)
        unit.users.touch_sign_in(user.id)
        unit.record(Event(action=SIGN_IN, kind="user", target=str(user.id), name=user.username))
        return sessions.open_session(unit, user.id, origin, replaced)


def _find_user(store: Store, username: str) -> User | None:
    """The user, if it is one who may sign in with a password."""
    with store.read() as unit:
        user = unit.users.find_named(composed(username))
    return user if user is not None and _may_sign_in(user) else None


def _may_sign_in(user: User) -> bool:
    return user.active and user.kind is UserKind.INTERNAL


def _is_unchanged(unit: Unit, user: User) -> bool:
    """Whether what was verified still holds: nobody changed it while the hash was computed."""
    current = unit.users.find(user.id)
    return current is not None and _may_sign_in(current) and current.password_hash == user.password_hash


def _record_failure(store: Store, username: str, origin: Origin) -> None:
    with store.write(Actor(name=ANONYMOUS, address=origin.address, request_id=origin.request_id)) as unit:
        unit.record(_failure(username))


def _failure(username: str) -> Event:
    return Event(action=SIGN_IN, kind="user", target="", name=one_line(username), outcome="failure")


def one_line(text: str) -> str:
    """What somebody typed, fit for a log: nothing in it can start another line or hide."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return shown[:USERNAME_LENGTH]

"""People change their own password: whoever sits at a session that was left open has to know the present one.

The same at our pages and by protocols. As at sign-in, hashes are computed between transactions, what was verified must
still hold when it is written, and failures count (control.auth.lockout).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from uuid import UUID

from control.auth import lockout
from control.auth.attempts import may_use_password
from control.auth.lockout import Lock, Standing, Suspect, place_of
from control.auth.passwords import Passwords
from control.auth.people import hash_new_password, set_password
from control.domain.errors import Invalid, Problem
from control.domain.identity import User
from control.domain.security import SignIn
from control.store import Actor, Event, Store, Unit

CHANGE = "changed_password"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPassword:
    """What somebody typed to change the own password."""

    present: str = field(repr=False)
    new: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A person wants another password: who that is to be (nobody has some names), what was typed, and where.

    The sign-in `keep` goes on when it is set.
    """

    user: User | None
    suspect: Suspect
    typed: OwnPassword
    keep: UUID | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The new password is set."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """The present password is another; it was counted."""


@dataclass(frozen=True, slots=True)
class TooOften:
    """Nothing is tried so soon after failures."""

    wait: timedelta


@dataclass(frozen=True, slots=True)
class Forbidden:
    """The present password is right, and yet the person may not change it here."""


Answer = Done | Wrong | TooOften | Forbidden
May = Callable[[Unit, User], bool]
"""Whether somebody who has proved to be a user may change the password here."""


def change_own_password(store: Store, passwords: Passwords, actor: Actor, sign_in: SignIn, typed: OwnPassword) -> None:
    """Set the new password; every session of the person ends but this one. Raises Invalid, Busy."""
    with store.read() as unit:
        user = unit.users.get(sign_in.user)
    suspect = Suspect(user=user.id, name=user.username, place=place_of(actor.address))
    wish = Wish(user=user, suspect=suspect, typed=typed, keep=sign_in.id)
    match Change(store, passwords, actor).carry_out(wish):
        case Wrong():
            raise Invalid(
                [Problem(field="present", code="wrong_password", expected="the password that you sign in with")]
            )
        case TooOften(wait=wait):
            raise Invalid(
                [Problem(field="present", code="too_often", expected=f"{ceil(wait.total_seconds())} seconds")]
            )
        case _:
            pass


class Change:
    """How a password is changed: in which database, with what to hash by, and on whose account."""

    def __init__(self, store: Store, passwords: Passwords, actor: Actor, may: May = lambda _unit, _user: True) -> None:
        self._store = store
        self._passwords = passwords
        self._actor = actor
        self._may = may

    def carry_out(self, wish: Wish) -> Answer:
        """Set the new password for whoever knows the present one. Raises Invalid where it is unsuitable, and Busy."""
        with self._store.read() as unit:
            lock = _look(unit, wish).lock
        if lock is not None:
            return TooOften(lock.wait)
        if not self._fits(wish) or wish.user is None:
            return self._refuse(wish)
        with self._store.read() as unit:
            # What is wrong with the new one would tell that the present one was right.
            lock = _look(unit, wish).lock
            is_forbidden = not self._may(unit, wish.user)
        if lock is not None:
            return TooOften(lock.wait)
        if is_forbidden:
            return Forbidden()
        hashed = hash_new_password(self._passwords, wish.user.username, wish.typed.new)
        return self._set(wish, wish.user, hashed) or self._refuse(wish)

    def _fits(self, wish: Wish) -> bool:
        """The same work whoever is meant."""
        user = wish.user
        known = user.password_hash if user is not None and may_use_password(user) else None
        return self._passwords.verify(known, wish.typed.present, wish.suspect.place)

    def _set(self, wish: Wish, user: User, hashed: str) -> Answer | None:
        """What became of it; None where the present password is no longer what was verified."""
        with self._store.write(self._actor) as unit:
            lock: Lock | None = _look(unit, wish).lock
            if lock is not None:
                return TooOften(lock.wait)
            current = unit.users.find(user.id)
            if current is None or not may_use_password(current) or current.password_hash != user.password_hash:
                return None
            if not self._may(unit, current):
                return Forbidden()
            set_password(unit, user.id, hashed, keep=wish.keep)
            return Done()

    def _refuse(self, wish: Wish) -> Wrong | TooOften:
        """The refusal, which counts and which the audit trail keeps: guesses at an open session are worth seeing."""
        with self._store.write(self._actor) as unit:
            standing = _look(unit, wish)
            if standing.lock is not None:
                return TooOften(standing.lock.wait)
            lockout.count_failure(unit, standing)
            user, name = wish.user, lockout.one_line(wish.suspect.name)
            target = str(user.id) if user is not None else ""
            unit.record(Event(action=CHANGE, kind="user", target=target, name=name, outcome="failure"))
            return Wrong()


def _look(unit: Unit, wish: Wish) -> Standing:
    return lockout.look(unit, wish.suspect)

"""People change their own password: whoever sits at a session that was left open has to know the present one.

As at sign-in, hashes are computed between transactions, what was verified must still hold when it is written, and
failures count (control.auth.lockout).
"""

from dataclasses import dataclass, field
from math import ceil

from control.auth import lockout
from control.auth.lockout import Standing, Suspect, place_of
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


def change_own_password(store: Store, passwords: Passwords, actor: Actor, sign_in: SignIn, typed: OwnPassword) -> None:
    """Set the new password; every session of the person ends but this one. Raises Invalid, Busy."""
    with store.read() as unit:
        user = unit.users.get(sign_in.user)
        _look(unit, actor, user)
    if not passwords.verify(user.password_hash, typed.present, actor.address):
        raise _refused(store, actor, user)
    with store.read() as unit:
        # What is wrong with the new one would tell that the present one was right.
        _look(unit, actor, user)
    hashed = hash_new_password(passwords, user.username, typed.new)
    with store.write(actor) as unit:
        _look(unit, actor, user)
        is_unchanged = unit.users.get(user.id).password_hash == user.password_hash
        if is_unchanged:
            set_password(unit, user.id, hashed, keep=sign_in.id)
    if not is_unchanged:
        raise _refused(store, actor, user)


def _refused(store: Store, actor: Actor, user: User) -> Invalid:
    """The refusal, which counts and which the audit trail keeps: guesses at an open session are worth seeing.

    Raises Invalid, where others have failed too often meanwhile.
    """
    with store.write(actor) as unit:
        lockout.count_failure(unit, _look(unit, actor, user))
        unit.record(Event(action=CHANGE, kind="user", target=str(user.id), name=user.username, outcome="failure"))
    return Invalid([Problem(field="present", code="wrong_password", expected="the password that you sign in with")])


def _look(unit: Unit, actor: Actor, user: User) -> Standing:
    """What is counted for the person. Raises Invalid while nothing may be tried."""
    standing = lockout.look(unit, Suspect(user=user.id, name=user.username, place=place_of(actor.address)))
    if standing.lock is not None:
        wait = f"{ceil(standing.lock.wait.total_seconds())} seconds"
        raise Invalid([Problem(field="present", code="too_often", expected=wait)])
    return standing

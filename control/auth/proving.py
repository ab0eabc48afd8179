"""People who are signed in prove once more who they are: a code before they go on, password or code before a risk.

Failures count as those of sign-ins do (control.auth.lockout), so a session left open is no place to guess at. Neither
forgives: who knows one of the two would have any number of guesses at the other. The hash of a password is computed
between two transactions, never inside one.
"""

from datetime import timedelta

from control.auth import factors, lockout, sessions
from control.auth.lockout import Lock, Standing, Suspect, place_of
from control.auth.passwords import Busy, Passwords
from control.auth.sessions import OpenedSession, Session
from control.domain.decision import Refused, RefusedReason
from control.domain.factors import Method
from control.store import Actor, Event, Store, Unit

PROVED = "proved_identity"


def step_up(store: Store, actor: Actor, session: Session, code: str) -> OpenedSession | Refused:
    """Take a code; the session goes on under another secret and knows of it. Raises NotFound where it ended meanwhile.

    The browser has to be given the new secret.
    """
    with store.read() as unit:
        lock = _look(unit, actor, session).lock
    if lock is not None:
        return _locked(lock)
    with store.write(actor) as unit:
        standing = _look(unit, actor, session)
        if standing.lock is not None:
            return _locked(standing.lock)
        method = factors.check_code(unit, session.sign_in.user, code)
        if method is None:
            return _failed(unit, session, standing, "wrong code")
        _succeeded(unit, session, method)
        return sessions.step_up(unit, session.sign_in.id, method)


def prove(store: Store, passwords: Passwords, actor: Actor, session: Session, typed: str) -> Refused | None:
    """Take the password or a code, whichever was typed; None when it is right.

    The hash is computed for codes as well, as a password may look like one, and before anything is looked up: no guess
    at a code goes uncounted because there was no time for the hash.
    """
    user = session.person.user
    with store.read() as unit:
        lock = _look(unit, actor, session).lock
    if lock is not None:
        return _locked(lock)
    try:
        fits = passwords.verify(user.password_hash, typed, actor.address)
    except Busy as busy:
        return Refused(reason=RefusedReason.BUSY, retry_after=timedelta(seconds=busy.retry_after))
    with store.write(actor) as unit:
        standing = _look(unit, actor, session)
        if standing.lock is not None:
            return _locked(standing.lock)
        fits = fits and unit.users.get(user.id).password_hash == user.password_hash
        method = Method.PASSWORD if fits else factors.check_code(unit, user.id, typed)
        if method is None:
            return _failed(unit, session, standing, "wrong password or code")
        _succeeded(unit, session, method)
    return None


def _look(unit: Unit, actor: Actor, session: Session) -> Standing:
    user = session.person.user
    return lockout.look(unit, Suspect(user=user.id, name=user.username, place=place_of(actor.address)))


def _locked(lock: Lock) -> Refused:
    """Nothing is tried and nothing recorded: the audit trail has the wait's beginning, and could be filled fast."""
    return Refused(reason=RefusedReason.LOCKED_OUT, retry_after=lock.wait)


def _failed(unit: Unit, session: Session, standing: Standing, why: str) -> Refused:
    lockout.count_failure(unit, standing)
    unit.record(_event(session, "failure", why))
    return Refused(reason=RefusedReason.INVALID_CREDENTIALS)


def _succeeded(unit: Unit, session: Session, method: Method) -> None:
    unit.record(_event(session, "success", method))


def _event(session: Session, outcome: str, reason: str) -> Event:
    user = session.person.user
    return Event(action=PROVED, kind="user", target=str(user.id), name=user.username, outcome=outcome, reason=reason)

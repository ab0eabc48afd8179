"""May this person in? One answer for every protocol: who it is, by what proved, and what the application's rules say.

The answer and the work are the same whether a user is unknown, has no password, may not sign in or typed a wrong one;
why, is for the audit trail alone. Hashes are computed between two transactions, never inside one, and what was verified
must still hold when it is written. Who may come how: people everywhere; service accounts by app passwords only and
never in a browser; outposts' accounts never.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

from prometheus_client import Counter

from control.auth import app_passwords, factors, lockout
from control.auth.answering import Case, Checked, Enter, Entered, Seen, is_in_force
from control.auth.attempts import (
    AnswerGiven,
    Attempt,
    Given,
    PasswordGiven,
    TokenGiven,
    may_use_app_passwords,
    may_use_password,
    split,
)
from control.auth.challenges import Challenges
from control.auth.lockout import NAMES, Lock, Standing, Suspect, place_of, stand_in
from control.auth.oidc.issuer import Issuer
from control.auth.oidc.presented import Presented, find_presented, looks_like_token
from control.auth.passwords import Busy, Passwords
from control.auth.people_rules import composed
from control.auth.trail import Why
from control.domain.decision import Admitted, Challenged, Channel, Refused, RefusedReason, Verdict
from control.domain.factors import AppPassword
from control.domain.identity import User
from control.store import Store, Unit

__all__ = ["AnswerGiven", "Attempt", "Decider", "Given", "PasswordGiven", "TokenGiven"]

DECISIONS = Counter("garrison_decisions", "Answers to who wanted in.", ["channel", "answer"])
# What no application has as its id.
_NOWHERE = UUID(int=0)
_MOST_TOLD = 4_096


class Decider:
    """Decides. One for each process, since what it computes at once is the process's; safe to call from many threads.

    Without an issuer no ID tokens are taken: nobody presents one where people sign in.
    """

    def __init__(self, store: Store, passwords: Passwords, issuer: Issuer | None = None) -> None:
        self._store = store
        self._passwords = passwords
        self._issuer = issuer
        self._challenges = Challenges(store.sealer)
        self._names = store.sealer.derive(NAMES)
        self._told: dict[str, datetime] = {}

    def decide(self, attempt: Attempt) -> Verdict:
        """The verdict; audited, counted and remembered. Raises DatabaseUnavailable."""
        return self.settle(attempt, _only_say_so)

    def settle(self, attempt: Attempt, enter: Enter[Entered]) -> Entered | Refused | Challenged:
        """The same; whoever is admitted `enter`s within the transaction that says so. Raises DatabaseUnavailable."""
        match attempt.given:
            case PasswordGiven() as given:
                answer = self._of_password(attempt, given, enter)
            case TokenGiven(secret=secret):
                answer = self._of_token(attempt, secret, enter)
            case AnswerGiven() as given:
                answer = self._of_answer(attempt, given, enter)
            case _:
                assert_never(attempt.given)
        DECISIONS.labels(attempt.channel, _label(answer)).inc()
        return answer

    def is_pending(self, state: str) -> bool:
        """Whether a code may still be given for the state of a challenge."""
        pending = self._challenges.find(state)
        if pending is None:
            return False
        with self._store.read() as unit:
            return is_in_force(pending, unit.users.find(pending.user), unit.now)

    def _of_password(
        self, attempt: Attempt, given: PasswordGiven, enter: Enter[Entered]
    ) -> Entered | Refused | Challenged:
        seen = self._look(attempt, given)
        if seen.app_password is not None and seen.user is not None:
            with self._case(attempt, enter) as case:
                return case.by_app_password(seen.app_password, seen.user.id)
        lock, cover = seen.standing.lock, seen.standing.cover
        if lock is not None and cover is None:
            return self._locked(attempt, seen.standing, lock)
        try:
            with self._passwords.sparing(seen.standing.suspect.place) if cover is not None else nullcontext():
                checked = self._check(seen)
        except Busy as busy:
            if cover is not None:
                return self._locked(attempt, seen.standing, cover)
            return Refused(reason=RefusedReason.BUSY, retry_after=timedelta(seconds=busy.retry_after))
        if lock is not None:
            return self._locked(attempt, seen.standing, lock)
        with self._case(attempt, enter, seen.user if checked.fits else None) as case:
            return case.by_password(seen, checked)

    def _look(self, attempt: Attempt, given: PasswordGiven) -> Seen:
        """The first look: the same statements whoever is meant."""
        with self._store.read() as unit:
            user = unit.users.find_named(composed(given.username))
            subject = user.id if user else stand_in(self._names, given.username)
            suspect = Suspect(user=subject, name=given.username, place=place_of(attempt.origin.address))
            standing = lockout.look(unit, suspect)
            application = attempt.application or _NOWHERE
            is_protocol = attempt.channel is not Channel.BROWSER
            known = app_passwords.find_known(unit, given.password) if is_protocol else None
            mine = known if known is not None and known.user == subject else None
            was_mine = is_protocol and app_passwords.was_revoked(unit, given.password, subject)
            is_good = mine is not None and app_passwords.is_good(mine, application, unit.now)
            is_split = factors.has_second_factor(unit, subject) and is_protocol and attempt.takes_codes
        password, code = split(given.password) if is_split else (given.password, "")
        app_password = mine if is_good and user is not None and may_use_app_passwords(user) else None
        return Seen(
            user=user,
            standing=standing,
            app_password=app_password,
            is_guess=mine is None and not was_mine,
            password=password,
            code=code,
        )

    def _check(self, seen: Seen) -> Checked:
        """One hash, whoever is meant; and one more for a password whose hash is out of date. Raises Busy.

        Also while an address waits: who is known to come from there may come in, and nobody shall see who that is. Then
        it is one at a time, so that a flood goes on costing others nothing.
        """
        user = seen.user
        may_try = user is not None and may_use_password(user) and seen.standing.lock is None
        known = user.password_hash if user is not None and may_try else None
        if not self._passwords.verify(known, seen.password, seen.standing.suspect.place):
            return Checked(fits=False)
        return Checked(fits=True, renewed=self._renew(known or "", seen.password))

    def _renew(self, password_hash: str, password: str) -> str | None:
        if not self._passwords.is_outdated(password_hash):
            return None
        try:
            return self._passwords.hash(password)
        except Busy:
            # It was right; there will be another time.
            return None

    def _of_token(self, attempt: Attempt, secret: str, enter: Enter[Entered]) -> Entered | Refused | Challenged:
        """A token that can't be guessed is looked at whatever was tried from its address; one that is bad counts."""
        suspect = Suspect(user=None, place=place_of(attempt.origin.address))
        with self._store.read() as unit:
            found = self._find_token(unit, attempt.application or _NOWHERE, secret)
            standing = lockout.look(unit, suspect)
        if found is None and standing.lock is not None:
            return self._locked(attempt, standing, standing.lock)
        with self._case(attempt, enter) as case:
            match found:
                case AppPassword():
                    return case.by_app_password(found, found.user)
                case Presented() if self._issuer is not None:
                    return case.by_id_token(found, self._issuer)
                case _:
                    return case.by_nothing(suspect, Why.UNKNOWN_TOKEN)

    def _find_token(self, unit: Unit, application: UUID, secret: str) -> AppPassword | Presented | None:
        found = app_passwords.find_valid(unit, secret, None, application)
        if found is not None or self._issuer is None or not looks_like_token(secret):
            return found
        return find_presented(secret, unit.signing_keys.all())

    def _of_answer(self, attempt: Attempt, given: AnswerGiven, enter: Enter[Entered]) -> Entered | Refused | Challenged:
        pending = self._challenges.find(given.state)
        with self._store.read() as unit:
            meant = unit.users.find(pending.user) if pending is not None else None
            user, name = (meant.id, meant.username) if meant is not None else (None, "")
            suspect = Suspect(user=user, name=name, place=place_of(attempt.origin.address))
            standing = lockout.look(unit, suspect)
        if standing.lock is not None:
            return self._locked(attempt, standing, standing.lock)
        with self._case(attempt, enter, meant) as case:
            if pending is None:
                return case.by_nothing(suspect, Why.BAD_STATE)
            return case.by_answer(pending, given.code, suspect)

    @contextmanager
    def _case(self, attempt: Attempt, enter: Enter[Entered], known: User | None = None) -> Iterator[Case[Entered]]:
        """The transaction that answers. At our own pages whoever is known acts, at protocols the outpost does."""
        is_known = known is not None and attempt.channel is Channel.BROWSER
        actor = replace(attempt.actor, name=known.username) if is_known and known is not None else attempt.actor
        with self._store.write(actor) as unit:
            application = unit.applications.find(attempt.application) if attempt.application else None
            yield Case(unit, attempt, application, enter, self._challenges)

    def _locked(self, attempt: Attempt, standing: Standing, lock: Lock) -> Refused:
        """Nothing is tried. The audit trail has it once for each wait: who is refused fast could fill it fast."""
        if self._told.get(lock.bucket) != lock.until:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            self._told[lock.bucket] = lock.until
            with self._case(attempt, _only_say_so) as case:
                return case.refuse_locked(standing, lock)
        return Refused(reason=RefusedReason.LOCKED_OUT, retry_after=lock.wait)


def _only_say_so(_unit: Unit, admitted: Admitted) -> Admitted:
    """What is done for who is admitted where nothing is."""
    return admitted


def _label(answer: object) -> str:
    """What the metric calls an answer."""
    match answer:
        case Refused(reason=reason):
            return reason
        case Challenged():
            return "challenged"
        case _:
            return "admitted"

"""One attempt within the transaction that answers it: what was proved must still hold, then factor, rules, and entry.

All an answer does is done here or undone with it: the failure counted, the code spent, the audit event, the session.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, TypeVar, assert_never
from uuid import UUID, uuid5

from control.auth import app_passwords, factors, lockout, second_factor, trail
from control.auth.attempts import Attempt, may_use_app_passwords, may_use_password, why_wrong
from control.auth.challenges import LIFETIME, Challenges, Pending, password_in_force
from control.auth.lockout import Lock, Standing, Suspect, place_of
from control.auth.oidc.issuer import Issuer
from control.auth.oidc.presented import Presented
from control.auth.second_factor import Due
from control.auth.trail import About, Why
from control.domain.application import Application, ProxyProvider
from control.domain.decision import Admitted, Challenged, Channel, Deny, Refused, RefusedReason
from control.domain.factors import AppPassword, Method
from control.domain.identity import Person, User
from control.domain.policy import decide
from control.store import Unit

# Names the sessions that no sign-in of a browser's began: one for each user and provider.
SESSIONS = UUID("5d0a2c1e-8a53-4a44-9f4c-6c1a3c6f3b52")

Entered = TypeVar("Entered")
Enter = Callable[[Unit, Admitted], Entered]
"""What is done for who is admitted, in the transaction that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the first look at a password found: who is meant, what is counted, what is to be checked.

    It is no guess where it is an app password of that user's that was revoked, has expired or is for something else.
    """

    user: User | None
    standing: Standing
    app_password: AppPassword | None
    is_guess: bool
    password: str = field(repr=False)
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Whether the password fits, and its hash by newer parameters where the one there is older."""

    fits: bool
    renewed: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """Who it is beyond doubt, by what, and what ends it early."""

    user: User
    standing: Standing
    methods: tuple[Method, ...]
    session: UUID | None = None
    app_password: UUID | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Case(Generic[Entered]):
    """The attempt, what it is about, and the transaction."""

    unit: Unit
    attempt: Attempt
    application: Application | None
    enter: Enter[Entered]
    challenges: Challenges

    def by_password(self, seen: Seen, checked: Checked) -> Entered | Refused | Challenged:
        """Answer a password that was checked: others may have failed meanwhile, and the user may have changed."""
        standing = lockout.look(self.unit, seen.standing.suspect)
        if standing.lock is not None:
            return self.refuse_locked(standing, standing.lock)
        if seen.user is None or not checked.fits:
            why = why_wrong(seen.user)
            return (self.fail if seen.is_guess else self.fail_at_address)(standing, seen.user, why)
        current = self.unit.users.find(seen.user.id)
        if current is None or not may_use_password(current) or current.password_hash != seen.user.password_hash:
            return self.fail(standing, seen.user, Why.CHANGED)
        if checked.renewed is not None:
            self.unit.users.rehash_password(current.id, checked.renewed)
            current = replace(current, password_hash=checked.renewed)
        return self._second_step(Proven(user=current, standing=standing, methods=(Method.PASSWORD,)), seen.code)

    def by_app_password(self, found: AppPassword, user: UUID) -> Entered | Refused | Challenged:
        """Answer an app password that was found a moment ago."""
        standing, current = self._suspect(user)
        still = self.unit.app_passwords.find(found.id)
        if current is None or not may_use_app_passwords(current):
            return self.fail_at_address(standing, current, Why.INACTIVE)
        if still is None or app_passwords.is_expired(still, self.unit.now):
            return self.fail_at_address(standing, current, Why.CHANGED)
        person, methods = self.unit.memberships.person(current), (Method.APP_PASSWORD,)
        if self._is_factor_due(person, methods, still):
            return self.refuse(standing, current, Why.CODE_DUE, RefusedReason.SECOND_FACTOR)
        self.unit.app_passwords.touch(found.id, self.attempt.origin.address)
        proven = Proven(user=current, standing=standing, methods=methods, session=found.id, expires=found.expires)
        return self._admit(replace(proven, app_password=found.id), person)

    def by_id_token(self, token: Presented, issuer: Issuer) -> Entered | Refused | Challenged:
        """Answer an ID token that one of our keys signed."""
        standing, user = self._suspect(token.subject)
        why = self._objection(token, issuer, user)
        if user is None or why is not None:
            return self.fail_at_address(standing, user, why or Why.UNKNOWN_TOKEN)
        app_password = self.unit.app_passwords.find(token.session)
        methods = (Method.APP_PASSWORD,) if app_password is not None else self._methods(token)
        proven = Proven(user=user, standing=standing, methods=methods, session=token.session, expires=token.expires)
        person = self.unit.memberships.person(user)
        if self._is_factor_due(person, methods, app_password):
            return self.refuse(standing, user, Why.CODE_DUE, RefusedReason.SECOND_FACTOR)
        return self._admit(proven, person)

    def by_answer(self, pending: Pending, code: str, suspect: Suspect) -> Entered | Refused | Challenged:
        """Answer the code that a challenge asked for."""
        standing, user = lockout.look(self.unit, suspect), self.unit.users.find(pending.user)
        if standing.lock is not None:
            return self.refuse_locked(standing, standing.lock)
        if (pending.channel, pending.application) != (self.attempt.channel, self.attempt.application):
            return self.fail(standing, user, Why.BAD_STATE)
        if user is None or not is_in_force(pending, user, self.unit.now):
            return self.refuse(standing, user, Why.OLD_STATE)
        return self._with_code(Proven(user=user, standing=standing, methods=(Method.PASSWORD,)), code)

    def by_nothing(self, suspect: Suspect, why: Why) -> Refused:
        """Answer what is nobody's token or state: others may have failed meanwhile."""
        standing = lockout.look(self.unit, suspect)
        if standing.lock is not None:
            return self.refuse_locked(standing, standing.lock)
        return self.fail(standing, None, why)

    def fail(self, standing: Standing, user: User | None, why: Why) -> Refused:
        """Refuse what may have been a guess, and count it."""
        lockout.count_failure(self.unit, standing)
        refused = self.refuse(standing, user, why)
        return refused if standing.cover is None else _waiting(standing.cover)

    def fail_at_address(self, standing: Standing, user: User | None, why: Why) -> Refused:
        """Refuse what can't be guessed, and count it for its address alone; once that waits nothing more is told."""
        if standing.cover is not None:
            return _waiting(standing.cover)
        lockout.count_at_address(self.unit, standing)
        return self.refuse(standing, user, why)

    def refuse_locked(self, standing: Standing, lock: Lock) -> Refused:
        """Refuse without having tried anything."""
        self.unit.record(trail.refused(self._about(standing, None), trail.why_locked(lock)))
        return _waiting(lock)

    def refuse(
        self,
        standing: Standing,
        user: User | None,
        why: Why,
        reason: RefusedReason = RefusedReason.INVALID_CREDENTIALS,
    ) -> Refused:
        """Refuse; the audit trail alone is told why."""
        self.unit.record(trail.refused(self._about(standing, user), why))
        return Refused(reason=reason)

    def _second_step(self, proven: Proven, code: str) -> Entered | Refused | Challenged:
        person = self.unit.memberships.person(proven.user)
        has_one = factors.has_second_factor(self.unit, proven.user.id)
        due = second_factor.due(person, proven.methods, self.application, has_one)
        match due:
            case Due.NOTHING:
                return self._forgive(proven, person)
            case Due.ENROLMENT if self.attempt.channel is Channel.BROWSER:
                # The pages let nobody pass who has to enrol first.
                return self._forgive(proven, person)
            case Due.ENROLMENT:
                return self.refuse(proven.standing, proven.user, Why.NO_FACTOR, RefusedReason.SECOND_FACTOR)
            case Due.CODE if code:
                return self._with_code(proven, code)
            case Due.CODE if self.attempt.dialogue and self.attempt.takes_codes:
                return self._challenge(proven)
            case Due.CODE:
                return self.refuse(proven.standing, proven.user, Why.CODE_DUE, RefusedReason.SECOND_FACTOR)
            case _:
                assert_never(due)

    def _with_code(self, proven: Proven, code: str) -> Entered | Refused:
        method = factors.check_code(self.unit, proven.user.id, code)
        if method is None:
            return self.fail(proven.standing, proven.user, Why.WRONG_CODE)
        return self._forgive(replace(proven, methods=(*proven.methods, method)))

    def _challenge(self, proven: Proven) -> Challenged:
        self.unit.record(trail.challenged(self._about(proven.standing, proven.user)))
        pending = Pending(
            user=proven.user.id,
            password=password_in_force(proven.user),
            channel=self.attempt.channel,
            application=self.attempt.application,
            expires=self.unit.now + LIFETIME,
        )
        return Challenged(state=self.challenges.seal(pending), expires_in=LIFETIME)

    def _forgive(self, proven: Proven, known: Person | None = None) -> Entered | Refused:
        """Admit who gave all that can be guessed. App passwords and tokens say nothing of who failed at that before."""
        lockout.forgive(self.unit, proven.standing)
        return self._admit(proven, known)

    def _admit(self, proven: Proven, known: Person | None = None) -> Entered | Refused:
        """Who it is, is beyond doubt; what is left are the application's rules."""
        person = known or self.unit.memberships.person(proven.user)
        why = self._denial(person)
        if why is not None:
            return self.refuse(proven.standing, proven.user, why, RefusedReason.ACCESS_DENIED)
        self.unit.users.touch_sign_in(proven.user.id)
        self.unit.record(trail.admitted(self._about(proven.standing, proven.user), "+".join(proven.methods)))
        return self.enter(
            self.unit,
            Admitted(
                person=person,
                methods=proven.methods,
                session=proven.session or self._session_of(proven.user),
                app_password=proven.app_password,
                expires=proven.expires,
            ),
        )

    def _is_factor_due(self, person: Person, methods: tuple[Method, ...], made: AppPassword | None) -> bool:
        """Whether one is asked for that who made the token or the app password didn't use.

        Who has got a factor since need not have used it then; who had to, did.
        """
        proofs = methods if made is None or made.second_factor else ()
        return second_factor.is_due(person, proofs, self.application, has_one=False)

    def _denial(self, person: Person) -> Why | None:
        if self.attempt.channel is Channel.BROWSER:
            return None
        if self.application is None:
            return Why.NO_APPLICATION
        decision = decide(person, self.application, self.unit.bindings.of_application(self.application.id))
        return trail.why_denied(decision.reason) if isinstance(decision, Deny) else None

    def _session_of(self, user: User) -> UUID:
        """The same each time, so that what an outpost keeps of it is found again."""
        place = self.application.provider or self.application.id if self.application else self.attempt.channel
        return uuid5(SESSIONS, f"{user.id}/{place}")

    def _suspect(self, user: UUID) -> tuple[Standing, User | None]:
        found = self.unit.users.find(user)
        name = found.username if found is not None else ""
        place = place_of(self.attempt.origin.address)
        return lockout.look(self.unit, Suspect(user=user, name=name, place=place)), found

    def _objection(self, token: Presented, issuer: Issuer, user: User | None) -> Why | None:
        """What speaks against the token; the user is asked for last, as any other token would have failed before."""
        application = self.application
        if application is None or application.provider is None:
            return Why.NO_APPLICATION
        provider = self.unit.proxy_providers.find(application.provider)
        if provider is None:
            # It has no ID tokens.
            return Why.FOREIGN_TOKEN
        if (token.audience, token.issuer) != (provider.client_id, issuer.of(application.slug)):
            return Why.FOREIGN_TOKEN
        if token.expires <= self.unit.now or token.issued + provider.access_token_validity <= self.unit.now:
            return Why.OLD_TOKEN
        if user is None or not may_use_app_passwords(user):
            return Why.INACTIVE
        return Why.ENDED_TOKEN if self._is_ended(token, provider) else None

    def _is_ended(self, token: Presented, provider: ProxyProvider) -> bool:
        about = self.unit.revocations.about(token.session, token.subject, provider.id)
        return any(each.ends(token.session, token.dated) for each in about)

    def _methods(self, token: Presented) -> tuple[Method, ...]:
        """What the person proved to be by: as the session knows, else as far as the token tells."""
        sign_in = self.unit.sign_ins.find(token.session)
        return sign_in.methods if sign_in is not None else token.methods

    def _about(self, standing: Standing, user: User | None) -> About:
        name = user.username if user is not None else standing.suspect.name
        return About(
            channel=self.attempt.channel,
            application=self.application,
            user=user.id if user is not None else None,
            name=name,
        )


def is_in_force(pending: Pending, user: User | None, now: datetime) -> bool:
    """Whether what a challenge stands on still holds: its time, the user and the password."""
    if user is None or pending.expires <= now or not may_use_password(user):
        return False
    return pending.password == password_in_force(user)


def _waiting(lock: Lock) -> Refused:
    return Refused(reason=RefusedReason.LOCKED_OUT, retry_after=lock.wait)

"""Authenticator apps and recovery codes: how they are enrolled, used and removed, within the caller's transaction.

A code is good once, also when two ask at the same moment: it is spent by one statement of the database. An app counts
once a first code has confirmed it; recovery codes come with the first app and go with the last.
"""

import hmac
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from control.auth import totp
from control.auth.codes import OneTimeCode, RecoveryText, new_recovery_code, read_code
from control.auth.people_rules import name_problems
from control.domain.errors import Invalid, NotFound, Problem
from control.domain.factors import Authenticator, Method, RecoveryCode
from control.store import Event, Unit

MOST_AUTHENTICATORS = 10
RECOVERY_CODES = 10
NAME_LENGTH = 150
# How long a QR code may wait for its first code.
ENROLMENT_LIFETIME = timedelta(hours=1)


def authenticators(unit: Unit, user: UUID) -> list[Authenticator]:
    """The apps of the user that count, oldest first."""
    return [each for each in unit.authenticators.of_user(user) if each.confirmed is not None]


def has_second_factor(unit: Unit, user: UUID) -> bool:
    """Whether the user has an app that counts."""
    return user in unit.authenticators.users_with_one([user])


def check_code(unit: Unit, user: UUID, code: str) -> Method | None:
    """What kind of valid code it is, which is used up by this; None where it is none of the user's."""
    known = authenticators(unit, user)
    match read_code(code):
        case OneTimeCode(digits) if any(_spend(unit, each, digits) for each in known):
            return Method.ONE_TIME_CODE
        case RecoveryText(text) if known and unit.recovery_codes.spend(user, _fingerprint(unit, user, text)):
            unit.record(_about_recovery_codes(unit, user, "used"))
            return Method.RECOVERY_CODE
    return None


def begin_enrolment(unit: Unit, user: UUID, name: str) -> Authenticator:
    """An app with a new secret, in place of one that was never confirmed. Raises Invalid."""
    for abandoned in _unconfirmed(unit, user):
        unit.authenticators.remove(abandoned)
    name = name.strip()
    _check_name(unit, user, name)
    if len(authenticators(unit, user)) >= MOST_AUTHENTICATORS:
        expected = f"at most {MOST_AUTHENTICATORS}; remove one first"
        raise Invalid([Problem(field="name", code="too_many", found=str(MOST_AUTHENTICATORS), expected=expected)])
    new = Authenticator(id=uuid4(), user=user, name=name, secret=totp.new_secret(), created=unit.now)
    return unit.authenticators.add(new)


def get_enrolment(unit: Unit, user: UUID, authenticator: UUID) -> Authenticator:
    """The user's app that waits for its first code. Raises NotFound, also when it has waited too long."""
    found = _get_own(unit, user, authenticator)
    if found.confirmed is not None or unit.now - found.created > ENROLMENT_LIFETIME:
        raise NotFound("authenticator", str(authenticator))
    return found


def confirm_enrolment(unit: Unit, user: UUID, authenticator: UUID, code: str) -> tuple[str, ...]:
    """Make the app count, by its first code; the recovery codes, where it is the first. Raises NotFound, Invalid."""
    waiting, is_first = get_enrolment(unit, user, authenticator), not has_second_factor(unit, user)
    read = read_code(code)
    step = totp.find_step(waiting.secret, read.digits, unit.now) if isinstance(read, OneTimeCode) else None
    if step is None:
        raise Invalid([Problem(field="code", code="wrong_code", expected="the six digits that the app shows now")])
    unit.authenticators.update(replace(waiting, confirmed=unit.now, last_step=step, last_used=unit.now))
    return renew_recovery_codes(unit, user) if is_first else ()


def rename(unit: Unit, user: UUID, authenticator: UUID, name: str) -> Authenticator:
    """Call the user's app something else. Raises NotFound, Invalid."""
    found, name = _get_own(unit, user, authenticator), name.strip()
    if name != found.name:
        _check_name(unit, user, name)
    return unit.authenticators.update(replace(found, name=name))


def remove(unit: Unit, user: UUID, authenticator: UUID) -> None:
    """Remove one app of the user's; with the last one the recovery codes go. Raises NotFound."""
    unit.authenticators.remove(_get_own(unit, user, authenticator))
    if not has_second_factor(unit, user):
        unit.recovery_codes.replace_all(user, ())


def reset(unit: Unit, user: UUID) -> None:
    """Take every app and recovery code from the user, who may have lost them all."""
    for each in unit.authenticators.of_user(user):
        unit.authenticators.remove(each)
    unit.recovery_codes.replace_all(user, ())


def recovery_codes_left(unit: Unit, user: UUID) -> int:
    """How many recovery codes the user has not used."""
    return sum(each.used is None for each in unit.recovery_codes.of_user(user))


def renew_recovery_codes(unit: Unit, user: UUID) -> tuple[str, ...]:
    """New recovery codes in place of all others: the only moment they are known here. Raises Invalid without an app."""
    if not has_second_factor(unit, user):
        raise Invalid([Problem(field="recovery_codes", code="no_authenticator", expected="an authenticator app first")])
    codes = tuple(new_recovery_code() for _ in range(RECOVERY_CODES))
    prints = (_fingerprint(unit, user, code.replace("-", "")) for code in codes)
    known = [RecoveryCode(id=uuid4(), user=user, fingerprint=each, created=unit.now) for each in prints]
    unit.recovery_codes.replace_all(user, known)
    unit.record(_about_recovery_codes(unit, user, "renewed"))
    return codes


def _spend(unit: Unit, authenticator: Authenticator, digits: str) -> bool:
    step = totp.find_step(authenticator.secret, digits, unit.now, authenticator.last_step)
    return step is not None and unit.authenticators.spend(authenticator.id, step)


def _unconfirmed(unit: Unit, user: UUID) -> list[Authenticator]:
    return [each for each in unit.authenticators.of_user(user) if each.confirmed is None]


def _get_own(unit: Unit, user: UUID, authenticator: UUID) -> Authenticator:
    """The app, if it is the user's: what is somebody else's is not there."""
    found = unit.authenticators.find(authenticator)
    if found is None or found.user != user:
        raise NotFound("authenticator", str(authenticator))
    return found


def _check_name(unit: Unit, user: UUID, name: str) -> None:
    problems = list(own_name_problems(name, {each.name for each in unit.authenticators.of_user(user)}))
    if problems:
        raise Invalid(problems)


def own_name_problems(name: str, taken: set[str]) -> Iterator[Problem]:
    """What is wrong with what somebody calls an authenticator app or an app password."""
    yield from name_problems("name", name, NAME_LENGTH)
    if name in taken:
        yield Problem(field="name", code="already_taken", found=name, expected="another name")


def _fingerprint(unit: Unit, user: UUID, text: str) -> str:
    """The keyed hash of a recovery code, which says nothing to whoever has the database alone."""
    key = unit.sealer.derive("recovery codes")
    return hmac.new(key, user.bytes + text.encode(), sha256).hexdigest()


def _about_recovery_codes(unit: Unit, user: UUID, action: str) -> Event:
    return Event(action=action, kind="recovery code", target=str(user), name=unit.users.get(user).username)

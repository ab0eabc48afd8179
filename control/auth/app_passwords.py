"""App passwords: random secrets for devices and programs that can't do a second step, within the caller's transaction.

Their strength is chance and not slowness: 120 random bits are known by a keyed hash, so finding one costs no argon2.
A password is good for one user and for the applications it names, until it expires or is revoked.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from control.auth.codes import new_app_password, read_app_password
from control.auth.factors import own_name_problems
from control.domain.errors import Invalid, NotFound, Problem
from control.domain.factors import AppPassword
from control.domain.identity import UserKind
from control.store import Unit

MOST_APP_PASSWORDS = 50
# For how long it is known of a secret that it was one.
REMEMBERED = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPasswordDraft:
    """An app password to be made. Without `expires` it never ends; not `everywhere`, it is for `applications` alone.

    `second_factor`: whoever makes it has used one, or is an administrator.
    """

    user: UUID
    name: str
    expires: datetime | None = None
    everywhere: bool = False
    second_factor: bool = False
    applications: frozenset[UUID] = frozenset()


def create(unit: Unit, draft: AppPasswordDraft) -> tuple[AppPassword, str]:
    """Make one; its secret is known here at this moment only. Raises Invalid, NotFound."""
    problems = list(_problems(unit, draft))
    if problems:
        raise Invalid(problems)
    secret = new_app_password()
    made = AppPassword(
        id=uuid4(),
        user=draft.user,
        name=draft.name.strip(),
        fingerprint=_fingerprint(unit, secret),
        created=unit.now,
        expires=draft.expires,
        everywhere=draft.everywhere,
        second_factor=draft.second_factor,
        applications=frozenset() if draft.everywhere else draft.applications,
    )
    return unit.app_passwords.add(made), secret


def revoke(unit: Unit, user: UUID, app_password: UUID) -> AppPassword:
    """End one of the user's, and with it all that came in by it. Raises NotFound."""
    found = unit.app_passwords.find(app_password)
    if found is None or found.user != user:
        raise NotFound("app password", str(app_password))
    unit.app_passwords.retire(found)
    return found


def find_known(unit: Unit, secret: str) -> AppPassword | None:
    """The app password of that secret, whatever it is good for."""
    plain = read_app_password(secret)
    return unit.app_passwords.find_by_fingerprint(_fingerprint(unit, plain)) if plain else None


def was_revoked(unit: Unit, secret: str, user: UUID) -> bool:
    """Whether it is the secret of an app password of the user's that was revoked, within `REMEMBERED`."""
    plain = read_app_password(secret)
    return plain is not None and unit.app_passwords.was_of(user, _fingerprint(unit, plain))


def clean_up(unit: Unit) -> None:
    """Forget what was revoked so long ago that no device uses it any more."""
    unit.app_passwords.forget_before(unit.now - REMEMBERED)


def find_valid(unit: Unit, secret: str, user: UUID | None, application: UUID) -> AppPassword | None:
    """The app password of that secret, if it is good for the application now and, where one is named, the user's."""
    found = find_known(unit, secret)
    if found is None or not is_good(found, application, unit.now) or (user is not None and found.user != user):
        return None
    return found


def is_good(app_password: AppPassword, application: UUID, now: datetime) -> bool:
    """Whether it is for the application and its time is not over."""
    is_for_it = app_password.everywhere or application in app_password.applications
    return is_for_it and not is_expired(app_password, now)


def is_expired(app_password: AppPassword, now: datetime) -> bool:
    """Whether its time is over."""
    return app_password.expires is not None and app_password.expires <= now


def _problems(unit: Unit, draft: AppPasswordDraft) -> Iterator[Problem]:
    known = unit.app_passwords.of_user(draft.user)
    yield from own_name_problems(draft.name.strip(), {each.name for each in known})
    if unit.users.get(draft.user).kind is UserKind.OUTPOST:
        yield Problem(field="user", code="not_a_choice", found="an outpost", expected="a person or a service account")
    if len(known) >= MOST_APP_PASSWORDS:
        expected = f"at most {MOST_APP_PASSWORDS}; revoke one first"
        yield Problem(field="name", code="too_many", found=str(len(known)), expected=expected)
    if draft.expires is not None and draft.expires <= unit.now:
        yield Problem(field="expires", code="not_in_future", found=str(draft.expires), expected="a time to come")
    if not draft.everywhere:
        yield from _application_problems(unit, draft.applications)


def _application_problems(unit: Unit, applications: frozenset[UUID]) -> Iterator[Problem]:
    if not applications:
        yield Problem(field="applications", code="none_chosen", expected="at least one application, or all of them")
    for unknown in sorted(applications - unit.applications.known(applications), key=str):
        yield Problem(field="applications", code="not_found", found=str(unknown), expected="applications of the list")


def _fingerprint(unit: Unit, secret: str) -> str:
    return hmac.new(unit.sealer.derive("app passwords"), secret.encode(), sha256).hexdigest()

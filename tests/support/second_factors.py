"""People with authenticator apps, and the codes that such an app would show."""

from uuid import UUID

from control.auth import factors, totp
from control.domain.factors import Authenticator
from control.store import Store
from tests.support.stores import ADMIN


def code_of(store: Store, authenticator: UUID, away: int = 0) -> str:
    """What the app shows now, or so many steps from now."""
    with store.read() as unit:
        secret = unit.authenticators.get(authenticator).secret
        return totp.code_at(secret, totp.step_of(unit.now) + away)


def enrol(store: Store, user: UUID, name: str = "Phone") -> tuple[Authenticator, tuple[str, ...]]:
    """An app that counts, and the recovery codes where it is the first. The code of the step before is spent."""
    with store.write(ADMIN) as unit:
        begun = factors.begin_enrolment(unit, user, name)
        code = totp.code_at(begun.secret, totp.step_of(unit.now) - 1)
        codes = factors.confirm_enrolment(unit, user, begun.id, code)
        return unit.authenticators.get(begun.id), codes

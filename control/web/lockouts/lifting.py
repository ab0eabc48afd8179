"""The end of a wait, by an admin."""

from uuid import UUID

from control.auth import lockout
from control.domain.factors import Failures
from control.store import Unit
from control.web.context import web
from control.web.identity import actor


def lift_bucket(bucket: str, user: UUID | None = None) -> str:
    """Let whoever is locked there try again; the name, or "" where nothing is locked, or not of that `user`."""
    with web().store.write(actor()) as unit:
        found = _find(unit, bucket, user)
        if found is not None:
            lockout.lift(unit, bucket)
    return found.shown if found is not None else ""


def _find(unit: Unit, bucket: str, user: UUID | None) -> Failures | None:
    if "\0" in bucket:
        return None
    if user is not None:
        return next((each for each in unit.failures.locked_about(user) if each.bucket == bucket), None)
    found = unit.failures.find([bucket]).get(bucket)
    is_locked = found is not None and found.locked_until is not None and found.locked_until > unit.now
    return found if is_locked else None

"""Lockouts as pages show them: what is locked, by its user where there is one, and until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from control.auth import lockout
from control.auth.lockout import Kind
from control.domain.factors import Failures
from control.domain.identity import User
from control.store import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Lockout:
    """A bucket that is locked. `user` where it counts for an account that there is."""

    kind: Kind
    failures: Failures
    user: User | None


def read_lockouts(unit: Unit, locked: Sequence[Failures]) -> list[Lockout]:
    """Each with its user, in their order."""
    keys = [_user_of(each.bucket) for each in locked]
    users = unit.users.find_many({key for key in keys if key is not None})
    return [
        Lockout(kind=lockout.kind_of(each.bucket), failures=each, user=users.get(key) if key is not None else None)
        for each, key in zip(locked, keys, strict=True)
    ]


def _user_of(bucket: str) -> UUID | None:
    """The id that a bucket of a user or of a pair begins with; a stand-in for an unknown name is nobody's."""
    kind, _, rest = bucket.partition("/")
    return UUID(rest.partition("/")[0]) if kind in {Kind.USER, Kind.PAIR} else None

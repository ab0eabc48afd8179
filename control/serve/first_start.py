"""What has to be in the database before anything serves.

An administrator, the link's authority, a signing key and the embedded outpost: every start asks for them, only the
first finds something to do.
"""

import secrets
from dataclasses import dataclass

from control.auth.oidc.keys import ensure_signing_key
from control.auth.passwords import Passwords
from control.auth.people import first_start
from control.fleet.authority import ensure_authority
from control.fleet.tokens import ensure_embedded
from control.store import SYSTEM, Store


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """The administrator just made; `password` only where nobody chose one."""

    username: str
    password: str | None


def prepare(store: Store, bootstrap_password: str | None) -> FirstAdmin | None:
    """Make what is missing, in one go; the first administrator when it was made now.

    Of several that start at once on one database, one makes everything. Raises SealingError for a start with another
    secret key than the one that made it.
    """
    password = bootstrap_password or secrets.token_urlsafe(15)
    hashed = Passwords().hash(password) if _is_new(store) else None
    with store.write(SYSTEM) as unit:
        ensure_authority(unit)
        ensure_signing_key(unit)
        admin = first_start(unit, hashed) if hashed is not None else None
        ensure_embedded(unit)
    return FirstAdmin(admin.username, None if bootstrap_password else password) if admin is not None else None


def _is_new(store: Store) -> bool:
    with store.read() as unit:
        return not unit.users.count()

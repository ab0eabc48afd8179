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
    """Make what is missing; the first administrator when it was made now."""
    admin = _ensure_admin(store, bootstrap_password)
    with store.write(SYSTEM) as unit:
        ensure_authority(unit)
        ensure_signing_key(unit)
        ensure_embedded(unit)
    return admin


def _ensure_admin(store: Store, bootstrap_password: str | None) -> FirstAdmin | None:
    with store.read() as unit:
        if unit.users.count():
            return None
    password = bootstrap_password or secrets.token_urlsafe(15)
    hashed = Passwords().hash(password)
    with store.write(SYSTEM) as unit:
        admin = first_start(unit, hashed)
    return FirstAdmin(admin.username, None if bootstrap_password else password) if admin is not None else None

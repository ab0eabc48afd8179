"""Sessions of the control plane. The browser holds 256 random bits, the database their SHA-256.

A sign-in gives a new secret whatever the browser brought (no fixation). When the same person signs in anew the session
keeps its id, so proxy sessions born of it go on; when another does, it ends and they end with it.
"""

import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from control.domain.errors import NotFound
from control.domain.factors import Method
from control.domain.identity import Person, User
from control.domain.security import SIGN_IN_LIFETIME, SignIn
from control.store import Unit

TOUCHED_EVERY = timedelta(minutes=1)
SECRET_BYTES = 32
_LONGEST_SECRET, _LONGEST_ADDRESS, _LONGEST_AGENT = 100, 80, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a request came from: address, what the browser calls itself, and the request's id."""

    address: str = ""
    user_agent: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A live session and whose it is."""

    sign_in: SignIn
    person: Person


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSession:
    """A session just opened: the only moment its secret is known here."""

    secret: str = field(repr=False)
    sign_in: SignIn


def fingerprint(secret: str) -> str:
    """What the database knows a secret by. The secret is random, so a plain hash hides it."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def find_session(unit: Unit, secret: str) -> Session | None:
    """The session of that secret, if it lives and its user may sign in."""
    if not secret or len(secret) > _LONGEST_SECRET:
        return None
    sign_in = unit.sign_ins.find_by_fingerprint(fingerprint(secret))
    return None if sign_in is None else _live(unit, sign_in)


def find_session_by_id(unit: Unit, sign_in: UUID) -> Session | None:
    """The session of that id, if it lives and its user may sign in."""
    found = unit.sign_ins.find(sign_in)
    return None if found is None else _live(unit, found)


def open_session(
    unit: Unit, user: UUID, origin: Origin, replaced: str = "", methods: tuple[Method, ...] = (Method.PASSWORD,)
) -> OpenedSession:
    """A session for the user who just proved to be, by `methods`; `replaced` is the secret the browser brought."""
    unit.sign_ins.drop_expired()
    secret = secrets.token_urlsafe(SECRET_BYTES)
    old = find_session(unit, replaced)
    opened = replace(_new_sign_in(unit, user, origin, secret), methods=methods)
    if old is None:
        return OpenedSession(secret=secret, sign_in=unit.sign_ins.add(opened))
    if old.sign_in.user == user:
        return OpenedSession(secret=secret, sign_in=unit.sign_ins.update(replace(opened, id=old.sign_in.id)))
    unit.sign_ins.remove(old.sign_in)
    return OpenedSession(secret=secret, sign_in=unit.sign_ins.add(opened))


def step_up(unit: Unit, sign_in: UUID, method: Method) -> OpenedSession:
    """The same session with one more method and another secret: what was planted before is worth nothing after it.

    When it was opened and when it ends stay as they were. Raises NotFound.
    """
    known, secret = unit.sign_ins.get(sign_in), secrets.token_urlsafe(SECRET_BYTES)
    methods = tuple(dict.fromkeys([*known.methods, method]))
    return OpenedSession(
        secret=secret,
        sign_in=unit.sign_ins.update(replace(known, methods=methods, fingerprint=fingerprint(secret))),
    )


def needs_touch(unit: Unit, sign_in: SignIn) -> bool:
    """Whether the last use on record is old enough to write a new one."""
    return unit.now - sign_in.last_seen >= TOUCHED_EVERY


def end_session(unit: Unit, sign_in: UUID) -> None:
    """End the session and, by the store, every proxy session born of it. Nothing when it has ended."""
    found = unit.sign_ins.find(sign_in)
    if found is not None:
        unit.sign_ins.remove(found)


def end_all_sessions(unit: Unit, user: UUID, keep: UUID | None = None) -> None:
    """End every session of the user, save `keep`."""
    for sign_in in unit.sign_ins.of_user(user):
        if sign_in.id != keep:
            unit.sign_ins.remove(sign_in)


def end_session_of(unit: Unit, user: UUID, sign_in: UUID) -> None:
    """End a session that has to be the user's. Raises NotFound."""
    found = unit.sign_ins.find(sign_in)
    if found is None or found.user != user:
        raise NotFound("session", str(sign_in))
    unit.sign_ins.remove(found)


def sign_out_everywhere(unit: Unit, user: UUID) -> User:
    """End every session of the user, those at applications too that outlived their sign-in. Raises NotFound."""
    found = unit.users.get(user)
    end_all_sessions(unit, user)
    unit.users.end_sessions(found)
    return found


def _live(unit: Unit, sign_in: SignIn) -> Session | None:
    user = unit.users.find(sign_in.user)
    if user is None or not user.active or sign_in.expires <= unit.now:
        return None
    return Session(sign_in=sign_in, person=unit.memberships.person(user))


def _new_sign_in(unit: Unit, user: UUID, origin: Origin, secret: str) -> SignIn:
    return SignIn(
        id=uuid4(),
        user=user,
        fingerprint=fingerprint(secret),
        authenticated=unit.now,
        expires=unit.now + SIGN_IN_LIFETIME,
        last_seen=unit.now,
        address=origin.address[:_LONGEST_ADDRESS],
        user_agent=origin.user_agent[:_LONGEST_AGENT],
    )

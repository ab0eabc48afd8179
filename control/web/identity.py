"""Who is behind a request: the session cookie, the person, and the actor of the audit trail.

The session is read once a request. The cookie holds nothing but a random secret; what it opens is in the database.
"""

import logging
from urllib.parse import quote

from flask import Flask, Response, current_app, g, request
from werkzeug.local import LocalProxy

from control.auth import factors, second_factor, sessions
from control.auth.deciding import Decider
from control.auth.passwords import Passwords
from control.auth.second_factor import Due
from control.auth.sessions import OpenedSession, Origin, Session
from control.auth.signing_in import ANONYMOUS
from control.domain.identity import Person
from control.domain.security import SIGN_IN_LIFETIME, SignIn
from control.store import SYSTEM, Actor, DatabaseUnavailable, Unit
from control.web.context import EXTENSION, request_id, web

log = logging.getLogger("control.web")

COOKIE = "garrison_session"
SIGN_IN_PATH = "/sign-in"
STEP_UP_PATH = "/step-up"
_PASSWORDS = "garrison.passwords"
_DECIDER = "garrison.decider"
_LONGEST_NEXT = 4000


def install(app: Flask, passwords: Passwords) -> None:
    """Lend the app what checks passwords, and templates the person who is signed in (read when a template looks)."""
    app.extensions[_PASSWORDS] = passwords
    app.extensions[_DECIDER] = Decider(app.extensions[EXTENSION].store, passwords)
    app.context_processor(lambda: {"person": LocalProxy(find_person)})


def passwords() -> Passwords:
    """What hashes and checks passwords in this process."""
    found: Passwords = current_app.extensions[_PASSWORDS]
    return found


def decider() -> Decider:
    """What decides who may sign in, in this process."""
    found: Decider = current_app.extensions[_DECIDER]
    return found


def find_session() -> Session | None:
    """The session of this request, if its cookie opens one."""
    if "session" not in g:
        g.session = _read_session(cookie_secret())
    found: Session | None = g.session
    return found


def find_due() -> Due:
    """What is missing before whoever is signed in may open pages of ours, or applications that ask for no more."""
    if find_session() is None:
        return Due.NOTHING
    found: Due = g.due
    return found


def find_person() -> Person | None:
    """Who is signed in, if anybody."""
    session = find_session()
    return None if session is None else session.person


def get_person() -> Person:
    """Who is signed in, in views that ask for it first. Raises LookupError when nobody is."""
    person = find_person()
    if person is None:
        raise LookupError("nobody is signed in: the view lacks a guard")
    return person


def current_sign_in() -> SignIn | None:
    """The session of this request as a value, if there is one."""
    session = find_session()
    return None if session is None else session.sign_in


def get_sign_in() -> SignIn:
    """The same in views that ask for it first. Raises LookupError when nobody is signed in."""
    sign_in = current_sign_in()
    if sign_in is None:
        raise LookupError("nobody is signed in: the view lacks a guard")
    return sign_in


def actor() -> Actor:
    """Who acts, for the audit trail."""
    person = find_person()
    name = ANONYMOUS if person is None else person.user.username
    return Actor(name=name, address=origin().address, request_id=request_id())


def origin() -> Origin:
    """Where the request came from; the front door is trusted to say so."""
    return Origin(
        address=request.remote_addr or "", user_agent=request.headers.get("User-Agent", ""), request_id=request_id()
    )


def cookie_secret() -> str:
    """What the browser sent as its session, whatever it is worth."""
    return request.cookies.get(_cookie(), "")


def remember(response: Response, opened: OpenedSession) -> None:
    """Give the browser the session just opened."""
    g.pop("session", None)
    response.set_cookie(
        _cookie(),
        opened.secret,
        max_age=int(SIGN_IN_LIFETIME.total_seconds()),
        secure=web().settings.is_secure,
        httponly=True,
        samesite="Lax",
        path="/",
    )


def forget(response: Response) -> None:
    """Take the session from the browser."""
    g.pop("session", None)
    response.delete_cookie(_cookie(), path="/", secure=web().settings.is_secure, httponly=True, samesite="Lax")


def _cookie() -> str:
    return web().settings.cookie_name(COOKIE)


def step_up_url(next_path: str) -> str:
    """Where a second factor is asked for or set up, to go on to `next_path`."""
    return f"{STEP_UP_PATH}?next={quote(next_path, safe='/')}"


def sign_in_url(next_path: str = "", *, again: bool = False) -> str:
    """Where a browser signs in, to go on to `next_path`; `again` asks even one that has a session."""
    wanted = [f"next={quote(next_path, safe='/')}"] if next_path not in {"", "/"} else []
    marks = [*wanted, *(["again=1"] if again else [])]
    return SIGN_IN_PATH + ("?" + "&".join(marks) if marks else "")


def safe_next(text: str | None) -> str:
    """A path of ours to go on to, or the start: nothing a browser could read as another host (or as no path)."""
    if not text or len(text) > _LONGEST_NEXT or not text.startswith("/") or text.startswith("//"):
        return "/"
    # Browsers read a backslash as a slash, and leave tabs and line breaks out of addresses.
    return "/" if "\\" in text or not text.isprintable() else text


def path_of(url: str) -> str:
    """The path of an address of ours that htmx names."""
    return safe_next(url.removeprefix(request.host_url.rstrip("/")))


def _read_session(secret: str) -> Session | None:
    if not secret:
        return None
    with web().store.read() as unit:
        session = sessions.find_session(unit, secret)
        stale = session is not None and sessions.needs_touch(unit, session.sign_in)
        if session is not None:
            g.due = _due(unit, session)
    if session is not None and stale:
        _touch(session)
    return session


def _due(unit: Unit, session: Session) -> Due:
    methods = session.sign_in.methods
    return second_factor.due(session.person, methods, None, factors.has_second_factor(unit, session.sign_in.user))


def _touch(session: Session) -> None:
    """Note that it is in use. Fallback: where nothing can be written, looking at pages goes on without."""
    try:
        with web().store.write(SYSTEM) as unit:
            unit.sign_ins.touch(session.sign_in.id)
    except DatabaseUnavailable as error:
        log.warning("the last use of a session can't be noted", extra={"reason": str(error.orig)})

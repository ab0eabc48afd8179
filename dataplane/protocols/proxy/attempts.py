"""One attempt to sign in: what the browser carries between start and callback, sealed, ten minutes long.

The verifier and the nonce lie in a cookie of their own per attempt, so that several tabs don't disturb each other;
where to return to travels in the state, so that a lost cookie doesn't lose the way. Nothing is kept by us.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.cookies import find_values, set_cookie
from dataplane.protocols.proxy.messages import Headers

MAX_ATTEMPTS = 5
LIFETIME = 600
_MAX_RETURN = 2048
_SCOPES = "openid profile email entitlements ak_proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A sign-in under way."""

    id: str
    return_url: str
    tries: int
    started: float
    verifier: str = field(repr=False)
    nonce: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the state parameter tells. `tries` can be read even when the rest can't."""

    tries: int
    attempt: str = ""
    return_url: str = ""
    started: float = 0.0


def begin(return_url: str, tries: int, now: float, random: Callable[[int], bytes]) -> Attempt:
    """A fresh attempt."""
    return Attempt(
        id=random(6).hex(),
        return_url=return_url,
        tries=tries,
        started=now,
        verifier=_text(random(32)),
        nonce=_text(random(16)),
    )


def cut(return_url: str) -> str:
    """A URL too long to travel in a state becomes its origin's front page."""
    return return_url if len(return_url) <= _MAX_RETURN else "/".join(return_url.split("/", 3)[:3]) + "/"


def authorize_url(application: Application, attempt: Attempt) -> str:
    """Where the browser goes to sign in: OIDC authorization code with PKCE S256 (RFC 7636 4.2)."""
    sealed = application.sealer.seal("state", [attempt.id, attempt.return_url, attempt.started]).decode()
    query = {
        "response_type": "code",
        "client_id": application.provider.client_id,
        "redirect_uri": application.redirect_uri,
        "scope": _SCOPES,
        "state": f"{attempt.tries}.{sealed}",
        "nonce": attempt.nonce,
        "code_challenge": _text(hashlib.sha256(attempt.verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }
    return f"{application.browser_url}/application/o/authorize/?{urlencode(query)}"


def read_state(application: Application, text: str) -> State:
    """The state as far as it can be read."""
    digit, _, sealed = text.partition(".")
    tries = int(digit) if digit in {"0", "1"} else 1 if digit else 0
    match application.sealer.find("state", sealed.encode("utf-8", "replace")):
        case [str(attempt), str(return_url), int() | float() as started]:
            return State(tries=tries, attempt=attempt, return_url=return_url, started=started)
    return State(tries=tries)


def attempt_cookies(application: Application, attempt: Attempt, present: bytes) -> Headers:
    """The new attempt's cookie, and the removal of those beyond MAX_ATTEMPTS: the unreadable, then the oldest."""
    content = [attempt.verifier, attempt.nonce, attempt.started]
    value = application.sealer.seal(f"attempt {attempt.id}", content)
    kept = set_cookie(_name(application, attempt.id), value, application.flow_scope, LIFETIME)
    started = {id_: _started(application, id_, present) for id_ in _present(application, present)}
    surplus = sorted(started, key=lambda id_: started[id_])[: max(0, len(started) - MAX_ATTEMPTS + 1)]
    return (kept, *(forget_attempt(application, id_) for id_ in surplus))


def find_attempt(application: Application, state: State, present: bytes, now: float) -> Attempt | None:
    """The attempt that `state` belongs to, if this browser began it within LIFETIME."""
    if not state.attempt or not state.started <= now + 60 or now - state.started > LIFETIME:
        return None
    for value in find_values(present, _name(application, state.attempt)):
        match application.sealer.find(f"attempt {state.attempt}", value):
            case [str(verifier), str(nonce), int() | float()]:
                return Attempt(
                    id=state.attempt,
                    return_url=state.return_url,
                    tries=state.tries,
                    started=state.started,
                    verifier=verifier,
                    nonce=nonce,
                )
    return None


def forget_attempt(application: Application, attempt: str) -> tuple[bytes, bytes]:
    """The removal of an attempt's cookie."""
    return set_cookie(_name(application, attempt), b"", application.flow_scope, 0)


def _present(application: Application, cookies: bytes) -> list[str]:
    prefix = application.cookie + b"_a_"
    names = (piece.strip().partition(b"=")[0] for piece in cookies.split(b";"))
    ids = (name[len(prefix) :].decode("latin-1") for name in names if name.startswith(prefix))
    return [id_ for id_ in dict.fromkeys(ids) if id_.isascii() and id_.isalnum()][:20]


def _started(application: Application, attempt: str, cookies: bytes) -> float:
    for value in find_values(cookies, _name(application, attempt)):
        match application.sealer.find(f"attempt {attempt}", value):
            case [str(), str(), int() | float() as started]:
                return float(started)
    return 0.0


def _name(application: Application, attempt: str) -> bytes:
    return application.cookie + b"_a_" + attempt.encode()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

"""The authorization endpoint as a decision: what a browser asks for, and whether it gets a code.

Errors that could send a browser somewhere we don't know are told on a page of ours and never by redirect
(RFC 6749 section 4.1.2.1); all others go to the provider's own redirect URI.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from control.auth import factors, second_factor
from control.auth.oidc.adapters import Client, Parameters, Request, redirect_uris, repeated
from control.auth.oidc.issuer import Issuer
from control.auth.oidc.server import Server
from control.auth.sessions import Session
from control.domain.application import Application, ProxyProvider
from control.domain.decision import Allow, Deny, DenyReason
from control.domain.identity import Person
from control.store import Event, Unit

PATH = "/application/o/authorize/"
# Says that the browser was sent to sign in anew for this very request, and when.
ASKED = "garrison_asked"
ASKED_LIFETIME = timedelta(minutes=10)


class RequestProblem(StrEnum):
    """Why a request is turned down on a page of ours."""

    UNKNOWN_CLIENT = "unknown_client"
    NO_APPLICATION = "no_application"
    WRONG_REDIRECT_URI = "wrong_redirect_uri"
    REPEATED_PARAMETER = "repeated_parameter"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBack:
    """Back to the application's outpost, with a code or an error."""

    url: str
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskToSignIn:
    """To the sign-in page, and then here again with `parameters`; `again` when a session is not enough."""

    parameters: Parameters
    again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSecondFactor:
    """To the page that asks for a code, or sets up an app to make them, and then here again with `parameters`."""

    parameters: Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDown:
    """A page that says what is wrong with the request."""

    problem: RequestProblem
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAccess:
    """A page that says who may not use what, and why."""

    application: Application
    provider: ProxyProvider
    person: Person
    reason: DenyReason


Outcome = SendBack | AskToSignIn | AskSecondFactor | TurnDown | NoAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: its parameters, who asks, when, and the key of the marks we put on it."""

    parameters: Parameters
    session: Session | None
    now: datetime
    key: bytes

    def first(self, name: str) -> str:
        """The value of a parameter, empty when it wasn't sent."""
        return next((value for given, value in self.parameters if given == name), "")


def authorize(unit: Unit, issuer: Issuer, asked: Asked) -> Outcome:
    """Decide one request; a code is stored when it is granted, so with a session `unit` has to be a writing one."""
    server = Server(unit, issuer)
    found = _find_client(unit, asked)
    if isinstance(found, TurnDown):
        return found
    try:
        return _examine(server, found, asked)
    except OAuth2Error as error:
        return _send_error(asked, error)


def find_target(unit: Unit, parameters: Parameters) -> tuple[Application, ProxyProvider] | None:
    """The application a browser is on its way to, when the request names one rightly: for the sign-in page."""
    found = _find_client(unit, Asked(parameters=parameters, session=None, now=unit.now, key=b""))
    return None if isinstance(found, TurnDown) else (found.application, found.provider)


def _find_client(unit: Unit, asked: Asked) -> Client | TurnDown:
    """The client, once both it and the address to go back to are beyond doubt."""
    twice = repeated(asked.parameters)
    if twice in {"client_id", "redirect_uri"}:
        return TurnDown(problem=RequestProblem.REPEATED_PARAMETER, found=twice)
    provider = unit.proxy_providers.find_by_client_id(asked.first("client_id"))
    if provider is None:
        return TurnDown(problem=RequestProblem.UNKNOWN_CLIENT, found=asked.first("client_id"))
    if asked.first("redirect_uri") not in redirect_uris(provider):
        return TurnDown(problem=RequestProblem.WRONG_REDIRECT_URI, found=asked.first("redirect_uri"))
    application = unit.applications.find_for_provider(provider.id)
    if application is None:
        return TurnDown(problem=RequestProblem.NO_APPLICATION, found=provider.name)
    return Client(provider=provider, application=application)


def _examine(server: Server, client: Client, asked: Asked) -> Outcome:
    _check_parameters(asked)
    request = Request("GET", asked.parameters)
    grant = server.get_consent_grant(request, asked.session)
    if asked.session is None:
        return AskToSignIn(parameters=asked.parameters, again=False)
    if _needs_fresh_sign_in(asked, asked.session, prompted=grant.prompt in {"login", "select_account"}):
        return _ask_again(asked)
    if _lacks_second_factor(server.unit, asked.session, client.application):
        return _ask_second_factor(asked)
    match server.decide(asked.session.person, client.application):
        case Deny(reason):
            return _deny(server.unit, client, asked, reason)
        case Allow():
            _, _, headers = server.create_authorization_response(request, asked.session, grant)
            return SendBack(url=headers["Location"])


def _check_parameters(asked: Asked) -> None:
    """What Authlib looks at too late, or would echo in a description that must be ASCII."""
    twice = repeated(asked.parameters)
    if twice is not None:
        raise InvalidRequestError("A parameter was sent more than once")
    if not asked.first("response_type"):
        raise InvalidRequestError("Missing 'response_type'")
    if asked.first("response_type") != "code":
        raise OAuth2Error("Only 'response_type=code' is served", error="unsupported_response_type")


def _needs_fresh_sign_in(asked: Asked, session: Session, *, prompted: bool) -> bool:
    """Whether the person has to prove anew who it is (OpenID Connect Core 1.0 section 3.1.2.1)."""
    stale = _is_older(session, asked)
    if not prompted and not stale:
        return False
    when = _asked_when(asked)
    return when is None or session.sign_in.authenticated < when


def _is_older(session: Session, asked: Asked) -> bool:
    text = asked.first("max_age")
    if not text:
        return False
    if not (text.isascii() and text.isdigit() and len(text) <= len("999999999")):
        raise InvalidRequestError("'max_age' is no number of seconds")
    return asked.now - session.sign_in.authenticated > timedelta(seconds=int(text)) or int(text) == 0


def _ask_again(asked: Asked) -> Outcome:
    if asked.first("prompt") == "none":
        return _send_error(asked, OAuth2Error("A fresh sign-in is needed", error="login_required"))
    kept = tuple(pair for pair in asked.parameters if pair[0] != ASKED)
    return AskToSignIn(parameters=(*kept, (ASKED, _mark(asked, asked.now))), again=True)


def _lacks_second_factor(unit: Unit, session: Session, application: Application) -> bool:
    """Whether the session was opened with less than the person, a group or the application asks for."""
    has_one = factors.has_second_factor(unit, session.sign_in.user)
    return second_factor.is_due(session.person, session.sign_in.methods, application, has_one)


def _ask_second_factor(asked: Asked) -> Outcome:
    if asked.first("prompt") == "none":
        # OpenID Connect Core 1.0 section 3.1.2.6
        return _send_error(asked, OAuth2Error("A second factor is needed", error="interaction_required"))
    return AskSecondFactor(parameters=asked.parameters)


def _deny(unit: Unit, client: Client, asked: Asked, reason: DenyReason) -> Outcome:
    session = asked.session
    assert session is not None  # noqa: S101 - decided upon just now
    slug = client.application.slug
    unit.record(
        Event(action="authorized", kind="application", target=str(client.application.id), name=slug, outcome=reason)
    )
    if asked.first("prompt") == "none":
        return _send_error(asked, OAuth2Error("The person may not use the application", error="access_denied"))
    return NoAccess(application=client.application, provider=client.provider, person=session.person, reason=reason)


def _send_error(asked: Asked, error: OAuth2Error) -> SendBack:
    state = [("state", asked.first("state"))] if asked.first("state") else []
    pairs = [("error", error.error), ("error_description", error.description or ""), *state]
    url = add_params_to_uri(asked.first("redirect_uri"), [pair for pair in pairs if pair[1]])
    return SendBack(url=url, error=str(error.error))


def _mark(asked: Asked, when: datetime) -> str:
    stamp = str(_microseconds(when))
    return f"{stamp}.{_mac(asked, stamp)}"


def _asked_when(asked: Asked) -> datetime | None:
    """When the browser was sent to sign in for this request, if a mark of ours says so."""
    stamp, _, mac = asked.first(ASKED).partition(".")
    if not hmac.compare_digest(mac.encode(), _mac(asked, stamp).encode()):
        return None
    when = _EPOCH + timedelta(microseconds=int(stamp))
    return when if asked.now - when <= ASKED_LIFETIME else None


def _mac(asked: Asked, stamp: str) -> str:
    about = "\0".join([stamp, *(asked.first(name) for name in ("client_id", "redirect_uri", "state", "nonce"))])
    return hmac.new(asked.key, about.encode("utf-8", "surrogatepass"), sha256).hexdigest()


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _microseconds(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1)

"""The endpoints of OpenID Connect. control.auth.oidc decides; here its outcomes become pages and redirects."""

from typing import assert_never
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, jsonify, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from control.auth import sessions
from control.auth.oidc.authorization import (
    PATH,
    Asked,
    AskSecondFactor,
    AskToSignIn,
    NoAccess,
    Outcome,
    SendBack,
    TurnDown,
    authorize,
)
from control.auth.oidc.issuer import Issuer, configuration
from control.auth.oidc.keys import ensure_signing_key, public_keys
from control.domain.application import Application, ProxyProvider
from control.domain.errors import NotFound
from control.store import SYSTEM
from control.web import identity
from control.web.context import web
from control.web.csrf import exempt_from_csrf
from control.web.signin.views import end_current_session

blueprint = Blueprint("oidc", __name__)
# A POST from another site is only turned into a GET, so it needs no token.
posted = Blueprint("oidc_posted", __name__)

_KEPT_BY_VERIFIERS = "public, max-age=300"


@blueprint.get(PATH, endpoint="authorize")
def show_authorize() -> ResponseReturnValue:
    """The authorization endpoint."""
    return _shown(_decide(tuple(request.args.items(multi=True))))


@posted.post(PATH, endpoint="authorize")
def post_authorize() -> ResponseReturnValue:
    """The same by POST (OpenID Connect Core 1.0 section 3.1.2.1): as a GET the browser sends its session along."""
    return redirect(f"{PATH}?{urlencode(list(request.form.items(multi=True)))}", 303)


@blueprint.get("/application/o/<slug>/jwks/")
def jwks(slug: str) -> ResponseReturnValue:
    """The keys that verify the application's ID tokens."""
    with web().store.read() as unit:
        _application(slug)
        known = unit.signing_keys.count() > 0
        keys = public_keys(unit)
    if not known:
        with web().store.write(SYSTEM) as unit:
            ensure_signing_key(unit)
            keys = public_keys(unit)
    return _for_verifiers(jsonify(keys))


@blueprint.get("/application/o/<slug>/.well-known/openid-configuration", endpoint="configuration")
def show_configuration(slug: str) -> ResponseReturnValue:
    """The discovery document of the application."""
    _application(slug)
    return _for_verifiers(jsonify(configuration(_issuer(), slug)))


@blueprint.get("/application/o/<slug>/end-session/", endpoint="end_session")
def show_end_session(slug: str) -> ResponseReturnValue:
    """Where an outpost leaves a browser that signed out; one that still has a session is asked first."""
    application, provider = _application(slug)
    if identity.find_person() is not None:
        return render_template("oidc/end_session.html", application=application)
    response = make_response(render_template("oidc/signed_out.html", application=application, provider=provider))
    identity.forget(response)
    return response


@blueprint.post("/application/o/<slug>/end-session/", endpoint="confirm_end_session")
def confirm_end_session(slug: str) -> ResponseReturnValue:
    """End the session and show that it has ended."""
    _application(slug)
    end_current_session()
    response = make_response(redirect(request.path, 303))
    identity.forget(response)
    return response


def register(app: Flask) -> None:
    """Add the endpoints."""
    exempt_from_csrf(app, posted)
    app.register_blueprint(blueprint)
    app.register_blueprint(posted)


def _decide(parameters: tuple[tuple[str, str], ...]) -> Outcome:
    """Read only for strangers, so that nobody without a session can make the database write."""
    current = identity.current_sign_in()
    key = web().store.sealer.derive("oidc/fresh sign-in")
    store = web().store
    with store.read() if current is None else store.write(identity.actor()) as unit:
        session = None if current is None else sessions.find_session_by_id(unit, current.id)
        asked = Asked(parameters=parameters, session=session, now=unit.now, key=key)
        return authorize(unit, _issuer(), asked)


def _shown(outcome: Outcome) -> ResponseReturnValue:
    match outcome:
        case SendBack(url=url):
            return redirect(url, 302)
        case AskToSignIn(parameters=parameters, again=again):
            return redirect(identity.sign_in_url(f"{PATH}?{urlencode(parameters)}", again=again), 302)
        case AskSecondFactor(parameters=parameters):
            return redirect(identity.step_up_url(f"{PATH}?{urlencode(parameters)}"), 302)
        case TurnDown(problem=problem, found=found):
            return render_template("oidc/turned_down.html", problem=problem, found=found), 400
        case NoAccess():
            somebody_else = identity.sign_in_url(request.full_path)
            return render_template("oidc/no_access.html", denied=outcome, somebody_else=somebody_else), 403
        case _:
            assert_never(outcome)


def _application(slug: str) -> tuple[Application, ProxyProvider]:
    """The application of that slug and its provider. Raises NotFound."""
    with web().store.read() as unit:
        application = unit.applications.get_named(slug)
        provider = unit.proxy_providers.find(application.provider) if application.provider else None
    if provider is None:
        raise NotFound("provider", slug)
    return application, provider


def _issuer() -> Issuer:
    return Issuer(url=web().settings.url)


def _for_verifiers(response: Response) -> Response:
    """Public: whoever verifies tokens reads it, from any site."""
    response.headers["Cache-Control"] = _KEPT_BY_VERIFIERS
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response

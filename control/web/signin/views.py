"""Sign-in and sign-out pages. The answer to a wrong password is the answer to an unknown name."""

from urllib.parse import parse_qsl, urlsplit

from flask import Blueprint, Flask, Response, flash, make_response, redirect, render_template, request
from flask import session as form_session
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError

from control.auth import sessions
from control.auth.oidc.authorization import PATH, find_target
from control.auth.passwords import Busy, Passwords
from control.auth.signing_in import Credentials, SignInFailed, sign_in
from control.domain.application import Application, ProxyMode, ProxyProvider
from control.web import identity
from control.web.context import web
from control.web.errors import error_response
from control.web.headers import allow_form_action
from control.web.identity import safe_next
from control.web.signin.forms import SignInForm

blueprint = Blueprint("signin", __name__)

Target = tuple[Application, ProxyProvider]


@blueprint.get("/sign-in")
def show_sign_in() -> ResponseReturnValue:
    """The form, unless a session is there already and nobody asked for a fresh one."""
    wanted = _wanted(request.args.get("next"))
    person = identity.find_person()
    if person is not None and "again" not in request.args:
        return redirect(wanted, 303)
    form = SignInForm(username=person.user.username if person else "", next=wanted)
    return _page(form, wanted)


@blueprint.post("/sign-in", endpoint="sign_in")
def check_sign_in() -> ResponseReturnValue:
    """Check what was typed; a new session replaces the one that the browser brought."""
    form = SignInForm()
    wanted = _wanted(form.next.data or request.args.get("next"))
    credentials = Credentials(username=form.username.data or "", password=form.password.data or "")
    _allow_redirects(_target(wanted))
    outcome = sign_in(
        web().store, identity.passwords(), credentials, identity.origin(), replaced=identity.cookie_secret()
    )
    if isinstance(outcome, SignInFailed):
        return _page(form, wanted, failed=True), 422
    # The CSRF token goes with the session: one that was planted before is worth nothing now.
    form_session.clear()
    response = make_response(redirect(wanted, 303))
    identity.remember(response, outcome)
    return response


@blueprint.errorhandler(CSRFError)
def use_the_session_there_is(_error: CSRFError) -> ResponseReturnValue:
    """A form that was open when another tab signed in has an old token: that tab's session serves this one too."""
    if request.endpoint != "signin.sign_in" or identity.find_person() is None:
        return error_response(400, "csrf")
    return redirect(_wanted(request.form.get("next")), 303)


@blueprint.get("/sign-out", endpoint="confirm_sign_out")
def confirm_sign_out() -> ResponseReturnValue:
    """Ask first: a link must not sign anybody out."""
    if identity.find_person() is None:
        return redirect(identity.SIGN_IN_PATH, 303)
    return render_template("signin/sign_out.html")


@blueprint.post("/sign-out", endpoint="sign_out")
def do_sign_out() -> ResponseReturnValue:
    """End this session, or with `everywhere` all of the person's; applications follow."""
    end_current_session(everywhere="everywhere" in request.form)
    wanted = safe_next(request.form.get("next"))
    response = make_response(redirect(identity.SIGN_IN_PATH if wanted == "/" else wanted, 303))
    identity.forget(response)
    form_session.clear()
    flash({"code": "signed_out", "parameters": {}}, "success")  # type: ignore[arg-type] # Flask stores any JSON
    return response


def end_current_session(*, everywhere: bool = False) -> None:
    """End the session of this request; nothing when there is none."""
    sign_in = identity.current_sign_in()
    if sign_in is None:
        return
    with web().store.write(identity.actor()) as unit:
        sessions.end_session(unit, sign_in.id)
        if everywhere:
            sessions.sign_out_everywhere(unit, sign_in.user)


def register(app: Flask) -> None:
    """Add the pages, and what every package needs to know who is signed in."""
    identity.install(app, Passwords())
    app.register_blueprint(blueprint)
    app.register_error_handler(Busy, _busy)


def _page(form: SignInForm, wanted: str, *, failed: bool = False) -> str:
    target = _target(wanted)
    _allow_redirects(target)
    application = target[0] if target else None
    form.next.data = wanted
    return render_template("signin/sign_in.html", form=form, failed=failed, application=application)


def _wanted(text: str | None) -> str:
    """Where to go after signing in: not to the sign-in pages again."""
    wanted = safe_next(text)
    return "/" if urlsplit(wanted).path in {"/sign-in", "/sign-out"} else wanted


def _target(wanted: str) -> Target | None:
    """The application somebody is on the way to."""
    parts = urlsplit(wanted)
    if parts.path != PATH:
        return None
    with web().store.read() as unit:
        return find_target(unit, tuple(parse_qsl(parts.query, keep_blank_values=True)))


def _allow_redirects(target: Target | None) -> None:
    """Browsers hold the redirects after a posted form to its page's policy: name where the application will be."""
    if target is None:
        return
    _, provider = target
    allow_form_action(provider.external_host)
    if provider.mode is ProxyMode.FORWARD_DOMAIN and provider.cookie_domain:
        parts = urlsplit(provider.external_host)
        port = f":{parts.port}" if parts.port else ""
        allow_form_action(f"{parts.scheme}://*.{provider.cookie_domain.lstrip('.')}{port}")


def _busy(error: Busy) -> Response:
    response = error_response(429, "too_many_requests")
    response.headers["Retry-After"] = str(error.retry_after)
    return response

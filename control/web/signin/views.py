"""Sign-in and sign-out pages. The answer to a wrong password is the answer to an unknown name.

After a right password a code may be due: until it is given there is no session, only the sealed state of the attempt
in a cookie of its own.
"""

from typing import assert_never

from flask import Blueprint, Flask, Response, flash, make_response, redirect, render_template, request, url_for
from flask import session as form_session
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError

from control.auth import sessions
from control.auth.passwords import Busy, Passwords
from control.auth.sessions import OpenedSession
from control.auth.signing_in import Credentials, finish, sign_in
from control.domain.decision import Challenged, Refused
from control.web import identity
from control.web.context import web
from control.web.errors import error_response
from control.web.identity import safe_next
from control.web.signin import step_up
from control.web.signin.code_page import lead_on, refusal, show_code_page
from control.web.signin.forms import CodeForm, SignInForm
from control.web.signin.wanted import find_application, wanted

blueprint = Blueprint("signin", __name__)

# The sealed state of an attempt whose password was right.
PENDING = "garrison_pending"


@blueprint.get("/sign-in")
def show_sign_in() -> ResponseReturnValue:
    """The form, unless a session is there already and nobody asked for a fresh one."""
    onward, person = wanted(), identity.find_person()
    if person is not None and "again" not in request.args:
        return redirect(onward, 303)
    form = SignInForm(username=person.user.username if person else "", next=onward)
    return _drop_pending(make_response(_page(form, onward)))


@blueprint.post("/sign-in", endpoint="sign_in")
def check_sign_in() -> ResponseReturnValue:
    """Check what was typed; a new session replaces the one that the browser brought, once no code is due."""
    form = SignInForm()
    onward = wanted(form.next.data)
    credentials = Credentials(username=form.username.data or "", password=form.password.data or "")
    outcome = sign_in(identity.decider(), credentials, identity.origin(), replaced=identity.cookie_secret())
    match outcome:
        case OpenedSession():
            return _drop_pending(lead_on(outcome, onward))
        case Challenged():
            return _keep_pending(outcome, make_response(redirect(url_for(".show_code", next=onward), 303)))
        case Refused():
            return refusal(_page(form, onward, outcome), outcome)
        case _:
            assert_never(outcome)


@blueprint.get("/sign-in/code")
def show_code() -> ResponseReturnValue:
    """The second step, for a browser that has done the first."""
    if not identity.decider().is_pending(_pending()):
        return _begin_anew(wanted())
    return show_code_page(CodeForm(next=wanted()), url_for(".check_code"))


@blueprint.post("/sign-in/code")
def check_code() -> ResponseReturnValue:
    """Check the code; only now there is a session."""
    form, state = CodeForm(), _pending()
    onward, code = wanted(form.next.data), form.code.data or ""
    outcome = finish(identity.decider(), state, code, identity.origin(), replaced=identity.cookie_secret())
    match outcome:
        case OpenedSession():
            return _drop_pending(lead_on(outcome, onward))
        case Refused() if identity.decider().is_pending(state):
            return show_code_page(form, url_for(".check_code"), refused=outcome)
        case Refused() | Challenged():
            return _begin_anew(onward)
        case _:
            assert_never(outcome)


@blueprint.errorhandler(CSRFError)
def use_the_session_there_is(_error: CSRFError) -> ResponseReturnValue:
    """A form that was open when another tab signed in has an old token: that tab's session serves this one too."""
    if request.endpoint != "signin.sign_in" or identity.find_person() is None:
        return error_response(400, "csrf")
    return redirect(wanted(request.form.get("next")), 303)


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
    onward = safe_next(request.form.get("next"))
    response = make_response(redirect(identity.SIGN_IN_PATH if onward == "/" else onward, 303))
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
    app.register_blueprint(step_up.blueprint)
    app.register_error_handler(Busy, _busy)


def _page(form: SignInForm, onward: str, refused: Refused | None = None) -> str:
    form.next.data = onward
    return render_template("signin/sign_in.html", form=form, refused=refused, application=find_application(onward))


def _begin_anew(onward: str) -> Response:
    """The password was given too long ago, or never here."""
    return _drop_pending(make_response(redirect(identity.sign_in_url(onward), 303)))


def _pending() -> str:
    return request.cookies.get(web().settings.cookie_name(PENDING), "")


def _keep_pending(challenged: Challenged, response: Response) -> Response:
    response.set_cookie(
        web().settings.cookie_name(PENDING),
        challenged.state,
        max_age=int(challenged.expires_in.total_seconds()),
        secure=web().settings.is_secure,
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return response


def _drop_pending(response: Response) -> Response:
    """Take the state from a browser that has one."""
    if _pending():
        name, secure = web().settings.cookie_name(PENDING), web().settings.is_secure
        response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="Lax")
    return response


def _busy(error: Busy) -> Response:
    response = error_response(429, "too_many_requests")
    response.headers["Retry-After"] = str(error.retry_after)
    return response

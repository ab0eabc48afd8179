"""For whoever is signed in by less than is asked for: a code, or an app to make codes, and then on."""

from typing import assert_never

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from control.auth import factors
from control.auth.proving import step_up
from control.auth.sessions import OpenedSession
from control.domain.decision import Refused
from control.domain.factors import SECOND_FACTORS
from control.web import identity
from control.web.context import web
from control.web.guards import ask_to_sign_in
from control.web.signin.code_page import lead_on, show_code_page
from control.web.signin.forms import CodeForm
from control.web.signin.wanted import wanted

blueprint = Blueprint("step_up", __name__, url_prefix=identity.STEP_UP_PATH)


@blueprint.get("")
def index() -> ResponseReturnValue:
    """The page that asks for a code; on to setting up an app where there is none, and away where all is done."""
    session, onward = identity.find_session(), wanted()
    if session is None:
        return ask_to_sign_in()
    if SECOND_FACTORS & set(session.sign_in.methods):
        return redirect(onward, 303)
    with web().store.read() as unit:
        if not factors.has_second_factor(unit, session.sign_in.user):
            return redirect(url_for("enrolment.create", next=onward), 303)
    return show_code_page(CodeForm(next=onward), url_for(".check"), session.person.user.username)


@blueprint.post("")
def check() -> ResponseReturnValue:
    """Check the code; the session goes on under a new secret."""
    session, form = identity.find_session(), CodeForm()
    if session is None:
        return ask_to_sign_in()
    outcome = step_up(web().store, identity.actor(), session, form.code.data or "")
    match outcome:
        case OpenedSession():
            return lead_on(outcome, wanted(form.next.data))
        case Refused():
            return show_code_page(form, url_for(".check"), session.person.user.username, outcome)
        case _:
            assert_never(outcome)

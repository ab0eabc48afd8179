"""The own sessions: where one is signed in, and the end of each."""

from uuid import UUID

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from control.auth.sessions import end_all_sessions, end_session_of
from control.web.context import web
from control.web.identity import actor, current_sign_in, get_person
from control.web.pages import done
from control.web.sessions.reading import lines_of_user

blueprint = Blueprint("sessions", __name__, url_prefix="/sessions")


@blueprint.get("")
def index() -> ResponseReturnValue:
    """All of them, this one marked."""
    with web().store.read() as unit:
        lines = lines_of_user(unit, get_person().user)
    return render_template("account/sessions.html", lines=lines, own=_own())


@blueprint.post("/<uuid:key>/end")
def end(key: UUID) -> ResponseReturnValue:
    """End one of the own sessions; nobody else's can be named here."""
    with web().store.write(actor()) as unit:
        end_session_of(unit, get_person().user.id, key)
    return done(url_for(".index"), "own_session_ended")


@blueprint.post("/end-others")
def end_others() -> ResponseReturnValue:
    """End all but this one."""
    with web().store.write(actor()) as unit:
        end_all_sessions(unit, get_person().user.id, keep=_own())
    return done(url_for(".index"), "own_sessions_ended")


def _own() -> UUID | None:
    own = current_sign_in()
    return own.id if own is not None else None

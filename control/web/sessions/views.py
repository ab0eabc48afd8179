"""Every session that lives: find one, end one."""

from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.auth.sessions import end_session
from control.domain.errors import NotFound
from control.web.context import web
from control.web.identity import actor, current_sign_in
from control.web.pages import PAGE_SIZE, Paging, done, search_text, wanted_page
from control.web.sessions.reading import read_lines

blueprint = Blueprint("sessions", __name__, url_prefix="/sessions")


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """The sessions that live, or those searched for, the latest used first."""
    query, page = search_text(), wanted_page()
    with web().store.read() as unit:
        found, total = unit.sign_ins.search(query, (page - 1) * PAGE_SIZE, PAGE_SIZE)
        paging = Paging(items=read_lines(unit, found), total=total, page=page, query=query)
    own = current_sign_in()
    return render_template("sessions/index.html", paging=paging, own=own.id if own is not None else None)


@blueprint.post("/<uuid:key>/end")
def end(key: UUID) -> ResponseReturnValue:
    """End one, whosever it is, and what was born of it at applications."""
    with web().store.write(actor()) as unit:
        found = unit.sign_ins.find(key)
        if found is None:
            raise NotFound("session", str(key))
        user = unit.users.get(found.user)
        end_session(unit, key)
    back = url_for(".index", q=request.args.get("q") or None)
    return done(back, "session_ended", name=user.username)

"""Who has to wait after failed sign-ins, and the end of the wait."""

from collections.abc import Mapping

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.auth import lockout
from control.web.context import web
from control.web.lockouts.lifting import lift_bucket
from control.web.lockouts.reading import read_lockouts
from control.web.pages import PAGE_SIZE, Paging, done, live, search_text, wanted_page

blueprint = Blueprint("lockouts", __name__, url_prefix="/lockouts")


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """Who and what is locked now."""
    return render_template("lockouts/index.html", rules=lockout.RULES, **_page())


@blueprint.get("/live")
def live_index() -> ResponseReturnValue:
    """The list, which the page polls."""
    return live("lockouts/rows.html", **_page())


@blueprint.post("/lift")
def lift() -> ResponseReturnValue:
    """Let somebody try again at once."""
    name = lift_bucket(request.form.get("bucket", ""))
    back = url_for(".index", q=request.args.get("q") or None)
    return done(back, "lockout_lifted" if name else "lockout_over", name=name)


def _page() -> Mapping[str, object]:
    query, page = search_text(), wanted_page()
    with web().store.read() as unit:
        locked, total = unit.failures.search(query, (page - 1) * PAGE_SIZE, PAGE_SIZE)
        return {"paging": Paging(items=read_lockouts(unit, locked), total=total, page=page, query=query)}

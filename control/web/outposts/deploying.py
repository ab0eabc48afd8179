"""What control's own deployment of an outpost is asked: how it is (live), what would change, and to do it now."""

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.outpost import Outpost
from control.domain.task import TaskKind
from control.store import Unit
from control.web.context import web
from control.web.errors import Refused
from control.web.forms import Form, saving
from control.web.identity import actor
from control.web.outposts.page import read_managed, read_question
from control.web.pages import done, gone, live, show_form
from control.web.tasks.asking import ask_run

blueprint = Blueprint("deployment", __name__, url_prefix="/<uuid:key>/deployment")


@blueprint.get("/live")
def live_card(key: UUID) -> ResponseReturnValue:
    """How the deployment stands, which the page of the outpost polls."""
    with web().store.read() as unit:
        outpost = unit.outposts.find(key)
        values = read_managed(unit, outpost) if outpost is not None else None
    return live("outposts/managed_live.html", **values) if values is not None else gone("outpost")


@blueprint.post("/preview")
def preview(key: UUID) -> ResponseReturnValue:
    """Have somebody look what a deployment would do; the page tells as soon as it is known."""
    with web().store.write(actor()) as unit:
        outpost = _get_managed(unit, key)
        ask_run(unit, TaskKind.PREVIEW, outpost.id, outpost.name)
    if request.headers.get("HX-Target") == "managed-live":
        return live_card(key)
    return done(_page(key), "preview_asked", name=outpost.name)


@blueprint.route("/deploy", methods=["GET", "POST"])
def deploy(key: UUID) -> ResponseReturnValue:
    """Do it now, once whoever asks has read what it may interrupt."""
    with web().store.read() as unit:
        outpost = _get_managed(unit, key)
        values = read_question(unit, outpost)
    form = Form()
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            ask_run(unit, TaskKind.DEPLOY, outpost.id, outpost.name)
            return done(_page(key), "deploy_asked", name=outpost.name)
    return show_form("outposts/deploy.html", form, _page(key), **values)


def _get_managed(unit: Unit, key: UUID) -> Outpost:
    outpost = unit.outposts.get(key)
    if outpost.integration is None:
        raise Refused(status=HTTPStatus.CONFLICT, code="not_managed")
    return outpost


def _page(key: UUID) -> str:
    return url_for("admin.outposts.detail", key=key, _anchor="managed")

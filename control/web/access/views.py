"""Test access: pick a user and an application, and see the verdict with everything that leads to it."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from control.web.access.choosing import choose_application, choose_user
from control.web.access.reading import read_report
from control.web.context import web

blueprint = Blueprint("access", __name__, url_prefix="/access")


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """The form, and below it the verdict once both are plain."""
    with web().store.read() as unit:
        user = choose_user(unit, request.args.get("user", ""))
        application = choose_application(unit, request.args.get("application", ""))
        whom, where = user.chosen, application.chosen
        report = read_report(unit, whom, where) if whom is not None and where is not None else None
    return render_template("access/index.html", user=user, application=application, report=report)


@blueprint.get("/users/live")
def users() -> ResponseReturnValue:
    """The users that could be meant, as somebody types."""
    with web().store.read() as unit:
        choice = choose_user(unit, request.args.get("user", ""))
    found = [choice.chosen] if choice.chosen is not None else choice.candidates
    return render_template("access/choices.html", choices=[(each.username, each.name) for each in found])


@blueprint.get("/applications/live")
def applications() -> ResponseReturnValue:
    """The applications that could be meant, as somebody types."""
    with web().store.read() as unit:
        choice = choose_application(unit, request.args.get("application", ""))
    found = [choice.chosen] if choice.chosen is not None else choice.candidates
    return render_template("access/choices.html", choices=[(each.slug, each.name) for each in found])

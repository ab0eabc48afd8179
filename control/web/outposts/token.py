"""The token of an outpost: show it, rotate it, retire the old one, make a new one where none is left.

Replacing and revoking are in control.web.tokens, which knows tokens whoever holds them.
"""

from collections.abc import Callable
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.outpost import Outpost
from control.fleet.rotation import retire_tokens, rotate_token
from control.fleet.tokens import find_token, replace_token
from control.store import Unit
from control.web.context import web
from control.web.forms import Form, saving
from control.web.outposts.page import read_deployment, read_page, read_token
from control.web.pages import done, gone, live, show_form
from control.web.tokens.views import record_shown

blueprint = Blueprint("token", __name__, url_prefix="/<uuid:key>/token")


@blueprint.get("/live")
def live_card(key: UUID) -> ResponseReturnValue:
    """How the token stands, which the page of the outpost polls."""
    with web().store.read() as unit:
        outpost = unit.outposts.find(key)
        values = read_token(unit, outpost) if outpost is not None else None
    return live("outposts/token.html", **values) if values is not None else gone("outpost")


@blueprint.post("/show")
def reveal(key: UUID) -> ResponseReturnValue:
    """The token and the texts with it filled in; that it was shown is in the audit trail."""
    with web().store.read() as unit:
        outpost = unit.outposts.get(key)
        token = find_token(unit, outpost)
    if token is not None:
        record_shown(token)
    is_part = request.headers.get("HX-Target") == "deployment"
    with web().store.read() as unit:
        values = (read_deployment if is_part else read_page)(unit, outpost, revealed=True)
    return render_template(f"outposts/{'deployment' if is_part else 'detail'}.html", **values)


@blueprint.route("/rotate", methods=["GET", "POST"])
def rotate(key: UUID) -> ResponseReturnValue:
    """A new token beside the old one, which connected instances take by themselves."""
    return _ask("rotate_token", key, "token_rotated", rotate_token)


@blueprint.route("/retire", methods=["GET", "POST"])
def retire(key: UUID) -> ResponseReturnValue:
    """Make all but the newest token worth nothing."""
    return _ask("retire_token", key, "token_retired", retire_tokens, tone="danger")


@blueprint.route("/new", methods=["GET", "POST"])
def renew(key: UUID) -> ResponseReturnValue:
    """A token for an outpost whose last one was revoked."""
    return _ask("renew_token", key, "token_replaced", replace_token)


def _ask(
    template: str, key: UUID, code: str, act: Callable[[Unit, Outpost], object], tone: str = "primary"
) -> ResponseReturnValue:
    with web().store.read() as unit:
        outpost = unit.outposts.get(key)
        values = read_token(unit, outpost)
    form = Form()
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            act(unit, unit.outposts.get(key))
            return done(_page(key), code, name=outpost.name)
    return show_form(f"outposts/{template}.html", form, _page(key), tone=tone, **values)


def _page(key: UUID) -> str:
    return url_for("admin.outposts.detail", key=key, _anchor="token")

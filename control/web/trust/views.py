"""The link's authorities and their rotation, the addresses outposts are told, and the processes that serve them."""

from collections.abc import Mapping

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.fleet.authority import OVERLAP, authorities_status, rotate_authority
from control.store import Unit
from control.web.context import web
from control.web.forms import Form, saving
from control.web.pages import done, live, show_form

blueprint = Blueprint("trust", __name__, url_prefix="/trust")


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """All of it."""
    with web().store.read() as unit:
        authorities, processes = tuple(reversed(authorities_status(unit))), _processes(unit)
    addresses = web().settings.link_addresses
    return render_template(
        "trust/index.html", authorities=authorities, addresses=addresses, overlap=OVERLAP, **processes
    )


@blueprint.get("/live")
def live_processes() -> ResponseReturnValue:
    """The processes, which the page polls."""
    with web().store.read() as unit:
        processes = _processes(unit)
    return live("trust/processes.html", **processes)


@blueprint.route("/rotate", methods=["GET", "POST"])
def rotate() -> ResponseReturnValue:
    """A new authority signs; the one before is trusted for a stated time."""
    form = Form()
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            rotate_authority(unit)
            return done(url_for(".index"), "authority_rotated")
    return show_form("trust/rotate.html", form, url_for(".index"), overlap=OVERLAP)


def _processes(unit: Unit) -> Mapping[str, object]:
    """The link processes, and how many instances each of them holds."""
    return {"processes": unit.link_processes.all(), "held": unit.instances.counts_by_holder()}

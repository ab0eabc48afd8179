"""Outposts: list with live health, create, edit, delete, and a page with instances and how to deploy one."""

from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.outpost import OFFERED_TYPES, Outpost
from control.fleet.instances import health
from control.fleet.options import options_of
from control.fleet.outposts import assigned_providers, create_outpost, remove_outpost, update_outpost
from control.fleet.tokens import find_token, replace_token
from control.store import Unit
from control.web.context import web
from control.web.forms import Form, saving
from control.web.lookups import application_by_provider, read_served
from control.web.outposts.deployment import Deployment
from control.web.outposts.forms import OutpostForm, defaults, error_lines, fields_of, values_of
from control.web.outposts.snippets import deployment_snippets
from control.web.pages import done, live, show_form
from control.web.tokens.views import record_shown

blueprint = Blueprint("outposts", __name__, url_prefix="/outposts")


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """All outposts."""
    return render_template("outposts/index.html", **_rows())


@blueprint.get("/live")
def live_index() -> ResponseReturnValue:
    """The rows of the list, which the page polls."""
    return live(render_template("outposts/rows.html", **_rows()))


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """One outpost: instances, what it serves, how to deploy it, which tells the token."""
    with web().store.read() as unit:
        outpost = unit.outposts.get(key)
        deployment = _deployment(unit, outpost)
        token = find_token(unit, outpost)
        providers = assigned_providers(unit, outpost)
        applications = application_by_provider(unit.applications.all())
        found = health(unit, outpost, web().settings.version)
    if token is not None:
        record_shown(token)
    return render_template(
        "outposts/detail.html",
        outpost=outpost,
        health=found,
        providers=providers,
        applications=applications,
        token=token,
        deployment=deployment,
        snippets=deployment_snippets(deployment) if token is not None else (),
    )


@blueprint.get("/<uuid:key>/live")
def live_detail(key: UUID) -> ResponseReturnValue:
    """The instances of one outpost, which its page polls."""
    with web().store.read() as unit:
        found = health(unit, unit.outposts.get(key), web().settings.version)
    return live(render_template("outposts/instances.html", health=found, outpost=found.outpost))


@blueprint.route("/new", methods=["GET", "POST"])
def create() -> ResponseReturnValue:
    """A new outpost, with its service account and token; on to how to deploy it."""
    form = OutpostForm(data=defaults())
    if form.validate_on_submit():
        with saving(form) as unit:
            outpost = create_outpost(unit, fields_of(form, None))
            url = url_for(".detail", key=outpost.id, _anchor="deployment")
            return done(url, "outpost_created", name=outpost.name)
    return _show(form, None)


@blueprint.route("/<uuid:key>/edit", methods=["GET", "POST"])
def edit(key: UUID) -> ResponseReturnValue:
    """Change an outpost; its instances follow at once."""
    with web().store.read() as unit:
        outpost = unit.outposts.get(key)
    form = OutpostForm(data=values_of(outpost))
    if form.validate_on_submit():
        with saving(form) as unit:
            changed = update_outpost(unit, unit.outposts.get(key), fields_of(form, outpost))
            return done(url_for(".detail", key=key), "updated", name=changed.name)
    return _show(form, outpost)


@blueprint.route("/<uuid:key>/token/new", methods=["GET", "POST"])
def renew_token(key: UUID) -> ResponseReturnValue:
    """A token for an outpost whose last one was revoked."""
    with web().store.read() as unit:
        outpost = unit.outposts.get(key)
    form = Form()
    back = url_for(".detail", key=key, _anchor="deployment")
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            replace_token(unit, unit.outposts.get(key))
            return done(back, "token_replaced", name=outpost.name)
    return show_form("outposts/renew_token.html", form, back, outpost=outpost)


@blueprint.route("/<uuid:key>/delete", methods=["GET", "POST"])
def delete(key: UUID) -> ResponseReturnValue:
    """Delete an outpost with its account and token; its instances are turned away."""
    with web().store.read() as unit:
        outpost = unit.outposts.get(key)
        providers = assigned_providers(unit, outpost)
        found = health(unit, outpost, web().settings.version)
    form = Form()
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            remove_outpost(unit, unit.outposts.get(key))
            return done(url_for(".index"), "removed", name=outpost.name)
    values = {"outpost": outpost, "providers": providers, "health": found, "tone": "danger"}
    return show_form("outposts/delete.html", form, url_for(".detail", key=key), **values)


def _rows() -> dict[str, object]:
    with web().store.read() as unit:
        served = read_served(unit, unit.providers.all())
        applications = application_by_provider(unit.applications.all())
    return {"served": served, "applications": applications}


def _deployment(unit: Unit, outpost: Outpost) -> Deployment:
    options = options_of(outpost)
    token = find_token(unit, outpost)
    settings = web().settings
    return Deployment(
        outpost=outpost,
        options=options,
        host=options.authentik_host or settings.url,
        token=token.secret if token is not None else "",
        version=settings.version,
        image_base=settings.image_base,
    )


def _show(form: OutpostForm, outpost: Outpost | None) -> ResponseReturnValue:
    with web().store.read() as unit:
        applications = application_by_provider(unit.applications.all())
        choices = [
            (str(each.id), applications[each.id].name if each.id in applications else each.name, each.external_host)
            for each in unit.providers.all()
        ]
    back = url_for(".detail", key=outpost.id) if outpost is not None else url_for(".index")
    values = {"outpost": outpost, "choices": choices, "types": OFFERED_TYPES, "lines": error_lines(form)}
    return show_form("outposts/form.html", form, back, **values)

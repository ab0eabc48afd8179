"""Outposts: list with live health, create, edit, delete, and a page with instances, token and how to deploy one."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.outpost import OFFERED_TYPES, Outpost, OutpostType
from control.fleet.assignment import can_serve
from control.fleet.instances import health
from control.fleet.outposts import assigned_providers, create_outpost, remove_outpost, update_outpost
from control.store import Unit
from control.web.context import web
from control.web.forms import Form, saving
from control.web.lookups import address_of, application_by_provider
from control.web.outposts.deploying import blueprint as deploying
from control.web.outposts.forms import OutpostForm, defaults, error_lines, fields_of, values_of
from control.web.outposts.instances import blueprint as instances
from control.web.outposts.listing import read_outpost_rows
from control.web.outposts.managed import find_managed
from control.web.outposts.page import read_instances, read_page
from control.web.outposts.token import blueprint as token
from control.web.pages import done, gone, live, show_form, suggested

blueprint = Blueprint("outposts", __name__, url_prefix="/outposts")
blueprint.register_blueprint(instances)
blueprint.register_blueprint(token)
blueprint.register_blueprint(deploying)


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """All outposts, or those that were searched for."""
    with web().store.read() as unit:
        rows, total = read_outpost_rows(unit), unit.outposts.count()
    return render_template("outposts/index.html", rows=rows, total=total)


@blueprint.get("/live")
def live_index() -> ResponseReturnValue:
    """The rows of the list, which the page polls."""
    with web().store.read() as unit:
        rows = read_outpost_rows(unit)
    return live("outposts/rows.html", rows=rows)


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """One outpost: instances, token, what it serves, how to deploy it."""
    with web().store.read() as unit:
        values = read_page(unit, unit.outposts.get(key))
    return render_template("outposts/detail.html", **values)


@blueprint.get("/<uuid:key>/live")
def live_detail(key: UUID) -> ResponseReturnValue:
    """The instances of one outpost, which its page polls."""
    with web().store.read() as unit:
        outpost = unit.outposts.find(key)
        values = read_instances(unit, outpost) if outpost is not None else None
    return live("outposts/instances.html", **values) if values is not None else gone("outpost")


@blueprint.route("/new", methods=["GET", "POST"])
def create() -> ResponseReturnValue:
    """A new outpost, with its service account and token; on to how to deploy it."""
    with web().store.read() as unit:
        usual = defaults(unit.integrations.all())
    form = OutpostForm(data={**usual, **suggested("type", "integration", many=["providers"])})
    if form.validate_on_submit():
        with saving(form) as unit:
            outpost = create_outpost(unit, fields_of(form, None))
            is_managed = outpost.integration is not None
            url = url_for(".detail", key=outpost.id, _anchor="managed" if is_managed else "deployment")
            return done(url, "outpost_deployed" if is_managed else "outpost_created", name=outpost.name)
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


@blueprint.route("/<uuid:key>/delete", methods=["GET", "POST"])
def delete(key: UUID) -> ResponseReturnValue:
    """Delete an outpost with its account and token; its instances are turned away."""
    with web().store.read() as unit:
        outpost = unit.outposts.get(key)
        providers = assigned_providers(unit, outpost)
        found = health(unit, outpost, web().settings.version)
        managed = find_managed(unit, outpost)
    form = Form()
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            remove_outpost(unit, unit.outposts.get(key))
            return done(url_for(".index"), "removed", name=outpost.name)
    values = {"outpost": outpost, "providers": providers, "health": found, "managed": managed, "tone": "danger"}
    return show_form("outposts/delete.html", form, url_for(".detail", key=key), **values)


def _show(form: OutpostForm, outpost: Outpost | None) -> ResponseReturnValue:
    with web().store.read() as unit:
        choices = _choices(unit)
        integrations = [(str(each.id), each.name) for each in unit.integrations.all()]
    back = url_for(".detail", key=outpost.id) if outpost is not None else url_for(".index")
    values: dict[str, object] = {"outpost": outpost, "choices": choices, "integrations": integrations}
    values |= {"offered": list(OFFERED_TYPES), "lines": error_lines(form)}
    return show_form("outposts/form.html", form, back, **values)


def _choices(unit: Unit) -> Mapping[OutpostType, Sequence[tuple[str, str, str]]]:
    """What an outpost of each type can serve: the provider's id, its application's name, and where it is."""
    applications = application_by_provider(unit.applications.all())
    found: dict[OutpostType, list[tuple[str, str, str]]] = {kind: [] for kind in OFFERED_TYPES}
    for provider in unit.providers.all():
        name = applications[provider.id].name if provider.id in applications else provider.name
        for kind in OFFERED_TYPES:
            if can_serve(kind, provider):
                found[kind].append((str(provider.id), name, address_of(provider)))
    return found

"""Integrations: list with live health, create, edit, delete, check, and a page with what lies there."""

from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.integration import Integration
from control.domain.task import TaskKind
from control.fleet.integrations import create_integration, remove_integration, update_integration
from control.store import Unit
from control.web.context import web
from control.web.forms import Form, saving
from control.web.identity import actor
from control.web.integrations.forms import IntegrationForm, fields_of, values_of
from control.web.integrations.reading import leftovers, read_live, read_page, read_rows
from control.web.integrations.trust import blueprint as trust
from control.web.lookups import certificate_choices
from control.web.pages import done, gone, live, show, show_form, suggested
from control.web.tasks.asking import ask_run

blueprint = Blueprint("integrations", __name__, url_prefix="/integrations")
blueprint.register_blueprint(trust)


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """All integrations and how they are."""
    with web().store.read() as unit:
        values = read_rows(unit)
    return render_template("integrations/index.html", **values)


@blueprint.get("/live")
def live_index() -> ResponseReturnValue:
    """The rows of the list, which the page polls."""
    with web().store.read() as unit:
        values = read_rows(unit)
    return live("integrations/rows.html", **values)


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """One integration: how it is, how it is reached, what lies there."""
    with web().store.read() as unit:
        values = read_page(unit, unit.integrations.get(key))
    return render_template("integrations/detail.html", **values)


@blueprint.get("/<uuid:key>/live")
def live_detail(key: UUID) -> ResponseReturnValue:
    """What of the page is polled."""
    with web().store.read() as unit:
        integration = unit.integrations.find(key)
        values = read_live(unit, integration) if integration is not None else None
    return live("integrations/live.html", **values) if values is not None else gone("integration")


@blueprint.post("/<uuid:key>/check")
def check(key: UUID) -> ResponseReturnValue:
    """Have it looked at now."""
    with web().store.write(actor()) as unit:
        integration = unit.integrations.get(key)
        ask_run(unit, TaskKind.CHECK, integration.id, integration.name)
    if request.headers.get("HX-Target") == "integration":
        return live_detail(key)
    return done(url_for(".detail", key=key), "check_asked", name=integration.name)


@blueprint.get("/new")
def create() -> ResponseReturnValue:
    """How a new integration is reached."""
    return show("integrations/choose.html")


@blueprint.route("/new/docker", methods=["GET", "POST"])
def create_docker() -> ResponseReturnValue:
    """A new Docker engine; on to its page, where the first check is under way."""
    form = IntegrationForm(data=suggested("name", "url", "tls_verification", "tls_authentication"))
    if form.validate_on_submit():
        with saving(form) as unit:
            integration = create_integration(unit, fields_of(form))
            ask_run(unit, TaskKind.CHECK, integration.id, integration.name)
            return done(url_for(".detail", key=integration.id), "integration_created", name=integration.name)
    return _show(form, None)


@blueprint.route("/<uuid:key>/edit", methods=["GET", "POST"])
def edit(key: UUID) -> ResponseReturnValue:
    """Change an integration, and look whether it can be reached so."""
    with web().store.read() as unit:
        integration = unit.integrations.get(key)
    form = IntegrationForm(data=values_of(integration))
    if form.validate_on_submit():
        with saving(form) as unit:
            changed = update_integration(unit, unit.integrations.get(key), fields_of(form))
            ask_run(unit, TaskKind.CHECK, changed.id, changed.name)
            return done(url_for(".detail", key=key), "updated", name=changed.name)
    return _show(form, integration)


@blueprint.route("/<uuid:key>/delete", methods=["GET", "POST"])
def delete(key: UUID) -> ResponseReturnValue:
    """Delete an integration that no outpost is deployed to; what may yet lie there is forgotten."""
    with web().store.read() as unit:
        integration = unit.integrations.get(key)
        outposts = [outpost for outpost in unit.outposts.all() if outpost.integration == key]
        left = leftovers(unit, key)
    form = Form()
    if not outposts and form.validate_on_submit():
        with saving(form) as unit:
            remove_integration(unit, unit.integrations.get(key))
            return done(url_for(".index"), "removed", name=integration.name)
    values = {"integration": integration, "outposts": outposts, "leftovers": left, "tone": "danger"}
    back = url_for(".detail", key=key)
    return show_form("integrations/delete.html", form, back, blocked=bool(outposts), **values)


def _show(form: IntegrationForm, integration: Integration | None) -> ResponseReturnValue:
    with web().store.read() as unit:
        choices = _choices(unit)
        lying = bool(unit.deployments.of_integration(integration.id)) if integration is not None else False
    back = url_for(".detail", key=integration.id) if integration is not None else url_for(".index")
    values = {"integration": integration, "choices": choices, "lying": lying}
    return show_form("integrations/form.html", form, back, **values)


def _choices(unit: Unit) -> dict[str, list[tuple[str, str]]]:
    """The certificates for either select: a CA needs no key, a client does."""
    certificates = [(str(each.id), each.name) for each in unit.certificates.all()]
    return {"verification": certificates, "authentication": certificate_choices(unit)}

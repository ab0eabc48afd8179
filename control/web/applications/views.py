"""Applications: list, create (with or without a provider), edit, delete."""

from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.application import Application, Provider, ProxyProvider
from control.domain.errors import Invalid, Problem
from control.fleet.applications import create_application, launch_url_of, remove_application, update_application
from control.fleet.proxy_providers import create_proxy_provider
from control.store import Unit
from control.web.applications.bindings import blueprint as bindings
from control.web.applications.bindings import read_rules
from control.web.applications.forms import (
    PROVIDER,
    ApplicationForm,
    ApplicationWithProviderForm,
    fields_of,
    slug_of,
    values_of,
)
from control.web.context import web
from control.web.forms import Form, moved, reference, saving
from control.web.lookups import bindings_by_application, is_open, read_serving
from control.web.pages import done, paged, search_text, show_form, suggested
from control.web.providers.forms import fields_of as provider_fields_of

blueprint = Blueprint("applications", __name__, url_prefix="/applications")
blueprint.register_blueprint(bindings)


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """All applications or those searched for: what guards them, who serves them, whether they are open to everybody."""
    query = search_text()
    with web().store.read() as unit:
        paging = paged([each for each in unit.applications.all() if _matches(each, query)], query)
        rules = bindings_by_application(unit.bindings.all())
        by_id = unit.providers.find_many({each.provider for each in paging.items if each.provider is not None})
        serving, total = read_serving(unit, list(by_id.values())), unit.applications.count()
    return render_template(
        "applications/index.html",
        paging=paging,
        total=total,
        providers=by_id,
        rules=rules,
        open={each.id for each in paging.items if is_open(rules.get(each.id, ()))},
        serving=serving,
        launch={each.id: _launch_url(each, by_id) for each in paging.items},
    )


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """One application with the rules of who may use it."""
    with web().store.read() as unit:
        application = unit.applications.get(key)
        provider = unit.providers.find(application.provider) if application.provider else None
        rules = read_rules(unit, key)
        outposts = read_serving(unit, [provider])[provider.id] if provider else ()
    return render_template(
        "applications/detail.html",
        application=application,
        provider=provider,
        rules=rules,
        is_open=is_open([rule.binding for rule in rules]),
        outposts=outposts,
        launch_url=launch_url_of(application, provider),
    )


@blueprint.route("/new", methods=["GET", "POST"])
def create() -> ResponseReturnValue:
    """A new application, for a provider that exists or for none."""
    form = ApplicationForm(data=suggested("provider"))
    if form.validate_on_submit():
        with saving(form) as unit:
            application = create_application(unit, fields_of(form))
            return done(url_for(".detail", key=application.id), "created", name=application.name)
    return _show(form, None)


@blueprint.route("/new-with-provider", methods=["GET", "POST"])
def create_with_provider() -> ResponseReturnValue:
    """A new application and the provider that guards it, both or neither."""
    form = ApplicationWithProviderForm()
    if form.validate_on_submit():
        with saving(form) as unit:
            application = _create_both(unit, form)
            return done(url_for(".detail", key=application.id), "created", name=application.name)
    with web().store.read() as unit:
        groups = [(str(group.id), group.name) for group in unit.groups.all()]
    return show_form("applications/form_with_provider.html", form, url_for(".index"), groups=groups)


@blueprint.route("/<uuid:key>/edit", methods=["GET", "POST"])
def edit(key: UUID) -> ResponseReturnValue:
    """Change an application."""
    with web().store.read() as unit:
        application = unit.applications.get(key)
    form = ApplicationForm(data=values_of(application))
    if form.validate_on_submit():
        with saving(form) as unit:
            changed = update_application(unit, unit.applications.get(key), fields_of(form))
            return done(url_for(".detail", key=key), "updated", name=changed.name)
    return _show(form, application)


@blueprint.route("/<uuid:key>/delete", methods=["GET", "POST"])
def delete(key: UUID) -> ResponseReturnValue:
    """Delete an application and its rules; the provider stays."""
    with web().store.read() as unit:
        application = unit.applications.get(key)
        provider = unit.providers.find(application.provider) if application.provider else None
        rules = unit.bindings.of_application(key)
    form = Form()
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            remove_application(unit, unit.applications.get(key))
            return done(url_for(".index"), "removed", name=application.name)
    values = {"application": application, "provider": provider, "rules": rules, "tone": "danger"}
    return show_form("applications/delete.html", form, url_for(".detail", key=key), **values)


def _create_both(unit: Unit, form: ApplicationWithProviderForm) -> Application:
    """Both objects in one unit; problems of both are told at once."""
    name = form.name.data or ""
    problems: list[Problem] = []
    provider = application = None
    try:
        provider = create_proxy_provider(unit, {**provider_fields_of(form, PROVIDER), "name": name}, web().settings.url)
    except Invalid as invalid:
        problems += [each for each in moved(invalid, PROVIDER).problems if each.field != f"{PROVIDER}name"]
        problems += [each for each in invalid.problems if each.field == "name"]
    try:
        application = create_application(unit, _fields_of_both(form, provider))
    except Invalid as invalid:
        known = {(each.field, each.code) for each in problems}
        problems += [each for each in invalid.problems if (each.field, each.code) not in known]
    if problems or application is None:
        raise Invalid(problems)
    return application


def _fields_of_both(form: ApplicationWithProviderForm, provider: ProxyProvider | None) -> dict[str, object]:
    fields: dict[str, object] = {
        "name": form.name.data or "",
        "slug": slug_of(form.slug.data, form.name.data),
        "category": form.category.data or "",
        "provider": provider.id if provider is not None else "",
    }
    return {**fields, "bindings": [{"group": reference(form.group.data)}]} if form.group.data else fields


def _show(form: ApplicationForm, application: Application | None) -> ResponseReturnValue:
    with web().store.read() as unit:
        taken = {each.provider for each in unit.applications.all() if application is None or each.id != application.id}
        providers = [each for each in unit.providers.all() if each.id not in taken]
    back = url_for(".detail", key=application.id) if application is not None else url_for(".index")
    return show_form("applications/form.html", form, back, application=application, providers=providers)


def _matches(application: Application, query: str) -> bool:
    texts = (application.name, application.slug, application.category)
    return any(query.lower() in text.lower() for text in texts)


def _launch_url(application: Application, providers: dict[UUID, Provider]) -> str:
    return launch_url_of(application, providers.get(application.provider) if application.provider else None)

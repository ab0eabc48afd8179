"""Providers: list, create, edit, delete, and a page with ready configuration for the reverse proxy before them."""

from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.application import ProxyMode, ProxyProvider
from control.fleet.providers import create_proxy_provider, remove_provider, served_modes, update_proxy_provider
from control.store import Unit
from control.web.context import web
from control.web.forms import Form, saving
from control.web.lookups import application_by_provider, read_serving
from control.web.pages import done, paged, search_text, show_form
from control.web.providers.forms import ProviderForm, fields_of, values_of
from control.web.providers.snippets import proxy_snippets

blueprint = Blueprint("providers", __name__, url_prefix="/providers")


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """All providers or those searched for, what they guard and who serves them."""
    query = search_text()
    with web().store.read() as unit:
        paging = paged([each for each in unit.providers.all() if _matches(each, query)], query)
        applications = application_by_provider(unit.applications.all())
        serving, total = read_serving(unit, paging.items), unit.providers.count()
    values = {"paging": paging, "total": total, "applications": applications, "serving": serving}
    return render_template("providers/index.html", **values)


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """One provider, with snippets for the reverse proxies that ask it."""
    with web().store.read() as unit:
        provider = unit.providers.get(key)
        application = unit.applications.find_for_provider(key)
        outposts = read_serving(unit, [provider])[key]
        certificate = unit.certificates.find(provider.certificate) if provider.certificate else None
    return render_template(
        "providers/detail.html",
        provider=provider,
        application=application,
        outposts=outposts,
        certificate=certificate,
        snippets=proxy_snippets(provider, outposts, web().settings.url),
    )


@blueprint.route("/new", methods=["GET", "POST"])
def create() -> ResponseReturnValue:
    """A new provider."""
    form = ProviderForm()
    if form.validate_on_submit():
        with saving(form) as unit:
            provider = create_proxy_provider(unit, fields_of(form), web().settings.url)
            return done(url_for(".detail", key=provider.id), "created", name=provider.name)
    return _show(form, None)


@blueprint.route("/<uuid:key>/edit", methods=["GET", "POST"])
def edit(key: UUID) -> ResponseReturnValue:
    """Change a provider; outposts follow at once."""
    with web().store.read() as unit:
        provider = unit.providers.get(key)
    form = ProviderForm(data=values_of(provider))
    if form.validate_on_submit():
        with saving(form) as unit:
            changed = update_proxy_provider(unit, unit.providers.get(key), fields_of(form), web().settings.url)
            return done(url_for(".detail", key=key), "updated", name=changed.name)
    return _show(form, provider)


@blueprint.route("/<uuid:key>/delete", methods=["GET", "POST"])
def delete(key: UUID) -> ResponseReturnValue:
    """Delete a provider that no application uses."""
    with web().store.read() as unit:
        provider = unit.providers.get(key)
        application = unit.applications.find_for_provider(key)
        outposts = read_serving(unit, [provider])[key]
    form = Form()
    if request.method == "POST" and application is None and form.validate_on_submit():
        with saving(form) as unit:
            remove_provider(unit, unit.providers.get(key))
            return done(url_for(".index"), "removed", name=provider.name)
    back = url_for(".detail", key=key)
    values = {"provider": provider, "application": application, "outposts": outposts, "tone": "danger"}
    return show_form("providers/delete.html", form, back, blocked=application is not None, **values)


def certificate_choices(unit: Unit) -> list[tuple[str, str]]:
    """The certificates that have a key, for a select."""
    usable = [found for found in unit.certificates.all() if found.private_key is not None]
    return [(str(found.id), found.name) for found in usable]


def mode_words() -> list[ProxyMode]:
    """The modes a form offers."""
    return list(served_modes())


def _matches(provider: ProxyProvider, query: str) -> bool:
    return any(query.lower() in text.lower() for text in (provider.name, provider.external_host))


def _show(form: ProviderForm, provider: ProxyProvider | None) -> ResponseReturnValue:
    with web().store.read() as unit:
        certificates = certificate_choices(unit)
    back = url_for(".detail", key=provider.id) if provider is not None else url_for(".index")
    values = {"provider": provider, "certificates": certificates, "modes": mode_words()}
    return show_form("providers/form.html", form, back, **values)

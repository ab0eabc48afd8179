"""Providers: list, create after choosing a type, edit, delete, and a page with ready configuration for what asks it."""

from typing import assert_never
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.application import LdapProvider, Provider, ProxyProvider
from control.fleet.providers import remove_provider
from control.web.context import web
from control.web.forms import Form, saving
from control.web.lookups import address_of, application_by_provider, read_serving
from control.web.pages import done, paged, search_text, show, show_form
from control.web.providers import ldap, proxy

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
    """One provider, with configuration for the programs that ask it."""
    with web().store.read() as unit:
        provider = unit.providers.get(key)
        application = unit.applications.find_for_provider(key)
        values = {
            "provider": provider,
            "application": application,
            "outposts": read_serving(unit, [provider])[key],
            "certificate": unit.certificates.find(provider.certificate) if provider.certificate else None,
        }
        match provider:
            case ProxyProvider():
                return proxy.page(unit, provider, values)
            case LdapProvider():
                return ldap.page(unit, provider, application, values)
            case _:
                assert_never(provider)


@blueprint.get("/new")
def create() -> ResponseReturnValue:
    """Which type a new provider is to be of."""
    return show("providers/choose.html")


@blueprint.route("/new/proxy", methods=["GET", "POST"])
def create_proxy() -> ResponseReturnValue:
    """A new proxy provider."""
    return proxy.create()


@blueprint.route("/new/ldap", methods=["GET", "POST"])
def create_ldap() -> ResponseReturnValue:
    """A new LDAP provider."""
    return ldap.create()


@blueprint.route("/<uuid:key>/edit", methods=["GET", "POST"])
def edit(key: UUID) -> ResponseReturnValue:
    """Change a provider; outposts follow at once."""
    with web().store.read() as unit:
        provider = unit.providers.get(key)
    match provider:
        case ProxyProvider():
            return proxy.edit(provider)
        case LdapProvider():
            return ldap.edit(provider)
        case _:
            assert_never(provider)


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


def _matches(provider: Provider, query: str) -> bool:
    return any(query.lower() in text.lower() for text in (provider.name, address_of(provider)))

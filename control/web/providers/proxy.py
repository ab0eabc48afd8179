"""Proxy providers: create, edit, and the page with configuration for the reverse proxy before the application."""

from collections.abc import Mapping
from typing import Any

from flask import render_template, url_for
from flask.typing import ResponseReturnValue

from control.domain.application import ProxyMode, ProxyProvider
from control.fleet.proxy_providers import create_proxy_provider, update_proxy_provider
from control.store import Unit
from control.web.context import web
from control.web.forms import saving
from control.web.lookups import certificate_choices
from control.web.pages import done, show_form
from control.web.providers.forms import ProviderForm, fields_of, values_of
from control.web.providers.proxied import upstream_of, way_to
from control.web.providers.snippets import proxy_snippets


def page(unit: Unit, provider: ProxyProvider, values: Mapping[str, Any]) -> ResponseReturnValue:
    """One provider; `values` are what pages of every type show."""
    outposts, settings = values["outposts"], web().settings
    if provider.mode is ProxyMode.PROXY:
        way, upstream = way_to(provider, outposts, settings), upstream_of(unit, provider)
        return render_template("providers/proxied.html", way=way, upstream=upstream, **values)
    snippets = proxy_snippets(provider, outposts, f"{settings.host}:{settings.http_port}")
    return render_template("providers/proxy.html", snippets=snippets, **values)


def create() -> ResponseReturnValue:
    """A new provider."""
    form = ProviderForm()
    if form.validate_on_submit():
        with saving(form) as unit:
            provider = create_proxy_provider(unit, fields_of(form), web().settings.url)
            return done(url_for(".detail", key=provider.id), "created", name=provider.name)
    return _show(form, None)


def edit(provider: ProxyProvider) -> ResponseReturnValue:
    """Change a provider."""
    form = ProviderForm(data=values_of(provider))
    if form.validate_on_submit():
        with saving(form) as unit:
            current = unit.proxy_providers.get(provider.id)
            changed = update_proxy_provider(unit, current, fields_of(form), web().settings.url)
            return done(url_for(".detail", key=provider.id), "updated", name=changed.name)
    return _show(form, provider)


def _show(form: ProviderForm, provider: ProxyProvider | None) -> ResponseReturnValue:
    with web().store.read() as unit:
        certificates = certificate_choices(unit)
        trusted = [(str(each.id), each.name) for each in unit.certificates.all()]
    back = url_for(".detail", key=provider.id) if provider is not None else url_for(".create")
    values = {"provider": provider, "certificates": certificates, "trusted": trusted}
    return show_form("providers/form.html", form, back, **values)

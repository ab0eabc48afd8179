"""LDAP providers: create, edit, and the page with what a program that speaks LDAP has to be told."""

from collections.abc import Mapping
from typing import Any

from flask import render_template, url_for
from flask.typing import ResponseReturnValue

from control.domain.application import Application, LdapProvider
from control.fleet.ldap_providers import create_ldap_provider, find_overlap, update_ldap_provider
from control.store import Unit
from control.store.numbers import FIRST
from control.web.context import web
from control.web.forms import saving
from control.web.lookups import certificate_choices
from control.web.pages import done, show_form
from control.web.providers.ldap_forms import LdapProviderForm, fields_of, values_of
from control.web.providers.ldap_snippets import directory_of, ldap_snippets
from control.web.providers.searchers import read_searchers


def page(
    unit: Unit, provider: LdapProvider, application: Application | None, values: Mapping[str, Any]
) -> ResponseReturnValue:
    """One provider; `values` are what pages of every type show."""
    searchers = read_searchers(unit, provider, application)
    account = searchers[0].user.username if searchers else None
    directory = directory_of(provider, values["certificate"], account)
    return render_template(
        "providers/ldap.html",
        group=unit.groups.find(provider.search_group) if provider.search_group else None,
        searchers=searchers,
        directory=directory,
        snippets=ldap_snippets(directory),
        first=FIRST,
        overlap=find_overlap(
            provider.uid_start_number,
            provider.gid_start_number,
            unit.numbers.last_of_users(),
            unit.numbers.last_of_groups(),
        ),
        **values,
    )


def create() -> ResponseReturnValue:
    """A new provider."""
    form = LdapProviderForm()
    if form.validate_on_submit():
        with saving(form) as unit:
            provider = create_ldap_provider(unit, fields_of(form))
            return done(url_for(".detail", key=provider.id), "created", name=provider.name)
    return _show(form, None)


def edit(provider: LdapProvider) -> ResponseReturnValue:
    """Change a provider."""
    form = LdapProviderForm(data=values_of(provider))
    if form.validate_on_submit():
        with saving(form) as unit:
            changed = update_ldap_provider(unit, unit.ldap_providers.get(provider.id), fields_of(form))
            return done(url_for(".detail", key=provider.id), "updated", name=changed.name)
    return _show(form, provider)


def _show(form: LdapProviderForm, provider: LdapProvider | None) -> ResponseReturnValue:
    with web().store.read() as unit:
        certificates = certificate_choices(unit)
        groups = [(str(group.id), group.name) for group in unit.groups.all()]
    back = url_for(".detail", key=provider.id) if provider is not None else url_for(".create")
    values = {"provider": provider, "certificates": certificates, "groups": groups}
    return show_form("providers/ldap_form.html", form, back, **values)

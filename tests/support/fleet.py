"""An outpost in the database, with what it takes to serve something."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from control.domain.application import Application, AttributeMapping, LdapProvider, ProxyProvider
from control.domain.outpost import Outpost, OutpostType, Token
from control.fleet.session_keys import ensure_cookie_key
from control.fleet.tokens import create_deployment_identity
from control.store import Store, Unit
from tests.support import builders
from tests.support.stores import ADMIN

SHOWN = ("photo", "team", "department", "employeeNumber", "n", "a", "b")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A provider with its application."""

    provider: ProxyProvider
    application: Application


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """An outpost with its token and what it serves."""

    outpost: Outpost
    token: Token
    sites: list[Site] = field(default_factory=list)


def add_site(unit: Unit, name: str, **fields: Any) -> Site:
    """A provider with cookie key and application."""
    provider = unit.proxy_providers.add(builders.provider(name, **fields))
    ensure_cookie_key(unit, provider.id)
    application = unit.applications.add(builders.application(name, provider=provider.id))
    return Site(provider=provider, application=application)


def add_outpost(unit: Unit, name: str, sites: Iterable[Site] = (), **fields: Any) -> Deployed:
    """An outpost with account and token."""
    key = uuid4()
    identity = create_deployment_identity(unit, key, name)
    sites = list(sites)
    outpost = Outpost(
        **{
            "id": key,
            "name": name,
            "type": OutpostType.PROXY,
            "service_account": identity.account.id,
            "providers": frozenset(site.provider.id for site in sites),
            "created": unit.now,
            **fields,
        }
    )
    return Deployed(outpost=unit.outposts.add(outpost), token=identity.token, sites=sites)


def add_directory(unit: Unit, name: str = "dir", **fields: Any) -> LdapProvider:
    """An LDAP provider with an application, which shows any attribute that tests give to users."""
    shown = tuple(AttributeMapping(attribute=each, source=each) for each in SHOWN)
    provider = unit.ldap_providers.add(builders.ldap_provider(name, **{"user_attributes": shown, **fields}))
    unit.applications.add(builders.application(name, provider=provider.id))
    return provider


def deploy_ldap(store: Store, name: str = "ldap", **fields: Any) -> Deployed:
    """An LDAP outpost that serves a directory of its own."""
    with store.write(ADMIN) as unit:
        provider = add_directory(unit, f"{name}-dir")
        return add_outpost(unit, name, type=OutpostType.LDAP, **{"providers": frozenset({provider.id}), **fields})


def deploy(store: Store, name: str = "edge", sites: Iterable[str] = ("wiki",), **fields: Any) -> Deployed:
    """An outpost that serves sites of these names."""
    with store.write(ADMIN) as unit:
        return add_outpost(unit, name, [add_site(unit, site) for site in sites], **fields)

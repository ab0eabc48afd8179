"""Providers of every type, by their fields: each type's own module checks and stores its own.

One that is there keeps its type: what refers to it relies on the protocol.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from control.domain.application import Provider, ProviderType
from control.domain.errors import Invalid
from control.fleet import ldap_providers, proxy_providers
from control.fleet.fields import Fields, problem
from control.store import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How providers of one type are made and changed, both given control's own public address; and their fields."""

    fields: tuple[str, ...]
    create: Callable[[Unit, Fields, str], Provider]
    update: Callable[[Unit, Any, Fields, str], Provider]


KINDS: Mapping[ProviderType, Kind] = {
    ProviderType.PROXY: Kind(
        fields=proxy_providers.FIELDS,
        create=proxy_providers.create_proxy_provider,
        update=proxy_providers.update_proxy_provider,
    ),
    ProviderType.LDAP: Kind(
        fields=ldap_providers.FIELDS,
        create=lambda unit, fields, _: ldap_providers.create_ldap_provider(unit, fields),
        update=lambda unit, provider, fields, _: ldap_providers.update_ldap_provider(unit, provider, fields),
    ),
}
# Known by name, so that the refusal can say that this version has them not yet.
LATER_TYPES = ("radius", "rac")


def create_provider(unit: Unit, fields: Fields, own_url: str) -> Provider:
    """Make a provider of the type that its fields name, else a proxy provider. Raises Invalid with every problem."""
    kind = _type(fields, ProviderType.PROXY)
    return KINDS[kind].create(unit, _without_type(fields), own_url)


def update_provider(unit: Unit, provider: Provider, fields: Fields, own_url: str) -> Provider:
    """Change the fields that are named. Raises Invalid with every problem."""
    kind = _type(fields, provider.type)
    if kind is not provider.type:
        raise Invalid([problem("type", "not_changeable", kind, f"{provider.type}, or a provider of another name")])
    return KINDS[kind].update(unit, provider, _without_type(fields), own_url)


def remove_provider(unit: Unit, provider: Provider) -> None:
    """Remove a provider that no application uses. Raises InUse."""
    unit.providers.remove(provider)


def _type(fields: Fields, default: ProviderType) -> ProviderType:
    named = fields.get("type", default)
    if named not in list(ProviderType):
        code = "not_served_yet" if named in LATER_TYPES else "not_a_choice"
        raise Invalid([problem("type", code, named, "one of " + ", ".join(ProviderType))])
    return ProviderType(str(named))


def _without_type(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if name != "type"}

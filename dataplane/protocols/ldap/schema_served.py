"""The schema of one provider: everything known, and what its mappings add.

Two providers with the same mappings share one schema, so that what is built from types can be shared too.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache, lru_cache

from dataplane.config import AttributeMapping, ConfigRefused, LdapProvider
from dataplane.protocols.ldap.classes import (
    CLASS_BY_NAME,
    CLASSES,
    GROUP_CLASSES,
    GROUP_MARKER,
    USER_CLASSES,
    USER_MARKER,
)
from dataplane.protocols.ldap.schema import AttributeType, Schema
from dataplane.protocols.ldap.schema_rules import RULES
from dataplane.protocols.ldap.schema_types import BUILT_IN_TYPES, TYPE_BY_NAME, TYPES, generated_type

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")

# What an entry says of itself whatever the mappings: the rest of what isn't operational may be mapped.
_OWN = frozenset(
    TYPE_BY_NAME[name]
    for name in (
        "objectclass", "cn", "uid", "samaccountname", "memberof", "member", "uniquemember", "memberuid", "uidnumber",
        "gidnumber", "ak-active", "ak-superuser",
    )
)  # fmt: skip
_OWN_OF_USERS = _OWN | {TYPE_BY_NAME["name"], TYPE_BY_NAME["mail"]}


def schema_of(provider: LdapProvider) -> Schema:
    """Return the provider's schema. Raises ConfigRefused where a mapping's attribute can't be one."""
    return _schema(
        _names(provider, provider.user_attributes, _OWN_OF_USERS), _names(provider, provider.group_attributes, _OWN)
    )


def common_schema() -> Schema:
    """Return the schema of a provider without mappings."""
    return _schema((), ())


@cache
def _mapped_type(name: str) -> AttributeType:
    """Return the type under which a mapping shows an attribute: the one known by that name, or one made for it."""
    return TYPE_BY_NAME.get(name.lower()) or generated_type(name)


def _names(
    provider: LdapProvider, mappings: Iterable[AttributeMapping], own: frozenset[AttributeType]
) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(mapping.attribute for mapping in mappings))
    for name in names:
        where = f"LDAP provider {provider.name!r}, mapping to {name!r}"
        if _NAME.fullmatch(name) is None:
            raise ConfigRefused(f"{where}: expected a name of at most 100 letters, digits and hyphens, a letter first")
        if _mapped_type(name) in own or _mapped_type(name).operational:
            raise ConfigRefused(f"{where}: expected another name, since this one always says what Garrison knows")
    return names


@lru_cache(maxsize=64)
def _schema(user_names: tuple[str, ...], group_names: tuple[str, ...]) -> Schema:
    users = [_mapped_type(name) for name in user_names]
    groups = [_mapped_type(name) for name in group_names]
    markers = {
        USER_MARKER: _beyond(users, USER_CLASSES),
        GROUP_MARKER: _beyond(groups, GROUP_CLASSES),
    }
    classes = [replace(each, may=(*each.may, *markers.get(each.name, ()))) for each in CLASSES]
    return Schema(
        types=_distinct((*TYPES, *users, *groups)),
        held=_distinct((*BUILT_IN_TYPES, *users, *groups)),
        rules=RULES,
        classes=classes,
    )


def _distinct(types: Iterable[AttributeType]) -> Iterable[AttributeType]:
    """Each name once, as it is spelled first: two mappings may spell one differently."""
    found: dict[str, AttributeType] = {}
    for each in types:
        found.setdefault(each.key, each)
    return found.values()


def _beyond(types: Iterable[AttributeType], classes: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the types that none of the classes allows."""
    allowed = {
        TYPE_BY_NAME[name.lower()].key
        for each in classes
        for name in (*CLASS_BY_NAME[each.lower()].must, *CLASS_BY_NAME[each.lower()].may)
    }
    return tuple(dict.fromkeys(each.name for each in types if each.key not in allowed))

"""LDAP providers, users and groups as the data plane gets them, with everything filled in that a test leaves out."""

import json
from collections.abc import Mapping
from uuid import NAMESPACE_OID, uuid5

from dataplane.config import AttributeMapping, BindMode, DirectoryGroup, DirectoryUser, LdapProvider

USER_MAPPINGS = {name: name for name in ("givenName", "sn", "gecos", "homeDirectory", "loginShell", "sshPublicKey")}


def ldap_provider(
    *,
    users: Mapping[str, str] = USER_MAPPINGS,
    groups: Mapping[str, str] | None = None,
    base_dn: str = "DC=ldap,DC=goauthentik,DC=io",
) -> LdapProvider:
    """A provider that maps attributes to sources as said."""
    return LdapProvider(
        id="provider-1",
        name="Directory",
        application_slug="directory",
        application_name="Directory",
        base_dn=base_dn,
        bind_mode=BindMode.DIRECT,
        mfa_support=True,
        search_group="",
        uid_start_number=2000,
        gid_start_number=4000,
        certificate="",
        tls_server_name="",
        user_attributes=_mappings(users),
        group_attributes=_mappings(groups or {}),
    )


def directory_user(
    username: str = "jdoe", *, name: str = "Jane Doe", email: str = "jdoe@example.com", **attributes: object
) -> DirectoryUser:
    """A user of that name with those attributes."""
    return DirectoryUser(
        id=str(uuid5(NAMESPACE_OID, username)),
        username=username,
        name=name,
        email=email,
        active=True,
        groups=(),
        attributes=json.dumps(attributes),
        number=7,
        created=1_577_836_800.0,
        updated=1_609_459_200.5,
        password_changed=1_600_000_000.0,
    )


def directory_group(name: str = "staff", **attributes: object) -> DirectoryGroup:
    """A group of that name with those attributes."""
    return DirectoryGroup(
        id=str(uuid5(NAMESPACE_OID, f"group {name}")),
        name=name,
        superuser=False,
        parents=(),
        attributes=json.dumps(attributes),
        number=1_000_001,
        created=1_577_836_800.0,
        updated=1_609_459_200.5,
    )


def _mappings(sources: Mapping[str, str]) -> tuple[AttributeMapping, ...]:
    return tuple(AttributeMapping(attribute=attribute, source=source) for attribute, source in sources.items())

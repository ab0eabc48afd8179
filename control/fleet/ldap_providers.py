"""Creating and changing LDAP providers: what a form or a blueprint says, checked as a whole, then stored.

What a proxy provider sends as a password is never shown, whatever the attribute is called.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

from control.domain.application import LdapProvider
from control.domain.names import Dn, NotADn, parse_dn
from control.domain.origins import NotAnOrigin, is_address, normal_host
from control.fleet.attribute_mappings import read_mappings, shows
from control.fleet.fields import Fields, Reader
from control.store import Unit
from control.store.numbers import FIRST, GROUPS, USERS

FIELDS = (
    "name",
    "base_dn",
    "bind_mode",
    "search_mode",
    "mfa_support",
    "search_group",
    "uid_start_number",
    "gid_start_number",
    "certificate",
    "tls_server_name",
    "user_attributes",
    "group_attributes",
    "size_limit",
    "time_limit",
)
LONGEST_BASE_DN = 500
# Outposts read names of twice as many.
MOST_RDNS = 32
MOST_NUMBER = 2**31 - 1
LONGEST_TIME = timedelta(hours=1)
# Where an outpost has its schema.
_SUBSCHEMA = (frozenset({("cn", "subschema")}),)
# Where an outpost has users and groups below the base DN.
_UNITS = frozenset(frozenset({("ou", unit)}) for unit in ("users", "groups", "virtual-groups"))


def create_ldap_provider(unit: Unit, fields: Fields) -> LdapProvider:
    """Make a provider from its fields. Raises Invalid with every problem."""
    return unit.ldap_providers.add(_checked(unit, LdapProvider(id=uuid4(), name=""), fields))


def update_ldap_provider(unit: Unit, provider: LdapProvider, fields: Fields) -> LdapProvider:
    """Change the fields that are named. Raises Invalid with every problem."""
    return unit.ldap_providers.update(_checked(unit, provider, fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """The gids that both a group and a user's own group have, from the first to the last."""

    first: int
    last: int


def find_overlap(uid_start: int, gid_start: int, last_user: int, last_group: int) -> Overlap | None:
    """Where the gids of users' own groups, which are their uidNumbers, meet those of groups; None where they don't.

    `last_user` and `last_group` are the highest numbers that were given (`Unit.numbers`).
    """
    first = max(uid_start + FIRST[USERS], gid_start + FIRST[GROUPS])
    last = min(uid_start + last_user, gid_start + last_group)
    return Overlap(first=first, last=last) if first <= last else None


def _checked(unit: Unit, current: LdapProvider, fields: Fields) -> LdapProvider:
    reader = Reader(fields, FIELDS)
    provider = _read(unit, reader, current)
    reader.expect_free("name", unit.providers.find_named(provider.name), provider.id)
    _check_base_dn(unit, reader, provider)
    _check_certificate(unit, reader, provider)
    provider = replace(provider, tls_server_name=_server_name(unit, reader, provider))
    _check_sources(unit, reader, provider)
    reader.check()
    return provider


def _read(unit: Unit, reader: Reader, current: LdapProvider) -> LdapProvider:
    return replace(
        current,
        name=reader.object_name(current.name, 150),
        base_dn=reader.text("base_dn", current.base_dn, LONGEST_BASE_DN, required=True),
        bind_mode=reader.word("bind_mode", current.bind_mode),
        search_mode=reader.word("search_mode", current.search_mode),
        mfa_support=reader.flag("mfa_support", current.mfa_support),
        search_group=reader.reference("search_group", current.search_group, unit.groups),
        uid_start_number=reader.whole("uid_start_number", current.uid_start_number, 0, MOST_NUMBER),
        gid_start_number=reader.whole("gid_start_number", current.gid_start_number, 0, MOST_NUMBER),
        certificate=reader.reference("certificate", current.certificate, unit.certificates),
        tls_server_name=reader.text("tls_server_name", current.tls_server_name, 255),
        user_attributes=read_mappings(reader, "user_attributes", current.user_attributes),
        group_attributes=read_mappings(reader, "group_attributes", current.group_attributes),
        size_limit=reader.whole("size_limit", current.size_limit, 0, MOST_NUMBER),
        time_limit=reader.duration("time_limit", current.time_limit, LONGEST_TIME),
    )


def _check_base_dn(unit: Unit, reader: Reader, provider: LdapProvider) -> None:
    """Of its own: whoever binds below it is looked for by this provider.

    One below another's is no matter, but where that one's entries are: theirs could not be reached any more.
    """
    if not provider.base_dn:
        return
    try:
        base = parse_dn(provider.base_dn)
    except NotADn as error:
        reader.refuse("base_dn", "not_a_dn", provider.base_dn, f"a name like DC=ldap,DC=example,DC=com ({error})")
        return
    # It stands in files of configuration, and in LDAP it can be written with escapes.
    if not provider.base_dn.isprintable():
        expected = "printable characters, others as a backslash and two hexadecimal digits"
        reader.refuse("base_dn", "not_a_dn", provider.base_dn, expected)
    if "=#" in provider.base_dn.replace(" ", "") or base[-1:] == _SUBSCHEMA:
        expected = "a name whose parts are text, and other than that of the schema (cn=subschema)"
        reader.refuse("base_dn", "not_a_dn", provider.base_dn, expected)
    if len(base) > MOST_RDNS:
        reader.refuse("base_dn", "too_long", f"{len(base)} parts", f"at most {MOST_RDNS} parts")
    for other in unit.ldap_providers.all():
        theirs = _find_base(other) if other.id != provider.id else None
        if theirs is None:
            continue
        if theirs == base:
            reader.refuse("base_dn", "already_taken", provider.base_dn, f"a base DN that {other.name!r} has not")
        elif _is_among_entries(base, theirs) or _is_among_entries(theirs, base):
            expected = f"one apart from the users and groups of {other.name!r} (base DN {other.base_dn})"
            reader.refuse("base_dn", "among_entries", provider.base_dn, expected)


def _find_base(provider: LdapProvider) -> Dn | None:
    try:
        return parse_dn(provider.base_dn)
    except NotADn:
        return None


def _is_among_entries(name: Dn, base: Dn) -> bool:
    """Whether the name is one of the units below a base, or lies within it."""
    above = len(name) - len(base)
    return above > 0 and name[above:] == base and name[above - 1] in _UNITS


def _check_certificate(unit: Unit, reader: Reader, provider: LdapProvider) -> None:
    certificate = unit.certificates.find(provider.certificate) if provider.certificate else None
    if certificate is not None and certificate.private_key is None:
        reader.refuse("certificate", "no_private_key", certificate.name, "a certificate with its private key")


def _server_name(unit: Unit, reader: Reader, provider: LdapProvider) -> str:
    """The name by which clients ask for the certificate (RFC 6066 section 3): a host's, never an address."""
    if not provider.tls_server_name:
        return ""
    try:
        name = normal_host(provider.tls_server_name)
    except NotAnOrigin as error:
        reader.refuse("tls_server_name", str(error), provider.tls_server_name, "a host name like ldap.example.com")
        return provider.tls_server_name
    if is_address(name):
        reader.refuse("tls_server_name", "an_address", name, "a host name: clients name no address")
    for other in unit.ldap_providers.all():
        is_other = other.id != provider.id and other.certificate != provider.certificate
        if is_other and other.tls_server_name == name:
            reader.refuse("tls_server_name", "already_taken", name, f"the certificate that {other.name!r} has for it")
    return name


def _check_sources(unit: Unit, reader: Reader, provider: LdapProvider) -> None:
    """What a proxy provider sends as a password stays between control and that application."""
    passwords = {each.basic_auth_password_attribute: each.name for each in unit.proxy_providers.all()}
    passwords.pop("", None)
    for name in ("user_attributes", "group_attributes"):
        for each in getattr(provider, name):
            holder = next((of for attribute, of in passwords.items() if shows(each, attribute)), None)
            if holder is not None:
                reader.refuse(name, "secret", each.source, f"no attribute that is a password (for provider {holder!r})")

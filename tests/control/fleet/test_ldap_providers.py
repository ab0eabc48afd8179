"""LDAP providers from fields: every problem is found, and what may never be shown is refused."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from control.domain.application import USER_ATTRIBUTES, AttributeMapping, BindMode, LdapProvider, SearchMode
from control.domain.errors import InUse, Invalid
from control.fleet.attribute_mappings import mapping_lines
from control.fleet.certificates import create_certificate
from control.fleet.ldap_providers import Overlap, create_ldap_provider, find_overlap, update_ldap_provider
from control.fleet.providers import create_provider, remove_provider, update_provider
from control.store import Store
from tests.support import builders
from tests.support.peers_tls import self_signed
from tests.support.stores import ADMIN

URL = "https://control.example.com"


@pytest.fixture
def web(tmp_path: Path) -> dict[str, str]:
    """The fields of a certificate with its key."""
    certificate, key = self_signed(tmp_path, "ldap.example.com")
    return {"name": "web", "certificate": certificate.read_text(), "key": key.read_text()}


def problems(store: Store, **fields: Any) -> dict[str, str]:
    """The code of each problem by field."""
    with store.write(ADMIN) as unit, pytest.raises(Invalid) as caught:
        create_ldap_provider(unit, {"name": "x", "base_dn": "dc=x", **fields})
    return {each.field: each.code for each in caught.value.problems}


def made(store: Store, **fields: Any) -> LdapProvider:
    with store.write(ADMIN) as unit:
        return create_ldap_provider(unit, {"name": "dir", **fields})


def test_a_name_is_all_it_takes(store: Store) -> None:
    provider = made(store)
    assert (provider.base_dn, provider.bind_mode, provider.search_mode) == (
        "DC=ldap,DC=goauthentik,DC=io",
        BindMode.CACHED,
        SearchMode.CACHED,
    )
    assert (provider.mfa_support, provider.uid_start_number, provider.gid_start_number) == (True, 2000, 4000)
    assert (provider.user_attributes, provider.group_attributes) == (USER_ATTRIBUTES, ())
    with store.read() as unit:
        assert unit.providers.get(provider.id) == provider


def test_every_field_is_taken(store: Store, web: dict[str, str]) -> None:
    with store.write(ADMIN) as unit:
        staff = unit.groups.add(builders.group("staff"))
        certificate = create_certificate(unit, web)
    provider = made(
        store,
        base_dn=" O=Acme,C=DE ",
        bind_mode="direct",
        search_mode="direct",
        mfa_support=False,
        search_group="staff",
        uid_start_number="0",
        gid_start_number=2**31 - 1,
        certificate="web",
        tls_server_name="LDAP.example.com",
        user_attributes="loginShell\n\n telephoneNumber = phone.home \n",
        group_attributes=["x = a", {"attribute": "y", "source": "b"}, {"attribute": "z"}],
        size_limit=500,
        time_limit="seconds=5",
    )
    assert (provider.base_dn, provider.bind_mode, provider.search_mode) == ("O=Acme,C=DE", "direct", "direct")
    assert (provider.search_group, provider.certificate, provider.tls_server_name) == (
        staff.id,
        certificate.id,
        "ldap.example.com",
    )
    assert (provider.uid_start_number, provider.gid_start_number, provider.size_limit) == (0, 2**31 - 1, 500)
    assert provider.time_limit == timedelta(seconds=5)
    assert mapping_lines(provider.user_attributes) == "loginShell\ntelephoneNumber = phone.home"
    assert mapping_lines(provider.group_attributes) == "x = a\ny = b\nz"


def test_fields_that_are_not_named_stay(store: Store) -> None:
    provider = made(store, user_attributes=["a"], size_limit=5)
    with store.write(ADMIN) as unit:
        changed = update_ldap_provider(unit, provider, {"mfa_support": False})
        assert (changed.user_attributes, changed.size_limit, changed.mfa_support) == (
            (AttributeMapping(attribute="a", source="a"),),
            5,
            False,
        )
        assert update_ldap_provider(unit, changed, {"user_attributes": None}).user_attributes == ()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("name", "", "missing"),
        ("base_dn", "", "missing"),
        ("base_dn", "example.com", "not_a_dn"),
        ("base_dn", ",".join(["dc=a"] * 33), "too_long"),
        ("base_dn", "dc=evil\nldap_tls_reqcert = never", "not_a_dn"),
        ("base_dn", "dc=a\u2028b", "not_a_dn"),
        ("base_dn", "CN=Subschema", "not_a_dn"),
        ("base_dn", "dc=x,cn=subschema", "not_a_dn"),
        ("base_dn", "dc=#0401ff", "not_a_dn"),
        ("base_dn", "dc=a, dc=b", "not_a_dn"),
        ("base_dn", "dc=" + "a" * 500, "too_long"),
        ("bind_mode", "sometimes", "not_a_choice"),
        ("search_mode", "", "not_a_choice"),
        ("mfa_support", "yes", "not_a_boolean"),
        ("search_group", "nobody", "not_found"),
        ("uid_start_number", -1, "not_a_number"),
        ("gid_start_number", 2**31, "not_a_number"),
        ("certificate", "none", "not_found"),
        ("tls_server_name", "192.0.2.1", "an_address"),
        ("tls_server_name", "a b", "not_a_host"),
        ("size_limit", -1, "not_a_number"),
        ("time_limit", "", "missing"),
        ("time_limit", "seconds=0", "not_in_range"),
        ("time_limit", "hours=2", "not_in_range"),
        ("time_limit", "5", "not_a_duration"),
        ("user_attributes", 7, "not_a_list"),
        ("user_attributes", {"a": "b"}, "not_a_list"),
        ("group_attributes", ["a"] * 101, "too_many"),
        ("client_id", "x", "unknown_field"),
    ],
)
def test_what_is_wrong_is_told(store: Store, field: str, value: object, code: str) -> None:
    assert problems(store, **{field: value})[field] == code


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("userPassword", "secret"),
        ("USERPASSWORD = x", "secret"),
        ("sambaNTPassword = nt", "secret"),
        ("description = sambaNTPassword", "secret"),
        ("description = userPassword", "secret"),
        ("description = UNICODEPWD", "secret"),
        ("description = password", "secret"),
        ("description = imported.userPassword", "secret"),
        ("description = userPassword.hash", "secret"),
        ({"attribute": "description", "source": "old. userPassword .x"}, "secret"),
        ("cn", "not_mappable"),
        ("uid = username", "not_mappable"),
        ("memberOf", "not_mappable"),
        ("objectClass", "not_mappable"),
        ("entryUUID", "not_mappable"),
        ("uidNumber", "not_mappable"),
        ("mail = email", "not_mappable"),
        ("a_b", "not_an_attribute"),
        ("2.5.4.3", "not_an_attribute"),
        ("= x", "not_an_attribute"),
        ("cn;lang-de = x", "not_an_attribute"),
        ("x" * 101 + " = y", "not_an_attribute"),
        ("x =", "not_a_source"),
        ("x = a..b", "not_a_source"),
        ("x = a\x7fb", "not_a_source"),
        (7, "not_a_mapping"),
        ({"source": "x"}, "not_a_mapping"),
        ({"attribute": "x", "source": 7}, "not_a_mapping"),
        ({"attribute": "x", "source": "y", "more": "z"}, "not_a_mapping"),
    ],
)
def test_what_may_not_be_shown(store: Store, line: object, code: str) -> None:
    assert problems(store, user_attributes=["gecos", line])["user_attributes[1]"] == code
    if line != "mail = email":
        assert problems(store, group_attributes=[line])["group_attributes[0]"] == code


@pytest.mark.parametrize("name", ["givenName", "sn", "displayName", "homeDirectory", "loginShell", "gecos"])
def test_what_entries_say_may_be_said_otherwise(store: Store, name: str) -> None:
    assert made(store, user_attributes=[f"{name} = x"]).user_attributes[0].attribute == name


def test_groups_may_have_what_only_users_have_by_themselves(store: Store) -> None:
    shown = made(store, group_attributes="mail\nname = title").group_attributes
    assert [each.attribute for each in shown] == ["mail", "name"]


def test_an_attribute_is_mapped_once(store: Store) -> None:
    assert problems(store, user_attributes=["gecos", "Gecos = x"]) == {"user_attributes": "said_twice"}


def test_a_base_dn_is_one_providers_however_it_is_written(store: Store) -> None:
    made(store, base_dn="DC=Example,DC=com")
    assert problems(store, base_dn="dc=example,domainComponent=COM") == {"base_dn": "already_taken"}
    # Who binds is looked for by the longest.
    made(store, name="below", base_dn="ou=x,dc=example,dc=com")


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("dc=a", "ou=users,dc=a", "among_entries"),
        ("dc=a", "OU=Groups,DC=A", "among_entries"),
        ("dc=a", "cn=x,organizationalUnitName=virtual-groups,dc=a", "among_entries"),
        ("ou=users,dc=a", "dc=a", "among_entries"),
        ("cn=x,ou=y,ou=users,dc=a", "dc=a", "among_entries"),
        ("dc=a", "ou=people,dc=a", ""),
        ("dc=a", "ou=users,ou=people,dc=a", ""),
        ("dc=a", "ou=users,dc=b", ""),
        ("dc=a", "ou=users", ""),
        ("ou=people,dc=a", "dc=a", ""),
    ],
)
def test_no_base_dn_lies_where_another_has_its_entries(store: Store, first: str, second: str, code: str) -> None:
    """Binds go to the longest base DN: nobody of the other one could bind any more."""
    made(store, base_dn=first)
    if code:
        assert problems(store, base_dn=second) == {"base_dn": code}
    else:
        assert made(store, name="second", base_dn=second).base_dn == second


def test_names_are_one_providers_of_any_type(store: Store) -> None:
    with store.write(ADMIN) as unit:
        unit.providers.add(builders.provider("wiki"))
    assert problems(store, name="wiki") == {"name": "already_taken"}


def test_a_certificate_needs_its_key(store: Store, web: dict[str, str]) -> None:
    with store.write(ADMIN) as unit:
        create_certificate(unit, {"name": "ca", "certificate": web["certificate"]})
    assert problems(store, certificate="ca") == {"certificate": "no_private_key"}


def test_a_server_name_leads_to_one_certificate(store: Store, web: dict[str, str]) -> None:
    with store.write(ADMIN) as unit:
        create_certificate(unit, web)
    made(store, tls_server_name="ldap.example.com", certificate="web")
    assert problems(store, tls_server_name="LDAP.example.com") == {"tls_server_name": "already_taken"}
    made(store, name="b", base_dn="dc=b", tls_server_name="ldap.example.com", certificate="web")


def test_what_applications_are_sent_as_passwords_is_never_shown(store: Store) -> None:
    proxy = {"name": "wiki", "type": "proxy", "external_host": "https://wiki.example.com"}
    secret = {"basic_auth_enabled": True, "basic_auth_password_attribute": "wiki"}
    with store.write(ADMIN) as unit:
        create_provider(unit, {**proxy, **secret}, URL)
    assert problems(store, user_attributes=["x = wiki"]) == {"user_attributes": "secret"}
    assert problems(store, user_attributes=["x = wiki.old"]) == {"user_attributes": "secret"}
    made(store, user_attributes=["x = wikis", "y = other.part"])
    for attribute in ("wikis", "other"):
        with store.write(ADMIN) as unit, pytest.raises(Invalid) as caught:
            update_provider(unit, unit.providers.get_named("wiki"), {"basic_auth_password_attribute": attribute}, URL)
        assert [each.code for each in caught.value.problems] == ["shown"]


def test_providers_of_any_type_are_made_changed_and_removed(store: Store) -> None:
    with store.write(ADMIN) as unit:
        directory = create_provider(unit, {"name": "dir", "type": "ldap", "base_dn": "dc=a"}, URL)
        wiki = create_provider(unit, {"name": "wiki", "external_host": "https://wiki.example.com"}, URL)
        assert (directory.type, wiki.type) == ("ldap", "proxy")
        changed = update_provider(unit, directory, {"type": "ldap", "size_limit": 7}, URL)
        assert isinstance(changed, LdapProvider)
        assert changed.size_limit == 7
        for kind, code in (("proxy", "not_changeable"), ("rac", "not_served_yet"), (7, "not_a_choice")):
            with pytest.raises(Invalid) as caught:
                update_provider(unit, directory, {"type": kind}, URL)
            assert [each.code for each in caught.value.problems] == [code]
        unit.applications.add(builders.application("dir", provider=directory.id))
        with pytest.raises(InUse):
            remove_provider(unit, changed)
        remove_provider(unit, wiki)
        assert unit.providers.all() == [changed]


@pytest.mark.parametrize(
    ("uid_start", "gid_start", "last_user", "last_group", "overlap"),
    [
        (2000, 4000, 100_000, 1_005_000, None),
        (2000, 4000, 0, 999_999, None),
        (1_004_000, 4000, 5, 1_000_009, Overlap(first=1_004_001, last=1_004_005)),
        (1_004_008, 4000, 5, 1_000_009, Overlap(first=1_004_009, last=1_004_009)),
        (1_004_009, 4000, 5, 1_000_009, None),
        (2000, 4000, 1_002_005, 1_000_003, Overlap(first=1_004_000, last=1_004_003)),
    ],
)
def test_where_numbers_meet(
    uid_start: int, gid_start: int, last_user: int, last_group: int, overlap: Overlap | None
) -> None:
    assert find_overlap(uid_start, gid_start, last_user, last_group) == overlap

"""The schema: types are found by every name, rules agree with one another, and garbage has no key."""

import re
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.config import ConfigRefused
from dataplane.protocols.ldap import schema_rules as rules
from dataplane.protocols.ldap.classes import CLASSES
from dataplane.protocols.ldap.prepare import Place
from dataplane.protocols.ldap.schema import AttributeType, Rule, RuleKind
from dataplane.protocols.ldap.schema_served import schema_of
from dataplane.protocols.ldap.schema_types import TYPES
from tests.support.ldap_people import ldap_provider

SCHEMA = schema_of(ldap_provider(users={"telephoneNumber": "phone", "fooBar": "foo"}))
_NUMERIC_OID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")


@pytest.mark.parametrize(
    ("description", "name"),
    [
        ("cn", "cn"), ("CN", "cn"), ("commonName", "cn"), ("2.5.4.3", "cn"), ("userid", "uid"), ("USERID", "uid"),
        ("rfc822mailbox", "mail"), ("samaccountname", "sAMAccountName"), ("1.2.840.113556.1.4.1", "name"),
        ("GN", "givenName"), ("foobar", "fooBar"), ("FOOBAR", "fooBar"), ("telephonenumber", "telephoneNumber"),
        ("userAccountControl", "userAccountControl"), ("objectclass", "objectClass"), ("ak-ACTIVE", "ak-active"),
    ],
)  # fmt: skip
def test_a_type_is_found_by_any_of_its_names(description: str, name: str) -> None:
    found = SCHEMA.find(description)
    assert found is not None
    assert found.name == name
    assert SCHEMA.find(description) is found


@pytest.mark.parametrize(
    "description", ["", "dn", "x", "cn;lang-de", "cn;binary", " cn", "cn ", "2.5.4.999", "ｃｎ", "*"]
)
def test_what_is_no_type_is_not_found(description: str) -> None:
    assert SCHEMA.find(description) is None


def test_descriptions_without_end_are_not_remembered_without_end() -> None:
    schema = schema_of(ldap_provider(users={"a" * 20: "x"}))
    for number in range(10_000):
        spelling = "".join("aA"[number >> bit & 1] for bit in range(20))
        assert schema.find(spelling) is not None
    assert len(schema._found) <= 4096


def test_providers_with_the_same_mappings_share_a_schema() -> None:
    one, other = ldap_provider(users={"fooBar": "a"}), ldap_provider(users={"fooBar": "b"}, base_dn="dc=other")
    assert schema_of(one) is schema_of(other)
    assert schema_of(ldap_provider(users={"fooBaz": "a"})).find("foobar") is None


def test_a_generated_type_has_an_oid_of_its_name() -> None:
    oids = {schema_of(ldap_provider(users={name: "x"})).get("foobar").oid for name in ("fooBar", "FOOBAR")}
    assert len(oids) == 1
    assert oids.pop().startswith("2.25.")


def test_two_spellings_of_one_mapping_are_one_type() -> None:
    schema = schema_of(ldap_provider(users={"fooBar": "a", "foobar": "b"}, groups={"FOOBAR": "c"}))
    assert [each.name for each in schema.types if each.key == "foobar"] == ["fooBar"]


REFUSED = ["", "foo bar", "foo.bar", "1foo", "foo;x", "ö", "-a", "a" * 101, "foo/bar", "a_b"]
OWN = ["cn", "CommonName", "uid", "memberOf", "uidNumber", "entryUUID", "objectClass", "ak-superuser", "namingContexts"]


@pytest.mark.parametrize("name", REFUSED + OWN)
def test_a_mapping_that_cannot_be_is_refused_by_name(name: str) -> None:
    for provider in (ldap_provider(users={name: "x"}), ldap_provider(groups={name: "x"})):
        with pytest.raises(ConfigRefused, match=re.escape(f"LDAP provider 'Directory', mapping to {name!r}: expected")):
            schema_of(provider)


def test_groups_may_have_mail() -> None:
    assert schema_of(ldap_provider(groups={"mail": "mail", "displayName": "title"}))
    with pytest.raises(ConfigRefused, match="'mail'"):
        schema_of(ldap_provider(users={"mail": "mail"}))


def test_names_and_oids_are_given_once() -> None:
    oids = sorted([*(each.oid for each in TYPES), *(each.oid for each in CLASSES), *(each.oid for each in rules.RULES)])
    assert [oid for oid, same in groupby(oids) if len(list(same)) > 1] == []
    names = sorted([name.lower() for each in TYPES for name in each.names] + [each.name.lower() for each in CLASSES])
    assert [name for name, same in groupby(names) if len(list(same)) > 1] == []
    assert all(_NUMERIC_OID.fullmatch(oid) for oid in oids)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_the_rules_of_a_type_are_for_its_syntax_and_agree(kind: AttributeType) -> None:
    for rule, expected in (
        (kind.equality, RuleKind.EQUALITY),
        (kind.ordering, RuleKind.ORDERING),
        (kind.substrings, RuleKind.SUBSTRINGS),
    ):
        if rule is not None:
            assert kind.equality is not None
            assert rule.kind is expected
            assert kind.syntax.oid in rule.syntaxes
            assert rule.normalise is kind.equality.normalise
            assert rule in rules.RULES


EQUAL = [
    (rules.CASE_IGNORE, b"Foo  Bar", b" foo bar"),
    (rules.CASE_EXACT, b"Foo  Bar", b" Foo Bar"),
    (rules.CASE_IGNORE_IA5, b"ME@example.com", b"me@Example.com"),
    (rules.NUMERIC, b"15 079", b"1 5079"),
    (rules.TELEPHONE, b"+1-512 315", b"+1 512-315"),
    (rules.LIST, b"Street 1$City", b"street  1 $ CITY"),
    (rules.TIME, b"199412161032Z", b"199412160532-0500"),
    (rules.NAME, b"CN=Foo, OU=Bar", b"commonName=foo,2.5.4.11=bar"),
    (rules.NAME, b"cn=a\\2Cb", b"CN=A\\,B"),
    (rules.NAME_AND_UID, b"cn=foo", b"CN=Foo#'0101'B"),
    (rules.OID, b"cn", b"2.5.4.3"),
    (rules.OID, b"POSIXaccount", b"1.3.6.1.1.1.2.0"),
    (rules.OID, b"goauthentik.io/ldap/user", b"GOAUTHENTIK.IO/LDAP/USER"),
    (rules.FIRST_COMPONENT, b"( 2.5.4.3 NAME 'cn' )", b"commonName"),
    (rules.BOOLEAN, b"true", b"TRUE"),
    (rules.UUID, b"597ae2f6-16a6-1027-98f4-d28b5365dc14", b"597AE2F6-16A6-1027-98F4-D28B5365DC14"),
    (rules.OCTETS, b"\0\xff", b"\0\xff"),
]
DIFFERENT = [
    (rules.CASE_IGNORE, b"foobar", b"foo bar"),
    (rules.CASE_EXACT, b"foo", b"Foo"),
    (rules.NUMERIC, b"12", b"21"),
    (rules.NAME, b"cn=foo,ou=bar", b"cn=foo"),
    (rules.NAME, b"cn=a,ou=b", b"cn=a\\,ou\\=b"),
    (rules.OID, b"person", b"inetOrgPerson"),
    (rules.OCTETS, b"a", b"A"),
    (rules.LIST, b"a$b", b"a b"),
    (rules.INTEGER, b"1", b"-1"),
]
NO_KEY = [
    (rules.CASE_IGNORE_IA5, "ö".encode()),
    (rules.OID, b"noSuchClass"),
    (rules.OID, b"1.2."),
    (rules.NAME, b"foo"),
    (rules.NAME, b"cn=\xff"),
    (rules.INTEGER, b"1 "),
    (rules.TELEPHONE, "٣".encode()),
    (rules.LIST, b"a$$b"),
    (rules.UUID, b"x"),
]


@pytest.mark.parametrize(("rule", "one", "other"), EQUAL)
def test_values_that_are_equal(rule: Rule, one: bytes, other: bytes) -> None:
    assert rule.normalise(one) is not None
    assert rule.normalise(one) == rule.normalise(other)


@pytest.mark.parametrize(("rule", "one", "other"), DIFFERENT)
def test_values_that_are_not(rule: Rule, one: bytes, other: bytes) -> None:
    assert rule.normalise(one) is not None
    assert rule.normalise(other) is not None
    assert rule.normalise(one) != rule.normalise(other)


@pytest.mark.parametrize(("rule", "value"), NO_KEY)
def test_what_is_not_of_the_syntax_has_no_key(rule: Rule, value: bytes) -> None:
    assert rule.normalise(value) is None


@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_no_rule_raises(value: bytes) -> None:
    for rule in rules.RULES:
        assert isinstance(rule.normalise(value), bytes | int | None)
        if rule.piece is not None:
            for place in Place:
                assert isinstance(rule.piece(value, place), bytes | None)


@given(st.binary(max_size=30))
def test_the_key_of_a_key_of_text_is_itself(value: bytes) -> None:
    for rule in (rules.CASE_IGNORE, rules.CASE_EXACT, rules.TELEPHONE, rules.NUMERIC, rules.CASE_IGNORE_IA5):
        key = rule.normalise(value)
        assert not key or not isinstance(key, bytes) or rule.normalise(key) == key

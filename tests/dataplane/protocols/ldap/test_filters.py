"""Filters resolved against a schema and evaluated over one entry: RFC 4511 section 4.5.1.7, case by case."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.ldap.filters import NOTHING, Equal, Undefined
from dataplane.protocols.ldap.filters_match import matches
from dataplane.protocols.ldap.filters_resolve import resolve, resolve_assertion
from dataplane.protocols.ldap.messages import (
    And,
    Approximate,
    Equality,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    ResultCode,
    Substrings,
    Unknown,
)
from dataplane.protocols.ldap.schema import AttributeType
from dataplane.protocols.ldap.schema_served import schema_of
from tests.support.ldap_people import ldap_provider

SCHEMA = schema_of(
    ldap_provider(users={"telephoneNumber": "phone", "x121Address": "x", "jpegPhoto": "photo", "postalAddress": "a"})
)

IN_CHAIN = "1.2.840.113556.1.4.1941"
ALL_BITS = "1.2.840.113556.1.4.803"
ANY_BIT = "1.2.840.113556.1.4.804"


@dataclass
class Entry:
    """An entry of a test; `above` are the keys that following memberOf leads to."""

    held: dict[str, list[str]]
    name: list[tuple[str, str]] = field(default_factory=list)
    above: frozenset[str] = frozenset()

    def values(self, kind: AttributeType, /) -> Sequence[bytes]:
        return [value.encode() for value in self.held.get(kind.name, ())]

    def name_values(self) -> Iterable[tuple[AttributeType, bytes]]:
        return [(SCHEMA.get(name), value.encode()) for name, value in self.name]

    def reaches(self, kind: AttributeType, key: bytes, /) -> bool:
        return kind.name == "memberOf" and key.decode() in self.above


JANE = Entry(
    held={
        "objectClass": ["top", "person", "inetOrgPerson", "posixAccount", "goauthentik.io/ldap/user"],
        "cn": ["jdoe", "Jane  Doe"],
        "sn": ["Doe"],
        "uid": ["jdoe"],
        "mail": ["JDoe@Example.com"],
        "uidNumber": ["2007"],
        "ak-active": ["TRUE"],
        "telephoneNumber": ["+49 30 1234-56"],
        "x121Address": ["15 079 672"],
        "postalAddress": ["Main  Street 1$Price \\24 5$Berlin"],
        "homeDirectory": ["/home/jdoe"],
        "memberOf": ["cn=Staff,ou=groups,dc=example"],
        "modifyTimestamp": ["20200601120000Z"],
        "userAccountControl": ["514"],
        "entryUUID": ["597ae2f6-16a6-1027-98f4-d28b5365dc14"],
    },
    name=[("cn", "jdoe"), ("ou", "users"), ("dc", "example")],
    above=frozenset({"cn=staff,ou=groups,dc=example", "cn=everyone,ou=groups,dc=example"}),
)


def eq(attribute: str, value: str) -> Equality:
    return Equality(attribute, value.encode())


def sub(attribute: str, text: str) -> Substrings:
    """Pieces parted by asterisks."""
    first, *between, last = (piece.encode() for piece in text.split("*"))
    return Substrings(attribute=attribute, initial=first or None, any=tuple(between), final=last or None)


def ext(attribute: str | None, rule: str | None, value: str, *, dn: bool = False) -> Extensible:
    return Extensible(attribute=attribute, rule=rule, value=value.encode(), dn_attributes=dn)


def ge(attribute: str, value: str) -> GreaterOrEqual:
    return GreaterOrEqual(attribute, value.encode())


def le(attribute: str, value: str) -> LessOrEqual:
    return LessOrEqual(attribute, value.encode())


TRUE: list[Filter] = [
    eq("uid", "JDOE"),
    eq("UID", " jdoe "),
    eq("0.9.2342.19200300.100.1.1", "jdoe"),
    eq("userid", "jdoe"),
    eq("cn", "jane doe"),
    eq("mail", "jdoe@example.COM"),
    eq("objectClass", "POSIXACCOUNT"),
    eq("objectClass", "1.3.6.1.1.1.2.0"),
    eq("objectclass", "goauthentik.io/ldap/user"),
    eq("ak-active", "true"),
    eq("telephoneNumber", "+4930123456"),
    eq("x121Address", "15079672"),
    eq("memberOf", "CN=staff, OU=Groups, dc=EXAMPLE"),
    eq("modifyTimestamp", "202006011400+0200"),
    eq("entryUUID", "597AE2F6-16A6-1027-98F4-D28B5365DC14"),
    Approximate("sn", b"doe"),
    Present("uid"),
    Present("objectClass"),
    Present("2.5.4.3"),
    ge("uidNumber", "2007"),
    ge("uidNumber", "-1"),
    ge("uidNumber", "300"),
    le("uidNumber", "2007"),
    le("uidNumber", "10000"),
    ge("modifyTimestamp", "20200601115959.9Z"),
    le("modifyTimestamp", "20200601120000.1Z"),
    sub("uid", "jd*"),
    sub("uid", "*OE"),
    sub("uid", "*d*o*"),
    sub("uid", "j*d*e"),
    sub("cn", "jane*doe"),
    sub("cn", "jane * doe"),
    sub("cn", "*jane doe*"),
    sub("cn", "*e d*"),
    sub("cn", "* doe"),
    # Every value begins and ends with a space, and has two between words: as the letter has it (RFC 4518 2.6.1).
    sub("uid", "jdoe *"),
    sub("cn", "jane*  *  *doe"),
    sub("mail", "*@example.com"),
    sub("telephoneNumber", "+49*-5*"),
    sub("x121Address", "1 5*72"),
    sub("homeDirectory", "/home/*"),
    sub("postalAddress", "main street*"),
    sub("postalAddress", "*Street 1*berlin"),
    sub("postalAddress", "*price $ 5*"),
    eq("postalAddress", "main street 1 $ PRICE \\24 5 $ Berlin"),
    ext("telephoneNumber", "caseIgnoreMatch", "+49 30 1234-56"),
    Not(ext("telephoneNumber", "caseIgnoreMatch", "+49 30 123456")),
    And(()),
    Not(Or(())),
    And((eq("uid", "jdoe"), Not(eq("uid", "x")))),
    Or((eq("nosuch", "x"), eq("uid", "jdoe"))),
    Not(eq("givenName", "x")),
    Not(Present("givenName")),
    Not(ext("givenName", None, "x")),
    Not(eq("cn;lang-de", "jdoe")),
    Not(Present("cn;lang-de;lang-en-GB")),
    Not(ge("uidNumber;lang-de", "1")),
    Not(sub("cn;LANG-de", "j*")),
    Not(ext("cn;lang-de", "caseExactMatch", "jdoe", dn=True)),
    Not(ext("nsAccountLock", "caseIgnoreMatch", "TRUE")),
    ext("uid", None, "JDOE"),
    ext("uid", "caseExactMatch", "jdoe"),
    ext("uid", "2.5.13.5", "jdoe"),
    ext("homeDirectory", "caseIgnoreMatch", "/HOME/jdoe"),
    ext(None, "caseExactMatch", "Jane Doe"),
    ext(None, "integerMatch", "2007"),
    ext("uidNumber", "integerOrderingMatch", "2008"),
    Not(ext("uidNumber", "integerOrderingMatch", "2007")),
    ext("cn", "caseIgnoreOrderingMatch", "jf"),
    ext("cn", "caseIgnoreSubstringsMatch", "JANE*d*e"),
    ext("cn", "caseExactSubstringsMatch", "J*Doe"),
    ext("userAccountControl", ALL_BITS, "2"),
    ext("userAccountControl", ALL_BITS, "514"),
    ext("userAccountControl", ALL_BITS, "0"),
    ext("userAccountControl", ANY_BIT, "3"),
    Not(ext("userAccountControl", ALL_BITS, "3")),
    Not(ext("userAccountControl", ANY_BIT, "1")),
    Not(ext("groupType", ALL_BITS, "1")),
    ext("memberOf", IN_CHAIN, "cn=Everyone,ou=groups,dc=example"),
    Not(ext("memberOf", IN_CHAIN, "cn=other,ou=groups,dc=example")),
    ext("ou", None, "users", dn=True),
    ext("ou", "caseIgnoreMatch", "USERS", dn=True),
    ext(None, "caseIgnoreMatch", "users", dn=True),
    ext("dc", "caseIgnoreSubstringsMatch", "ex*", dn=True),
    Not(ext("ou", None, "groups", dn=True)),
    Not(ext("ou", None, "users")),
]

FALSE: list[Filter] = [
    eq("uid", "jdo"),
    eq("uid", "j doe"),
    eq("homeDirectory", "/HOME/jdoe"),
    eq("objectClass", "group"),
    eq("givenName", "Jane"),
    eq("memberOf", "cn=staff"),
    Present("givenName"),
    Present("cn;lang-de"),
    ge("uidNumber", "2008"),
    le("uidNumber", "2006"),
    le("uidNumber", "-3000"),
    ge("modifyTimestamp", "20200601120000.1Z"),
    ge("gidNumber", "0"),
    sub("uid", "jdoe*jdoe"),
    sub("uid", "jdo*oe"),
    sub("uid", "j*o*d*"),
    sub("cn", "jane* * * *doe"),
    sub("uid", "j doe*"),
    sub("uid", "jdoe *e"),
    sub("postalAddress", "*1$price*"),
    sub("cn", "* d*oe*e"),
    Or(()),
    Not(And(())),
    And((eq("nosuch", "x"), eq("uid", "x"))),
    ext("uid", "caseExactMatch", "JDOE"),
    ext(None, "caseExactMatch", "JANE DOE"),
]

UNDEFINED: list[Filter] = [
    eq("nosuch", "x"),
    Present("nosuch"),
    Present("cn;x-unknown"),
    Present("cn;lang-de;x-unknown"),
    Present("nosuch;lang-de"),
    ge("cn;lang-de", "a"),
    eq("uidNumber;lang-de", "x"),
    eq("cn;lang-de", ""),
    sub("uidNumber;LANG-de", "1*"),
    ext("cn;lang-de", "integerMatch", "1"),
    Present("jpegPhoto;binary"),
    Present("cn;"),
    Present(""),
    eq("member;range=0-*", "x"),
    eq("uid", ""),
    Equality("uid", b"\xff"),
    eq("uidNumber", "x"),
    eq("uidNumber", "02007"),
    eq("ak-active", "yes"),
    eq("modifyTimestamp", "yesterday"),
    eq("memberOf", "staff"),
    eq("objectClass", "noSuchClass"),
    eq("entryUUID", "x"),
    eq("jpegPhoto", "x"),
    ge("uid", "a"),
    le("cn", "z"),
    ge("ak-active", "TRUE"),
    ge("uidNumber", "x"),
    le("memberOf", "cn=x"),
    sub("uidNumber", "2*"),
    sub("memberOf", "cn=*"),
    sub("jpegPhoto", "x*"),
    sub("cn", "a**b"),
    Substrings(attribute="cn", initial=b""),
    Substrings(attribute="cn", final=b"\xff"),
    Substrings(attribute="x121Address", any=(b"x",)),
    sub("nosuch", "x*"),
    ext("uid", "noSuchRule", "x"),
    ext("uid", "integerMatch", "1"),
    ext("uid", ALL_BITS, "1"),
    ext("uidNumber", ALL_BITS, "x"),
    ext("uidNumber", "caseIgnoreMatch", "2007"),
    ext("nosuch", "caseIgnoreMatch", "x"),
    ext("nosuch", None, "x", dn=True),
    ext(None, "noSuchRule", "x"),
    ext(None, None, "x"),
    ext(None, "integerMatch", "x"),
    ext("memberOf", IN_CHAIN, "staff"),
    ext("uid", IN_CHAIN, "cn=x"),
    ext("cn", "caseIgnoreSubstringsMatch", "jane"),
    ext("cn", "caseIgnoreSubstringsMatch", "j**e"),
    Unknown(30),
    And((eq("uid", "jdoe"), eq("nosuch", "x"))),
    Or((eq("uid", "x"), eq("nosuch", "x"))),
    Not(eq("nosuch", "x")),
    Not(Not(eq("uidNumber", "x"))),
]


def evaluate(wanted: Filter) -> bool | None:
    return matches(JANE, resolve(wanted, SCHEMA))


@pytest.mark.parametrize("wanted", TRUE, ids=str)
def test_true(wanted: Filter) -> None:
    assert evaluate(wanted) is True


@pytest.mark.parametrize("wanted", FALSE, ids=str)
def test_false(wanted: Filter) -> None:
    assert evaluate(wanted) is False


@pytest.mark.parametrize("wanted", UNDEFINED, ids=str)
def test_undefined(wanted: Filter) -> None:
    assert evaluate(wanted) is None


def test_an_asterisk_in_an_assertion_of_substrings_may_be_meant() -> None:
    entry = Entry(held={"cn": ["a*b\\c"]})
    for text, expected in (("a\\2Ab*", True), ("*\\5cC", True), ("\\2a*", False)):
        assert matches(entry, resolve(ext("cn", "caseIgnoreSubstringsMatch", text), SCHEMA)) is expected


@pytest.mark.parametrize(
    ("attribute", "value", "code"),
    [
        ("nosuch", b"x", ResultCode.UNDEFINED_ATTRIBUTE_TYPE),
        ("cn;x-y", b"x", ResultCode.UNDEFINED_ATTRIBUTE_TYPE),
        ("jpegPhoto", b"x", ResultCode.INAPPROPRIATE_MATCHING),
        ("uidNumber", b"x", ResultCode.INVALID_ATTRIBUTE_SYNTAX),
    ],
)
def test_compare_is_told_why_it_is_undefined(attribute: str, value: bytes, code: ResultCode) -> None:
    assert resolve_assertion(attribute, value, SCHEMA) == Undefined(code)


def test_compare_gets_the_key_of_the_value() -> None:
    uid = SCHEMA.get("uid")
    assert uid.equality is not None
    assert resolve_assertion("UserId", b" JDoe", SCHEMA) == Equal(uid, uid.equality, b"jdoe")
    assert resolve_assertion("uid;lang-de", b"jdoe", SCHEMA) is NOTHING


def test_a_filter_as_deep_as_the_codec_lets_it() -> None:
    wanted: Filter = eq("uid", "jdoe")
    for level in range(255):
        wanted = Not(wanted) if level % 3 else And((wanted, Or((wanted,))) if level < 3 else (wanted,))
    assert evaluate(wanted) in (True, False)


def test_an_or_of_five_hundred_names() -> None:
    """As Grafana asks; and a thousand leaves without an attribute, which each speak of many types."""
    names = Or((*(eq("uid", f"user{number}") for number in range(499)), eq("uid", "jdoe")))
    assert evaluate(names) is True
    many = Or(tuple(ext(None, "caseIgnoreMatch", f"nobody{number}") for number in range(1000)))
    before = time.process_time()
    assert evaluate(many) is False
    assert time.process_time() - before < 5


LEAVES: st.SearchStrategy[Filter] = st.sampled_from(
    [eq("uid", "jdoe"), eq("uid", "x"), eq("nosuch", "x"), Present("sn"), ge("cn", "a"), And(())]
)
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    LEAVES,
    lambda below: st.one_of(
        st.lists(below, max_size=3).map(lambda each: And(tuple(each))),
        st.lists(below, max_size=3).map(lambda each: Or(tuple(each))),
        below.map(Not),
    ),
    max_leaves=12,
)


def inverse(value: bool | None) -> bool | None:
    return None if value is None else not value


@given(FILTERS, FILTERS)
def test_the_laws_of_three_valued_logic(one: Filter, other: Filter) -> None:
    first, second = evaluate(one), evaluate(other)
    rank = {False: 0, None: 1, True: 2}
    assert evaluate(Not(one)) is inverse(first)
    assert evaluate(And((one, other))) is min(first, second, key=rank.__getitem__)
    assert evaluate(Or((one, other))) is max(first, second, key=rank.__getitem__)
    assert evaluate(Not(And((one, other)))) is evaluate(Or((Not(one), Not(other))))
    assert evaluate(And((one, And(())))) is first
    assert evaluate(Or((one, Or(())))) is first


NAMES = st.sampled_from([*(each.name for each in SCHEMA.types), "nosuch", "cn;lang-de", ""]) | st.text(max_size=5)
RULES = st.none() | st.sampled_from([each.name for each in SCHEMA.rules]) | st.text(max_size=5)
BYTES = st.binary(max_size=10) | st.sampled_from([b"jdoe", b"1", b"cn=a", b"*", b"a*"])


@given(NAMES, RULES, BYTES, st.booleans())
def test_no_filter_raises(name: str, rule: str | None, value: bytes, dn: bool) -> None:
    pieces = Substrings(attribute=name, initial=value, any=(value, value), final=value)
    leaves: tuple[Filter, ...] = (
        Equality(name, value),
        Approximate(name, value),
        GreaterOrEqual(name, value),
        LessOrEqual(name, value),
        Present(name),
        pieces,
        Extensible(attribute=name, rule=rule, value=value, dn_attributes=dn),
        Extensible(attribute=None, rule=rule, value=value, dn_attributes=dn),
    )
    for leaf in leaves:
        assert evaluate(leaf) in (True, False, None)


@given(st.text(min_size=1, max_size=10), st.text(min_size=1, max_size=10))
def test_a_value_matches_itself_and_what_is_equal_alone(one: str, other: str) -> None:
    """Whatever a client sends as a value stays a value."""
    rule = SCHEMA.get("uid").equality
    assert rule is not None
    entry = Entry(held={"uid": [one]})
    key = rule.normalise(one.encode())
    assert matches(entry, resolve(eq("uid", one), SCHEMA)) is (None if key is None else True)
    if rule.normalise(other.encode()) is not None:
        assert matches(entry, resolve(eq("uid", other), SCHEMA)) is (rule.normalise(other.encode()) == key)

"""Filters resolved against a schema and evaluated over one entry: RFC 4511 section 4.5.1.7, case by case."""

import time

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
)
from tests.support.ldap_filters import CLIENTS, FALSE, JANE, SCHEMA, TRUE, UNDEFINED, Entry, eq, ext, ge


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


@pytest.mark.parametrize("wanted", [row[1] for row in CLIENTS], ids=[row[0] for row in CLIENTS])
def test_what_clients_ask(wanted: Filter) -> None:
    assert evaluate(wanted) is True


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

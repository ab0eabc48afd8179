"""What anybody may ask of the root DSE and the subschema, thousands of parts of a filter at a time."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.ldap.described import DescribedEntry
from dataplane.protocols.ldap.filters_match import matches
from dataplane.protocols.ldap.filters_resolve import resolve
from dataplane.protocols.ldap.messages import And, Equality, Filter, Not, Or, Present, Scope, Search, Substrings
from dataplane.protocols.ldap.rootdse import root_dse
from dataplane.protocols.ldap.schema import AttributeType, Key, Schema
from dataplane.protocols.ldap.schema_served import common_schema
from dataplane.protocols.ldap.subschema import subschema

SCHEMA = common_schema()
ROOT = DescribedEntry("", root_dse(["dc=a", "dc=b"], "1.2.3"), SCHEMA)
LEAVES: list[Filter] = [
    Equality("objectClass", b"top"),
    Equality("objectClass", b"subschema"),
    Equality("namingContexts", b"DC=A"),
    Equality("namingContexts", b"dc=c"),
    Equality("supportedControl", b"1.2.840.113556.1.4.319"),
    Equality("noSuchAttribute", b"x"),
    Equality("supportedLDAPVersion", b"03"),
    Present("vendorName"),
    Substrings(attribute="vendorName", initial=b"garr"),
]
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: And(tuple(parts))),
        st.lists(inner, max_size=4).map(lambda parts: Or(tuple(parts))),
        inner.map(Not),
    ),
)


def asked(about: Filter) -> Search:
    return Search(base="", scope=Scope.BASE, filter=about)


@given(about=FILTERS)
def test_the_entry_is_found_as_if_value_by_value(about: Filter) -> None:
    plainly = matches(ROOT.entry, resolve(about, SCHEMA)) is True
    assert bool(ROOT.answer(1, asked(about))) is plainly


def test_keys_of_hundreds_of_values_are_made_once_for_thousands_of_parts() -> None:
    made = 0
    kind = SCHEMA.get("attributeTypes")
    assert kind.equality is not None
    normalise = kind.equality.normalise

    def counting(value: bytes) -> Key | None:
        nonlocal made
        made += 1
        return normalise(value)

    counted = AttributeType(
        names=kind.names, oid=kind.oid, syntax=kind.syntax, equality=replace(kind.equality, normalise=counting)
    )
    schema = Schema(types=(counted,), held=(), rules=SCHEMA.rules, classes=())
    values = next(values for each, values in subschema(SCHEMA) if each is kind)
    parts = [Equality("attributeTypes", b"1.2.3.%d" % number) for number in range(2000)]
    assert not DescribedEntry("cn=subschema", ((counted, values),), schema).answer(1, asked(Or(tuple(parts))))
    assert len(values) > 100
    assert made == len(parts) + len(values)

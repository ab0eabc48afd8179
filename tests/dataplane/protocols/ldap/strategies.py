"""Requests by chance, for Hypothesis."""

from hypothesis import strategies as st

from dataplane.protocols.ldap.messages import (
    Abandon,
    Add,
    And,
    Approximate,
    Bind,
    Compare,
    Control,
    Delete,
    Equality,
    Extended,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Message,
    Modify,
    ModifyDn,
    Not,
    Or,
    Present,
    Sasl,
    Scope,
    Search,
    Simple,
    Substrings,
    Unbind,
    Unknown,
)

texts = st.text(st.characters(codec="utf-8"), max_size=300) | st.sampled_from(["cn", "dc=x", ""])
values = st.binary(max_size=300)
small = st.binary(max_size=5)
numbers = st.integers(0, 2**31 - 1)
limits = st.sampled_from([0, 1, 127, 128, 255, 256, 32767, 32768, 2**31 - 1]) | numbers


def _is_there(pieces: Substrings) -> bool:
    return pieces.initial is not None or bool(pieces.any) or pieces.final is not None


leaves = st.one_of(
    st.builds(Present, texts),
    *(st.builds(made, texts, values) for made in (Equality, GreaterOrEqual, LessOrEqual, Approximate)),
    st.builds(
        Substrings,
        attribute=texts,
        initial=st.none() | small,
        any=st.lists(small, max_size=3).map(tuple),
        final=st.none() | small,
    ).filter(_is_there),
    st.builds(
        Extensible, rule=st.none() | texts, attribute=st.none() | texts, value=values, dn_attributes=st.booleans()
    ).filter(lambda each: each.rule is not None or each.attribute is not None),
    st.builds(Unknown, st.sampled_from([0x8A, 0x9E, 0xAA, 0xBE])),
)


def _nested(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    many = st.lists(inner, max_size=4).map(tuple)
    return st.one_of(st.builds(And, many), st.builds(Or, many), st.builds(Not, inner))


filters: st.SearchStrategy[Filter] = st.recursive(leaves, _nested, max_leaves=20)

requests = st.one_of(
    st.builds(
        Bind,
        version=st.integers(-(2**31), 2**31 - 1),
        name=texts,
        authentication=st.one_of(
            st.none(), st.builds(Simple, values), st.builds(Sasl, mechanism=texts, credentials=st.none() | values)
        ),
    ),
    st.builds(
        Search,
        base=texts,
        scope=st.sampled_from(Scope),
        dereference=st.integers(0, 3),
        size_limit=limits,
        time_limit=limits,
        types_only=st.booleans(),
        filter=filters,
        attributes=st.lists(texts, max_size=6).map(tuple),
    ),
    st.builds(Compare, entry=texts, attribute=texts, value=values),
    st.builds(Extended, oid=texts, value=st.none() | values),
    *(st.builds(made, texts) for made in (Add, Modify, ModifyDn, Delete)),
    st.builds(Abandon, st.integers(-(2**63), 2**63 - 1)),
    st.just(Unbind()),
)

controls = st.builds(Control, oid=texts, critical=st.booleans(), value=st.none() | values)

messages = st.builds(
    Message,
    id=st.integers(1, 2**31 - 1),
    request=requests,
    controls=st.lists(controls, max_size=3).map(tuple),
)

"""What control lets through as names of LDAP, an outpost can serve: both read them by code of their own."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from control.domain import names
from control.domain.application import AttributeMapping
from control.fleet.attribute_mappings import read_mappings
from control.fleet.fields import Reader
from control.fleet.resources import LdapProvider
from control.link.translate import encode
from dataplane.config import LdapProvider as Served
from dataplane.link import reading
from dataplane.protocols.ldap import dn
from dataplane.protocols.ldap.schema_served import schema_of
from dataplane.protocols.ldap.schema_types import TYPE_BY_NAME
from tests.support import builders

_TYPES = st.sampled_from(["dc", "DC", "cn", "commonName", "o", "ou", "uid", "2.5.4.3", "x-y", "c", "street"])
_VALUES = st.text(st.sampled_from(list('abAB ä1,+"<>;\\=#é')), min_size=1, max_size=8).filter(str.strip)
_NAMES = st.lists(
    st.lists(st.tuples(_TYPES, _VALUES), min_size=1, max_size=2, unique_by=lambda pair: pair[0].lower()),
    min_size=1,
    max_size=4,
)


def written(parts: list[list[tuple[str, str]]]) -> str:
    return ",".join("+".join(f"{kind}={dn.escape(value)}" for kind, value in part) for part in parts)


@given(_NAMES)
def test_what_an_outpost_writes_control_reads(parts: list[list[tuple[str, str]]]) -> None:
    names.parse_dn(written(parts))


@given(st.text(st.sampled_from(list('dcouDC=,+\\ #"<>;0aF\0é')), max_size=30))
def test_what_control_reads_an_outpost_reads(text: str) -> None:
    try:
        names.parse_dn(text)
    except names.NotADn:
        return
    dn.normalise(text)


@given(_NAMES, _NAMES)
def test_both_call_the_same_names_equal(one: Any, other: Any) -> None:
    texts = written(one), written(other), written(one).upper()
    for first in texts:
        for second in texts:
            alike = names.parse_dn(first) == names.parse_dn(second)
            assert alike == (dn.normalise(first) == dn.normalise(second))


def served(provider: LdapProvider) -> Served:
    """The provider as an outpost is told of it."""
    resource = reading.resource(encode(provider).data)
    assert isinstance(resource, Served)
    return resource


RESOURCE = LdapProvider(
    id=uuid4(),
    name="dir",
    application_slug="dir",
    application_name="Directory",
    base_dn="dc=a",
    **{
        name: getattr(builders.ldap_provider(), name)
        for name in LdapProvider.__dataclass_fields__
        if name not in {"id", "name", "application_slug", "application_name", "base_dn", "certificate"}
    },
    certificate="",
)


def test_what_an_outpost_can_not_show_of_groups_control_refuses() -> None:
    for name in sorted(TYPE_BY_NAME):
        reader = Reader({"group_attributes": [f"{name} = x"]}, {"group_attributes"})
        read_mappings(reader, "group_attributes", ())
        if not reader.problems:
            mappings = (AttributeMapping(attribute=name, source="x"),)
            assert schema_of(served(replace(RESOURCE, group_attributes=mappings)))


def test_a_provider_arrives_whole() -> None:
    found = served(RESOURCE)
    assert found == Served(
        id=str(RESOURCE.id),
        name="dir",
        application_slug="dir",
        application_name="Directory",
        base_dn="dc=a",
        bind_mode=found.bind_mode,
        mfa_support=True,
        search_group="",
        uid_start_number=2000,
        gid_start_number=4000,
        certificate="",
        tls_server_name="",
        user_attributes=found.user_attributes,
        group_attributes=(),
        size_limit=0,
        time_limit=30.0,
    )
    assert found.bind_mode.value == RESOURCE.bind_mode.value
    assert [(each.attribute, each.source) for each in found.user_attributes] == [
        (each.attribute, each.source) for each in RESOURCE.user_attributes
    ]

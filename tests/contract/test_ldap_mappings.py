"""Whatever mapping control lets through, an LDAP outpost can serve: each name that one refuses the other does too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.fleet.attribute_mappings import read_mappings
from control.fleet.fields import Reader
from dataplane.config import ConfigRefused
from dataplane.protocols.ldap.schema_served import schema_of
from dataplane.protocols.ldap.schema_types import TYPES
from tests.support.ldap_people import ldap_provider

NAMES = sorted({name for kind in TYPES for name in kind.names})


def control_takes(attribute: str) -> bool:
    reader = Reader({"user_attributes": [{"attribute": attribute, "source": "x"}]}, {"user_attributes"})
    read_mappings(reader, "user_attributes", ())
    return not reader.problems


def outpost_takes(attribute: str) -> bool:
    try:
        for provider in (ldap_provider(users={attribute: "x"}), ldap_provider(groups={attribute: "x"})):
            schema_of(provider)
    except ConfigRefused:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_a_known_attribute_that_control_takes_is_served(name: str) -> None:
    for spelling in (name, name.upper()):
        assert outpost_takes(spelling) or not control_takes(spelling)


@given(
    st.text(max_size=6)
    | st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,99}", fullmatch=True)
    | st.integers(90, 110).map("a".__mul__)
)
def test_any_attribute_that_control_takes_is_served(name: str) -> None:
    assert outpost_takes(name.strip()) or not control_takes(name)


def test_both_take_what_people_map() -> None:
    for name in ("loginShell", "telephoneNumber", "sshPublicKey", "department", "fooBar", "employeeNumber"):
        assert control_takes(name)
        assert outpost_takes(name)

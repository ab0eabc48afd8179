"""Entries encoded ahead of time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.ldap import wire
from tests.support import ldap_ber
from tests.support.ldap_forms import Codec

names = st.sampled_from([b"cn", b"CN", b"mail", b"memberOf", b"x-1;lang-de", b"ak-superuser"])
entries = st.dictionaries(names, st.lists(st.binary(max_size=300), max_size=3).map(tuple))


def encoded(codec: Codec, attributes: dict[bytes, tuple[bytes, ...]]) -> bytes:
    return b"".join(codec.wire.encode_attribute(name, values) for name, values in attributes.items())


def test_an_attribute(codec: Codec) -> None:
    assert codec.wire.encode_attribute(b"cn", [b"a", b""]).hex(" ") == "30 0b 04 02 63 6e 31 05 04 01 61 04 00"
    assert codec.wire.encode_attribute(b"cn", ()).hex(" ") == "30 06 04 02 63 6e 31 00"


def test_an_entry(codec: Codec) -> None:
    operation = codec.wire.encode_entry("cn=é".encode(), encoded(codec, {b"cn": ("é".encode(),)}))
    found = codec.wire.entry_message(300, operation)
    assert found.hex(" ") == "30 1b 02 02 01 2c 64 15 04 05 63 6e 3d c3 a9 30 0c 30 0a 04 02 63 6e 31 04 04 02 c3 a9"


@given(entries, st.integers(1, 2**31 - 1))
def test_entries_are_read_by_others(attributes: dict[bytes, tuple[bytes, ...]], number: int) -> None:
    blob = b"".join(wire.encode_attribute(name, values) for name, values in attributes.items())
    data = wire.entry_message(number, wire.encode_entry(b"cn=x", blob))
    ((tag, contents),) = ldap_ber.elements(data)
    (_, encoded_number), (operation, entry) = ldap_ber.elements(contents)
    assert (tag, int.from_bytes(encoded_number, "big"), operation) == (0x30, number, ldap_ber.ENTRY)
    expected = {name.decode(): values for name, values in attributes.items()}
    assert ldap_ber.entry(entry) == ldap_ber.Entry("cn=x", expected)


ATTRIBUTES = {b"cn": (b"x",), b"memberOf": (b"a" * 200, b"b"), b"mail": (), b"sn": (b"y",)}


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ([], []),
        ([b"cn"], [b"cn"]),
        ([b"memberof", b"sn"], [b"memberOf", b"sn"]),
        ([b"sn", b"mail", b"cn", b"memberof", b"other"], [b"cn", b"memberOf", b"mail", b"sn"]),
        ([b"memberOf"], []),  # what is wanted is in lower case
    ],
)
@pytest.mark.parametrize("types_only", [False, True])
def test_those_wanted_are_selected(codec: Codec, wanted: list[bytes], kept: list[bytes], types_only: bool) -> None:
    found = codec.wire.select(encoded(codec, ATTRIBUTES), frozenset(wanted), types_only)
    expected = {name: () if types_only else ATTRIBUTES[name] for name in kept}
    assert found == encoded(codec, expected)

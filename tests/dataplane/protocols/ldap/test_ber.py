"""BER's primitives, in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.ldap import ber
from dataplane.sansio import PeerError
from tests.support import ldap_ber
from tests.support.ldap_forms import Codec

INTEGERS = [
    ("00", 0),
    ("01", 1),
    ("7f", 127),
    ("0080", 128),
    ("00ff", 255),
    ("0100", 256),
    ("ff", -1),
    ("80", -128),
    ("ff7f", -129),
    ("7fffffff", 2**31 - 1),
    ("0080000000", 2**31),
    ("80000000", -(2**31)),
    ("7fffffffffffffff", 2**63 - 1),
    ("8000000000000000", -(2**63)),
]


@pytest.mark.parametrize(("octets", "value"), INTEGERS)
def test_integers(codec: Codec, octets: str, value: int) -> None:
    data = bytes.fromhex(octets)
    encoded = bytes((2, len(data))) + data
    assert codec.ber.Reader(encoded).integer(2) == value
    assert codec.ber.integer(2, value) == encoded


@pytest.mark.parametrize(("octets", "value"), [("0000000000000001", 1), ("ffffffffffffffff", -1), ("00ff", 255)])
def test_integers_may_be_longer_than_they_need_to_be(codec: Codec, octets: str, value: int) -> None:
    data = bytes.fromhex(octets)
    assert codec.ber.Reader(bytes((2, len(data))) + data).integer(2) == value


@pytest.mark.parametrize(("octet", "value"), [(0, False), (1, True), (0x80, True), (0xFF, True)])
def test_any_octet_but_zero_is_true(codec: Codec, octet: int, value: bool) -> None:
    assert codec.ber.Reader(bytes((1, 1, octet))).boolean(1) is value


def test_true_is_sent_as_ff(codec: Codec) -> None:
    assert (codec.ber.boolean(1, True), codec.ber.boolean(1, False)) == (b"\x01\x01\xff", b"\x01\x01\x00")


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65_535, 65_536, 1 << 20])
def test_lengths(codec: Codec, size: int) -> None:
    contents = b"x" * size
    encoded = codec.ber.element(4, contents)
    assert encoded == ldap_ber.octets(contents)
    assert codec.ber.Reader(encoded).octets(4) == contents


@pytest.mark.parametrize("octets", range(1, 9))
def test_lengths_may_be_longer_than_they_need_to_be(codec: Codec, octets: int) -> None:
    encoded = bytes((4, 0x80 | octets)) + (3).to_bytes(octets, "big") + b"abc"
    reader = codec.ber.Reader(encoded)
    assert reader.octets(4) == b"abc"
    assert not reader.more()


def test_an_element_never_reaches_out_of_the_one_around_it(codec: Codec) -> None:
    reader = codec.ber.Reader(bytes.fromhex("3002 0403 616263"))
    reader.open(0x30)
    with pytest.raises(PeerError, match="3 octets announced, 0 left"):
        reader.octets(4)


def test_a_header_never_reaches_out_of_the_element_around_it(codec: Codec) -> None:
    reader = codec.ber.Reader(bytes.fromhex("3001 04 0161"))
    reader.open(0x30)
    with pytest.raises(PeerError, match="a length is missing"):
        reader.octets(4)


@given(st.binary(max_size=300), st.integers(-(2**63), 2**63 - 1), st.booleans())
def test_what_is_written_is_read(contents: bytes, number: int, truth: bool) -> None:
    data = ber.element(0x30, ber.element(4, contents) + ber.integer(2, number) + ber.boolean(1, truth))
    reader = ber.Reader(data)
    outer = reader.open(0x30)
    assert (reader.octets(4), reader.integer(2), reader.boolean(1)) == (contents, number, truth)
    reader.close(outer, b"")
    assert not reader.more()
    assert data == ldap_ber.sequence(ldap_ber.octets(contents), ldap_ber.integer(number), ldap_ber.boolean(truth))

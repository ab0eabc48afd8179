"""Filters: how deep, how many, and in what shape."""

import pytest

from dataplane.protocols.ldap.messages import And, Equality, Filter, Malformed, Not, Or, Present, ResultCode
from dataplane.sansio import PeerError
from tests.support import ldap_ber
from tests.support.ldap_forms import Codec

LEVELS, MOST = 256, 10_000
PRESENT = ldap_ber.present("a").ber


def search(encoded: bytes) -> bytes:
    """A message with a search by this filter."""
    return ldap_ber.message(1, ldap_ber.Search(base="", filter=ldap_ber.Filter("", encoded)).ber)


def decoded(codec: Codec, encoded: bytes) -> Filter:
    found: Filter = codec.wire.decode_message(search(encoded)).request.filter
    return found


def too_large(codec: Codec, encoded: bytes) -> bool:
    request = codec.wire.decode_message(search(encoded)).request
    assert isinstance(request, Malformed)
    return (request.response.result.code, request.limit) == (ResultCode.ADMIN_LIMIT_EXCEEDED, "filter")


def nested(tag: int, levels: int) -> bytes:
    encoded = PRESENT
    for _ in range(levels):
        encoded = ldap_ber.tlv(tag, encoded)
    return encoded


@pytest.mark.parametrize("tag", [0xA0, 0xA1, 0xA2])
def test_as_many_levels_as_are_allowed(codec: Codec, tag: int) -> None:
    found = decoded(codec, nested(tag, LEVELS))
    for _ in range(LEVELS):
        assert isinstance(found, And | Or | Not)
        found = found.filter if isinstance(found, Not) else found.filters[0]
    assert found == Present("a")


@pytest.mark.parametrize("tag", [0xA0, 0xA1, 0xA2])
@pytest.mark.parametrize("levels", [LEVELS + 1, 10_000])
def test_a_level_more_is_answered(codec: Codec, tag: int, levels: int) -> None:
    assert too_large(codec, nested(tag, levels))


def test_a_bomb_of_headers_alone_ends_the_session(codec: Codec) -> None:
    """A hundred thousand levels whose lengths all lie."""
    with pytest.raises(PeerError, match="octets announced"):
        codec.wire.decode_message(search(b"\xa0\x84\x00\x0f\xff\xff" * 100_000))


def test_as_many_filters_as_are_allowed(codec: Codec) -> None:
    found = decoded(codec, ldap_ber.tlv(0xA1, PRESENT * (MOST - 1)))
    assert isinstance(found, Or)
    assert len(found.filters) == MOST - 1


@pytest.mark.parametrize("count", [MOST, 100_000])
def test_a_filter_more_is_answered(codec: Codec, count: int) -> None:
    assert too_large(codec, ldap_ber.tlv(0xA1, PRESENT * count))


def test_filters_are_counted_in_all_branches(codec: Codec) -> None:
    half = ldap_ber.tlv(0xA1, PRESENT * (MOST // 2))
    assert too_large(codec, ldap_ber.tlv(0xA0, half + half))


def test_pieces_of_substrings_count_too(codec: Codec) -> None:
    pieces = ldap_ber.sequence(ldap_ber.octets("x", 0x81) * MOST)
    assert too_large(codec, ldap_ber.sequence(ldap_ber.octets("cn"), pieces, tag=0xA4))


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        ("a409 0402 636e 3003 8301 61", "among substrings"),
        ("a409 0402 636e 3003 0401 61", "among substrings"),
        ("a300", "tag 0x04 expected, nothing found"),
        ("a304 0402 636e", "tag 0x04 expected, nothing found"),
        ("8300", "tag 0x83 is no filter"),  # an equality that is primitive
        ("a700", "tag 0xa7 is no filter"),  # a presence that is constructed
        ("8000", "tag 0x80 is no filter"),
        ("0400", "tag 0x04 is no filter"),
        ("6400", "tag 0x64 is no filter"),
        ("ff00", "tag 0xff is no filter"),
        ("bf0100", "a tag of several octets"),
        ("a200", "no filter"),
        ("a206 8701 61 8701 62", "two filters in one not"),
        ("a004 8701 61 87", "a length is missing"),
        ("a003 8702 61", "2 octets announced, 1 left"),
        ("a0 80 8701 61 0000", "a length that is indefinite"),
        ("a902 8100", "tag 0x83 expected, nothing found"),
        ("a905 8300 840200", "octets"),
        ("a906 8300 84020000", "a boolean of 2 octets"),
        ("a908 8201 63 8300 8101 31", "tag 0x81 out of place"),
        ("a30a 0402 636e 0400 0402 7878", "tag 0x04 out of place"),
    ],
)
def test_what_breaks_the_encoding_ends_the_session(codec: Codec, encoded: str, why: str) -> None:
    data = bytes.fromhex(encoded)
    with pytest.raises(PeerError) as caught:
        codec.wire.decode_message(search(data))
    assert why in caught.value.reason


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        ("a406 0402 636e 3000", "substrings without any"),
        ("a40c 0402 636e 3006 8201 61 8001 62", "substrings out of order"),
        ("a40c 0402 636e 3006 8101 61 8001 62", "substrings out of order"),
        ("a40c 0402 636e 3006 8201 61 8101 62", "substrings out of order"),
        ("a40c 0402 636e 3006 8001 61 8001 62", "substrings out of order"),
        ("a40c 0402 636e 3006 8201 61 8201 62", "substrings out of order"),
        ("a902 8300", "a match by neither rule nor attribute"),
        ("8702 c328", "text that is not UTF-8"),
        ("a905 8101ff 8300", "text that is not UTF-8"),
    ],
)
def test_what_is_wrong_is_answered(codec: Codec, encoded: str, why: str) -> None:
    request = codec.wire.decode_message(search(bytes.fromhex(encoded))).request
    assert isinstance(request, Malformed)
    assert (request.response.result.code, request.response.result.diagnostic) == (ResultCode.PROTOCOL_ERROR, why)
    assert request.limit is None


def test_values_are_bytes_as_they_came(codec: Codec) -> None:
    every = bytes(range(256))
    assert decoded(codec, ldap_ber.equal("cn", every).ber) == Equality("cn", every)


def test_what_asks_every_attribute_weighs_as_much(codec: Codec) -> None:
    asked = ldap_ber.extensible("", "2.5.13.2", "zz").ber
    found = decoded(codec, ldap_ber.tlv(0xA1, asked * 9))
    assert isinstance(found, Or)
    assert len(found.filters) == 9
    assert too_large(codec, ldap_ber.tlv(0xA1, asked * 10))
    plain = ldap_ber.extensible("cn", "2.5.13.2", "zz").ber
    assert isinstance(decoded(codec, ldap_ber.tlv(0xA1, plain * 100)), Or)

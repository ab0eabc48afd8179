"""Values of controls and extended operations."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.ldap import values
from dataplane.protocols.ldap.messages import Paged, PasswordModify, ResultCode, SortKey
from dataplane.sansio import PeerError
from tests.support import ldap_ber
from tests.support.ldap_forms import Codec

DECODERS = ("decode_paged", "decode_sort", "decode_password_modify")


@pytest.mark.parametrize(
    ("data", "paged"),
    [
        ("3005 020100 0400", Paged(size=0)),
        ("3009 02020384 0403 00ff80", Paged(size=900, cookie=b"\x00\xff\x80")),
        ("3084 00000008 02047fffffff 0400", Paged(size=2**31 - 1)),
        ("3007 020105 0400 8500", Paged(size=5)),
    ],
)
def test_paged(codec: Codec, data: str, paged: Paged) -> None:
    assert codec.values.decode_paged(bytes.fromhex(data)) == paged


def test_paged_in_answers(codec: Codec) -> None:
    assert codec.values.encode_paged(Paged(size=100_000, cookie=b"x")).hex(" ") == "30 08 02 03 01 86 a0 04 01 78"
    assert codec.values.encode_paged(Paged(size=0)).hex(" ") == "30 05 02 01 00 04 00"


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        ("3006 3004 0402 636e", (SortKey(attribute="cn"),)),
        ("3009 3007 0402 636e 810101", (SortKey(attribute="cn", reverse=True),)),
        ("3009 3007 0402 636e 810100", (SortKey(attribute="cn"),)),
        (
            "3011 3009 0402 636e 8003 312e32 3004 0402 736e",
            (SortKey(attribute="cn", rule="1.2"), SortKey(attribute="sn")),
        ),
    ],
)
def test_sort(codec: Codec, data: str, keys: tuple[SortKey, ...]) -> None:
    assert codec.values.decode_sort(bytes.fromhex(data)) == keys


def test_sort_in_answers(codec: Codec) -> None:
    assert codec.values.encode_sort_result(ResultCode.SUCCESS).hex(" ") == "30 03 0a 01 00"
    found = codec.values.encode_sort_result(ResultCode.NO_SUCH_ATTRIBUTE, "x")
    assert found.hex(" ") == "30 06 0a 01 10 80 01 78"


@pytest.mark.parametrize(
    ("data", "asked"),
    [
        ("3000", PasswordModify()),
        ("3003 8001 78", PasswordModify(identity="x")),
        ("3007 8101 6f 8202 c328", PasswordModify(old=b"o", new=b"\xc3\x28")),
        ("3002 8200", PasswordModify(new=b"")),
    ],
)
def test_password_modify(codec: Codec, data: str, asked: PasswordModify) -> None:
    assert codec.values.decode_password_modify(bytes.fromhex(data)) == asked


def test_password_modify_without_a_value_leaves_all_to_the_server(codec: Codec) -> None:
    assert codec.values.decode_password_modify(None) == PasswordModify()


def test_a_generated_password(codec: Codec) -> None:
    assert codec.values.encode_generated_password(b"pw").hex(" ") == "30 04 80 02 70 77"


def test_passwords_are_not_shown() -> None:
    assert "canary" not in repr(PasswordModify(old=b"canary", new=b"canary"))


@pytest.mark.parametrize(
    ("decoder", "data", "why"),
    [
        ("decode_paged", None, "a value is missing"),
        ("decode_sort", None, "a value is missing"),
        ("decode_paged", "", "nothing found"),
        ("decode_paged", "3005 020100 0400 00", "1 octets behind the value"),
        ("decode_paged", "3005 0201ff 0400", "a page size out of range"),
        ("decode_paged", "3007 0205 0080000000 0400", "octets"),
        ("decode_paged", "3009 02050080000000 0400", "a page size out of range"),
        ("decode_paged", "3003 020100", "tag 0x04 expected, nothing found"),
        ("decode_paged", "3007 020100 0400 0400", "tag 0x04 out of place"),
        ("decode_sort", "3000", "no sort key"),
        ("decode_sort", "3002 3000", "tag 0x04 expected, nothing found"),
        ("decode_sort", "3006 3004 0402 c328", "text that is not UTF-8"),
        ("decode_sort", "300b 3009 0402 636e 810101 8000", "tag 0x80 out of place"),
        ("decode_password_modify", "", "nothing found"),
        ("decode_password_modify", "3004 8100 8000", "tag 0x80 out of place"),
        ("decode_password_modify", "3004 8002 c328", "text that is not UTF-8"),
    ],
)
def test_what_is_wrong_is_refused(codec: Codec, decoder: str, data: str | None, why: str) -> None:
    with pytest.raises(PeerError) as caught:
        vars(codec.values)[decoder](None if data is None else bytes.fromhex(data))
    assert why in caught.value.reason
    assert caught.value.code == ResultCode.PROTOCOL_ERROR


def test_sort_keys_are_bounded(codec: Codec) -> None:
    key = ldap_ber.sequence(ldap_ber.octets("cn"))
    assert len(codec.values.decode_sort(ldap_ber.sequence(key * 16))) == 16
    with pytest.raises(PeerError) as caught:
        codec.values.decode_sort(ldap_ber.sequence(key * 17))
    assert caught.value.code == ResultCode.ADMIN_LIMIT_EXCEEDED


@pytest.mark.parametrize("decode", [values.decode_paged, values.decode_sort, values.decode_password_modify])
@given(data=st.binary(max_size=60))
def test_garbage_is_the_peers_fault(decode: Callable[[bytes], object], data: bytes) -> None:
    for each in (data, ldap_ber.sequence(data), ldap_ber.sequence(ldap_ber.sequence(data))):
        with suppress(PeerError):
            decode(each)

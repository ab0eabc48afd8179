"""Messages from and to bytes: the table of vectors, whole and damaged."""

import pytest

from dataplane.protocols.ldap.messages import (
    SUCCESS,
    Bind,
    Control,
    Delete,
    Extended,
    Malformed,
    Message,
    Response,
    ResultCode,
    SearchDone,
    Simple,
)
from dataplane.sansio import PeerError
from tests.dataplane.protocols.ldap.vectors import REQUESTS, RESPONSES
from tests.support import ldap_ber
from tests.support.ldap_forms import Codec

by_name = pytest.mark.parametrize(
    ("message", "data"), [each[1:] for each in REQUESTS], ids=[each[0] for each in REQUESTS]
)

each_one = pytest.mark.parametrize("data", [each[2] for each in REQUESTS], ids=[each[0] for each in REQUESTS])


def inside(data: bytes) -> bytes:
    """What a SEQUENCE holds."""
    _, start, end = ldap_ber.header(data, 0)
    assert end == len(data)
    return data[start:]


def refused(codec: Codec, data: bytes) -> PeerError:
    with pytest.raises(PeerError) as caught:
        codec.wire.decode_message(data)
    assert type(caught.value) is PeerError
    assert caught.value.code == ResultCode.PROTOCOL_ERROR
    return caught.value


@by_name
def test_a_request_is_read(codec: Codec, message: Message, data: bytes) -> None:
    assert codec.wire.decode_message(data) == message


@each_one
def test_a_request_cut_off_anywhere_is_refused(codec: Codec, data: bytes) -> None:
    for size in range(len(data)):
        refused(codec, data[:size])


@each_one
def test_a_request_with_more_behind_it_is_refused(codec: Codec, data: bytes) -> None:
    refused(codec, data + b"\0")
    refused(codec, data + data)


@by_name
def test_a_request_whose_contents_are_cut_off_is_never_another(codec: Codec, message: Message, data: bytes) -> None:
    """All of it is there as the envelope has it; only components that may be missing may be missing."""
    contents = inside(data)
    for size in range(len(contents)):
        try:
            found = codec.wire.decode_message(ldap_ber.sequence(contents[:size]))
        except PeerError:
            continue
        assert found.request == message.request
        assert found.controls in ((), message.controls)
        assert (
            found.controls != message.controls or not any(contents[size : size + 1]) or contents[size] in {0xA0, 0x8A}
        )


@pytest.mark.parametrize(("number", "response", "controls", "data"), [each[1:] for each in RESPONSES],
                         ids=[each[0] for each in RESPONSES])  # fmt: skip
def test_a_response_is_written(
    codec: Codec, number: int, response: Response, controls: tuple[Control, ...], data: bytes
) -> None:
    assert codec.wire.encode_response(number, response, controls) == data


@pytest.mark.parametrize("size", [0, 100, 116, 117, 127, 128, 240, 255, 256, 65_500, 65_535, 65_536, 70_000])
def test_lengths_are_as_short_as_can_be(codec: Codec, size: int) -> None:
    found = codec.wire.encode_response(1, SearchDone(SUCCESS), (Control(oid="1", value=b"x" * size),))
    control = ldap_ber.control("1", b"x" * size)
    done = ldap_ber.sequence(ldap_ber.integer(0, 0x0A), ldap_ber.octets(""), ldap_ber.octets(""), tag=0x65)
    assert found == ldap_ber.message(1, done, control)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "tag 0x30 expected, nothing found"),
        ("31 05 020105 4200", "tag 0x30 expected, 0x31 found"),
        ("16 03 0100", "tag 0x30 expected, 0x16 found"),  # TLS on the plain port
        ("30", "a length is missing"),
        ("30 00", "tag 0x02 expected, nothing found"),
        ("30 80 020105 4200 0000", "a length that is indefinite"),
        ("30 ff 020105 4200", "a length of 127 octets"),
        ("30 89 000000000000000005 020105 4200", "a length of 9 octets"),
        ("30 88 ffffffffffffffff 020105 4200", "octets announced"),
        ("30 84 7fffffff 020105 4200", "octets announced"),
        ("30 84 ffffffff 020105 4200", "octets announced"),  # negative where lengths are signed
        ("30 84 0000", "a length is cut off"),
    ],
)
def test_a_broken_envelope_ends_the_session(codec: Codec, data: str, why: str) -> None:
    assert why in refused(codec, bytes.fromhex(data)).reason


@pytest.mark.parametrize(
    ("contents", "why"),
    [
        # The message id.
        ("020100 4200", "a message id out of range"),  # that of unsolicited notifications
        ("0201ff 4200", "a message id out of range"),
        ("020480000000 4200", "a message id out of range"),
        ("02050080000000 4200", "a message id out of range"),
        ("0209000000000000000001 4200", "an integer of 9 octets"),
        ("02820100" + "01" * 256 + "4200", "an integer of 256 octets"),
        ("0200 4200", "an integer of 0 octets"),
        ("0a0105 4200", "tag 0x02 expected, 0x0a found"),
        ("220105 4200", "tag 0x02 expected, 0x22 found"),
        # The operation.
        ("020105", "no request"),
        ("020105 42", "a length is missing"),
        ("020105 4280 0000", "a length that is indefinite"),
        ("020105 4284 000000", "a length is cut off"),
        ("020105 4201 00", "an unbind request with contents"),
        ("020105 6200", "tag 0x62 is no request"),
        ("020105 6500", "tag 0x65 is no request"),  # a response
        ("020105 7f2200", "tag 0x7f is no request"),
        ("020105 6007 020103 2400 8000", "tag 0x04 expected, 0x24 found"),
        ("020105 6005 020103 0400", "no authentication choice"),
        ("020105 6007 020103 0400 0400", "no authentication choice"),
        ("020105 6009 020103 0400 8000 8000", "tag 0x80 out of place"),
        ("020105 6007 020103 0400 a300", "tag 0x04 expected, nothing found"),
        ("020105 6009 020103 0400 8003 7878", "3 octets announced, 2 left"),
        ("020105 5000", "an integer of 0 octets"),
        ("020105 7000", "tag 0x70 is no request"),
        ("020105 6602 3000", "tag 0x04 expected, 0x30 found"),
        ("020105 6604 0400 3005", "5 octets announced, 0 left"),
        ("020105 6804 0400 5f21", "a tag of several octets"),
        ("020105 6e07 0400 3003 040178", "tag 0x04 expected, nothing found"),
        ("020105 6e0b 0400 3007 040178 0400 0400", "tag 0x04 out of place"),
        ("020105 7702 0400", "tag 0x80 expected, 0x04 found"),
        ("020105 7706 8000 8100 8100", "tag 0x81 out of place"),
        ("020105 7702 a000", "tag 0x80 expected, 0xa0 found"),
        # A search.
        ("020105 6302 0400", "tag 0x0a expected, nothing found"),
        ("020105 6305 0400 020100", "tag 0x0a expected, 0x02 found"),
        ("020105 6312 0400 0a0100 0a0100 020100 020100 0102ffff", "a boolean of 2 octets"),
        # Behind the operation.
        ("020105 4200 0500 30", "a length is missing"),
        ("020105 4200 a000 a000", "tag 0xa0 out of place"),
        ("020105 4200 020105", "tag 0x02 out of place"),
        ("020105 4200 1f0100", "a tag of several octets"),
        ("020105 4200 a002", "2 octets announced, 0 left"),
        ("020105 4200 a002 0400", "tag 0x30 expected, 0x04 found"),
        ("020105 4200 a004 3002 2400", "tag 0x04 expected, 0x24 found"),
        ("020105 4200 a007 3005 040131 0100", "a boolean of 0 octets"),
        ("020105 4200 a009 3007 040131 01020000", "a boolean of 2 octets"),
        ("020105 4200 a00a 3008 040131 0400 0101ff", "tag 0x01 out of place"),
    ],
)
def test_what_breaks_the_encoding_ends_the_session(codec: Codec, contents: str, why: str) -> None:
    assert why in refused(codec, ldap_ber.sequence(bytes.fromhex(contents))).reason


def malformed(codec: Codec, operation: bytes, *controls: bytes) -> Malformed:
    found = codec.wire.decode_message(ldap_ber.message(7, operation, *controls))
    assert (found.id, found.controls) == (7, ())
    assert isinstance(found.request, Malformed)
    return found.request


BAD = b"\xc3\x28"


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        (
            ldap_ber.sequence(ldap_ber.integer(3), ldap_ber.octets(BAD), ldap_ber.octets("", 0x80), tag=0x60),
            "BindResponse",
        ),
        (ldap_ber.Search(base="").ber.replace(b"objectClass", b"objectClas\xff"), "SearchDone"),
        (ldap_ber.Search(base="", attributes=["aa"]).ber.replace(b"aa", BAD), "SearchDone"),
        (ldap_ber.sequence(ldap_ber.octets(BAD), tag=0x66), "ModifyResponse"),
        (ldap_ber.sequence(ldap_ber.octets(BAD), tag=0x68), "AddResponse"),
        (ldap_ber.octets(BAD, 0x4A), "DeleteResponse"),
        (ldap_ber.sequence(ldap_ber.octets(BAD), tag=0x6C), "ModifyDnResponse"),
        (ldap_ber.compare("aa", "cn", "x").replace(b"aa", BAD), "CompareResponse"),
        (ldap_ber.extended("aa").replace(b"aa", BAD), "ExtendedResponse"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_text_that_is_not_utf8_is_answered_by_its_operation(codec: Codec, operation: bytes, answer: str) -> None:
    found = malformed(codec, operation)
    assert type(found.response).__name__ == answer
    assert found.response.result.code == ResultCode.PROTOCOL_ERROR
    assert found.response.result.diagnostic == "text that is not UTF-8"
    assert found.limit is None


@pytest.mark.parametrize("operation", [ldap_ber.unbind(), ldap_ber.abandon(1)])
def test_what_has_no_response_can_only_end_the_session(codec: Codec, operation: bytes) -> None:
    control = ldap_ber.control("aa").replace(b"aa", BAD)
    refused(codec, ldap_ber.message(7, operation, control))


@pytest.mark.parametrize("text", [b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"\xe2\x82"])
def test_what_utf8_forbids_is_no_text(codec: Codec, text: bytes) -> None:
    malformed(codec, ldap_ber.octets(text, 0x4A))


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ((4, 0, 0, 0), "an unknown scope"),
        ((-1, 0, 0, 0), "an unknown scope"),
        ((2**40, 0, 0, 0), "an unknown scope"),
        ((0, 4, 0, 0), "an unknown way to dereference aliases"),
        ((0, 0, -1, 0), "a limit out of range"),
        ((0, 0, 0, 2**31), "a limit out of range"),
    ],
)
def test_numbers_out_of_range_are_answered(codec: Codec, numbers: tuple[int, int, int, int], why: str) -> None:
    encoded = [ldap_ber.integer(number, tag) for number, tag in zip(numbers, (10, 10, 2, 2), strict=True)]
    rest = [ldap_ber.boolean(False), ldap_ber.ANYTHING.ber, ldap_ber.sequence()]
    operation = ldap_ber.sequence(ldap_ber.octets(""), *encoded, *rest, tag=0x63)
    assert malformed(codec, operation).response.result.diagnostic == why


@pytest.mark.parametrize(("count", "fits"), [(500, True), (501, False)])
def test_attributes_are_bounded(codec: Codec, count: int, fits: bool) -> None:
    operation = ldap_ber.Search(base="", attributes=["cn"] * count).ber
    if fits:
        assert len(codec.wire.decode_message(ldap_ber.message(1, operation)).request.attributes) == count
    else:
        found = malformed(codec, operation)
        assert (found.response.result.code, found.limit) == (ResultCode.ADMIN_LIMIT_EXCEEDED, "attributes")


@pytest.mark.parametrize(("count", "fits"), [(32, True), (33, False), (10_000, False)])
def test_controls_are_bounded(codec: Codec, count: int, fits: bool) -> None:
    operation, controls = ldap_ber.extended("1.2"), [ldap_ber.control("1.2.3")] * count
    if fits:
        found = codec.wire.decode_message(ldap_ber.message(1, operation, *controls))
        assert (found.request, len(found.controls)) == (Extended(oid="1.2"), count)
    else:
        wrong = malformed(codec, operation, *controls)
        assert (wrong.response.result.code, wrong.limit) == (ResultCode.ADMIN_LIMIT_EXCEEDED, "controls")


def test_a_refused_operation_may_hold_anything_well_formed(codec: Codec) -> None:
    operation = ldap_ber.tlv(0x68, ldap_ber.octets("cn=x") + b"\xa5\x02\xff\xff" * 1000)
    assert type(codec.wire.decode_message(ldap_ber.message(1, operation)).request).__name__ == "Add"


def test_nul_is_text(codec: Codec) -> None:
    assert codec.wire.decode_message(ldap_ber.message(1, ldap_ber.octets("a\0b", 0x4A))).request == Delete("a\0b")


def test_a_password_is_any_bytes_and_not_shown(codec: Codec) -> None:
    found = codec.wire.decode_message(ldap_ber.message(1, ldap_ber.bind("cn=x", b"canary\xff\0")))
    assert found.request == Bind(version=3, name="cn=x", authentication=Simple(b"canary\xff\0"))
    assert "canary" not in repr(found)

"""Headers of the PROXY protocol: both versions, in pieces, malformed, and none at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.sansio import PeerError
from dataplane.sansio.proxyheader import MAX_BYTES, Missing, Origin, read_origin

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ADDRESSES_4 = bytes([192, 0, 2, 7, 127, 0, 0, 1, 15, 160, 1, 133])
ADDRESSES_6 = bytes.fromhex("20010db8000000000000000000000007" + "00" * 15 + "01" + "0fa00185")
MAPPED = bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 9]) + bytes(16) + bytes(4)


def binary(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(body).to_bytes(2, "big") + body


VECTORS = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 389\r\n", "192.0.2.7"),
    (b"PROXY TCP6 2001:DB8::7 2001:db8::1 4000 389\r\n", "2001:db8::7"),
    (b"PROXY TCP6 ::ffff:192.0.2.9 2001:db8::1 4000 389\r\n", "192.0.2.9"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
    (binary(0x21, 0x11, ADDRESSES_4), "192.0.2.7"),
    (binary(0x21, 0x11, ADDRESSES_4 + b"\x04\0\x03abc"), "192.0.2.7"),
    (binary(0x21, 0x21, ADDRESSES_6), "2001:db8::7"),
    (binary(0x21, 0x21, MAPPED), "192.0.2.9"),
    (binary(0x21, 0x31, bytes(216)), None),
    (binary(0x21, 0x00, b""), None),
    (binary(0x20, 0x00, b"whatever"), None),
]


@pytest.mark.parametrize(("header", "source"), VECTORS)
def test_headers(header: bytes, source: str | None) -> None:
    assert read_origin(header + b"the rest") == Origin(source=source, size=len(header))
    for size in range(len(header)):
        assert read_origin(header[:size]) is None


@pytest.mark.parametrize("data", [b"0\x0c", b"\x16\x03\x01", b"POST / HTTP/1.1", b"PUT", b"\r\nGET", b"\n"])
def test_whatever_begins_otherwise_has_none(data: bytes) -> None:
    assert read_origin(data) == Missing()


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4000\r\n",
        b"PROXY TCP5 192.0.2.7 198.51.100.1 4000 389\r\n",
        b"PROXY TCP4 2001:db8::7 198.51.100.1 4000 389\r\n",
        b"PROXY TCP4 alice 198.51.100.1 4000 389\r\n",
        b"PROXY TCP4 \xff 198.51.100.1 4000 389\r\n",
        b"PROXY \r\n",
        b"PROXY " + b"x" * 200,
        binary(0x22, 0x11, ADDRESSES_4),
        binary(0x11, 0x11, ADDRESSES_4),
        binary(0x21, 0x11, ADDRESSES_4[:-1]),
        binary(0x21, 0x11, b"x" * MAX_BYTES),
    ],
)
def test_malformed_headers(data: bytes) -> None:
    with pytest.raises(PeerError):
        read_origin(data)


@given(st.sampled_from([b"PROXY ", SIGNATURE, b""]), st.binary(max_size=150))
def test_garbage_is_the_peers_fault_and_nothing_else(start: bytes, data: bytes) -> None:
    try:
        origin = read_origin(start + data)
    except PeerError:
        return
    if isinstance(origin, Origin):
        assert 0 < origin.size <= len(start + data)

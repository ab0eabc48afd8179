"""ClientHellos of real clients, whole and in pieces; what is none; and garbage, which does no harm."""

import ssl
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.sansio import PeerError
from dataplane.sansio.clienthello import MAX_BYTES, HelloReader, TooLarge, find_server_name

NAME = "link.garrison.internal"
RANDOM = bytes(range(32))


def made_by_python(name: str | None, version: ssl.TLSVersion, alpn: tuple[str, ...] = ()) -> bytes:
    """What Python's ssl module sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols([*alpn])
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name).do_handshake()
    return sent.read()


def record(fragment: bytes, kind: int = 22, version: int = 0x0301) -> bytes:
    return bytes([kind]) + version.to_bytes(2, "big") + len(fragment).to_bytes(2, "big") + fragment


def sized(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size, "big") + data


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2, "big") + sized(content, 2)


def server_name(name: bytes, kind: int = 0) -> bytes:
    return extension(0, sized(bytes([kind]) + sized(name, 2), 2))


def message(*extensions: bytes, extended: bool = True, kind: int = 1) -> bytes:
    """A ClientHello as the RFC draws it."""
    body = b"\x03\x03" + RANDOM + sized(b"s" * 32, 1) + sized(b"\x13\x01", 2) + sized(b"\0", 1)
    return bytes([kind]) + sized(body + (sized(b"".join(extensions), 2) if extended else b""), 3)


BARE = len(record(message(extension(1, b""))))
HELLO = message(extension(0x0A0A, b""), server_name(NAME.encode()), extension(43, b"\x02\x03\x04"))

VECTORS = [
    ("python, 1.3", NAME, made_by_python(NAME, ssl.TLSVersion.TLSv1_3)),
    ("python, 1.2", NAME, made_by_python(NAME, ssl.TLSVersion.TLSv1_2)),
    ("python with ALPN", "app.example.com", made_by_python("app.example.com", ssl.TLSVersion.TLSv1_3, ("h2",))),
    ("python without a name", None, made_by_python(None, ssl.TLSVersion.TLSv1_3)),
    ("the RFC's", NAME, record(HELLO)),
    ("two records", NAME, record(HELLO[:3]) + record(HELLO[3:], version=0x0303)),
    ("a record a byte", NAME, b"".join(record(HELLO[at : at + 1]) for at in range(len(HELLO)))),
    ("no extensions", None, record(message(extended=False))),
    ("empty extensions", None, record(message())),
    ("upper case and a last dot", NAME, record(message(server_name(b"LINK.garrison.INTERNAL.")))),
    ("as large as may be", None, record(message(extension(1, b"x" * (MAX_BYTES - BARE))))),
]
NAMED = pytest.mark.parametrize(("name", "data"), [each[1:] for each in VECTORS], ids=[each[0] for each in VECTORS])


Named = tuple[str | None]
"""What a ClientHello says: a name, or that there is none."""


def read(*pieces: bytes) -> Iterator[Named | None]:
    reader = HelloReader()
    for piece in pieces:
        reader.receive(piece)
        hello = reader.maybe_read()
        yield None if hello is None else (find_server_name(hello),)


@NAMED
def test_whole(name: str | None, data: bytes) -> None:
    assert [*read(data)] == [(name,)]


@NAMED
def test_byte_by_byte_it_is_read_with_the_last_byte(name: str | None, data: bytes) -> None:
    *before, last = read(*(data[at : at + 1] for at in range(len(data))))
    assert last == (name,)
    assert not any(before)


@NAMED
def test_what_follows_is_another_thing_and_is_kept(name: str | None, data: bytes) -> None:
    reader = HelloReader()
    reader.receive(data + b"\x14early" * 20_000)
    hello = reader.maybe_read()
    assert hello is not None
    assert find_server_name(hello) == name
    assert reader.taken == data + b"\x14early" * 20_000


BROKEN = [
    ("plain HTTP", b"GET / HTTP/1.1\r\n", 10, "bytes 4745 where"),
    ("an alert", record(b"\x02\x28", kind=21), 10, "bytes 1503 where"),
    ("SSL 2", b"\x80\x2e\x01\x00\x02", 10, "bytes 802e where"),
    ("an empty record", record(b""), 10, "an empty handshake record"),
    ("a record too long", b"\x16\x03\x01\x40\x01", 22, "a record of 16385 bytes"),
    ("another record within", record(HELLO[:9]) + record(HELLO[9:], kind=20), 10, "bytes 1403 where"),
    ("a ServerHello", record(message(kind=2)), 10, "message of type 2 where a ClientHello is due"),
    ("nothing in it", record(b"\x01\0\0\0"), 50, "2 bytes expected, 0 left"),
    ("extensions cut", record(b"\x01" + sized(HELLO[4:-1], 3)), 50, "bytes expected"),
    ("more than extensions", record(b"\x01" + sized(HELLO[4:] + b"x", 3)), 50, "1 bytes after the extensions"),
    ("two names' extensions", record(message(server_name(b"a"), server_name(b"b"))), 47, "two server_name extensions"),
    ("two names", record(message(extension(0, sized((b"\0" + sized(b"a", 2)) * 2, 2)))), 50, "4 bytes too many"),
    ("another kind of name", record(message(server_name(b"a", kind=1))), 47, "a server name that is none"),
    ("an empty name", record(message(server_name(b""))), 47, "a server name that is none"),
    ("a dot", record(message(server_name(b"."))), 47, "a server name that is none"),
    ("a NUL", record(message(server_name(NAME.encode() + b"\0"))), 47, "a server name that is none"),
    ("not ASCII", record(message(server_name("línk".encode()))), 47, "a server name that is none"),
    ("an empty list", record(message(extension(0, b""))), 50, "2 bytes expected"),
    ("more than a list", record(message(extension(0, sized(b"\0" + sized(b"a", 2), 2) + b"x"))), 47, "that is none"),
]


@pytest.mark.parametrize(("data", "alert", "words"), [each[1:] for each in BROKEN], ids=[each[0] for each in BROKEN])
def test_what_is_no_client_hello_is_the_clients_fault(data: bytes, alert: int, words: str) -> None:
    with pytest.raises(PeerError, match=words) as caught:
        next(read(data))
    assert caught.value.code == alert


@pytest.mark.parametrize("start", [b"G", b"\x15", b"\x16\x02", record(b"\x02")])
def test_what_can_become_none_is_not_waited_for(start: bytes) -> None:
    with pytest.raises(PeerError):
        next(read(start))


@pytest.mark.parametrize(
    "data",
    [
        record(b"\x01" + (MAX_BYTES - 3).to_bytes(3, "big")),
        record(b"\x01\xff\xff\xff"),
        b"".join(record(bytes([byte])) for byte in b"\x01\0\x20" + b"\0" * (MAX_BYTES // 6)),
        record(message(extension(1, b"x" * (MAX_BYTES - BARE + 1)))),
    ],
    ids=["said", "said to be very large", "in small pieces", "one byte"],
)
def test_what_is_too_large_is_refused_as_soon_as_it_is_known(data: bytes) -> None:
    with pytest.raises(TooLarge):
        [*read(data)]


def test_names_that_are_cut_anywhere_are_awaited() -> None:
    for _, _, data in VECTORS[:7]:
        for end in range(len(data)):
            assert [*read(data[:end])] == [None]


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def outcome(*parts: bytes) -> Named | str | None:
    """What comes of these bytes; any other exception than PeerError is a bug."""
    last = None
    try:
        for last in read(*parts):
            if last is not None:
                return last
    except PeerError as error:
        return type(error).__name__
    return last


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_garbage_is_refused_or_awaited_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    assert outcome(*pieces(data, cuts)) == outcome(data)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_garbage_in_a_good_record_too(data: bytes, cuts: list[int]) -> None:
    whole = record(b"\x01" + sized(data, 3))
    assert outcome(*pieces(whole, cuts)) == outcome(whole)
    assert outcome(whole) is not None


@given(st.integers(0, len(record(HELLO)) - 1), st.integers(0, 255), st.lists(st.integers(0, 300), max_size=4))
def test_a_byte_amiss_is_no_bug(at: int, value: int, cuts: list[int]) -> None:
    good = record(HELLO)
    data = good[:at] + bytes([value]) + good[at + 1 :]
    assert outcome(*pieces(data, cuts)) == outcome(data)


@given(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,60}[a-z0-9])?", fullmatch=True), st.lists(st.binary(max_size=40)))
def test_the_name_is_found_among_any_extensions(name: str, others: list[bytes]) -> None:
    extensions = [extension(7 + number, each) for number, each in enumerate(others)]
    for hello in (message(*extensions, server_name(name.encode())), message(server_name(name.encode()), *extensions)):
        assert outcome(record(hello)) == (name,)

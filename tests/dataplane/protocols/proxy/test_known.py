"""What is known of headers is what the parser says of the same bytes, for any request line before them."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.proxy import known
from dataplane.protocols.proxy.messages import Body, Event, Request
from dataplane.protocols.proxy.session import HttpSession
from dataplane.sansio import PeerError

LINE = b"GET /first HTTP/1.1"
BLOCKS = (
    b"\r\nHost: wiki.example.com\r\nAccept: */*\r\n\r\n",
    b"\r\nhost: WIKI.example.com:443\r\nCookie: a=b\r\nCookie: c=d\r\nX_Odd: 1\r\nX-N:  2 \t\r\n\r\n",
    b"\r\nHost: a\r\nConnection: keep-alive, x-n\r\nX-N: 1\r\nContent-Length: 0\r\n\r\n",
    b"\r\nHost: a\r\n\r\n",
)
targets = st.binary(max_size=30) | st.text("/aZ09.%2e;?&=#*:@ \\~\t\x7f", max_size=30).map(str.encode)
lines = st.builds(
    b"%s %s %s".__mod__,
    st.tuples(
        st.sampled_from([b"GET", b"HEAD", b"POST", b"CONNECT", b"TRACE", b"get", b"BREW"]),
        st.just(b"/").flatmap(lambda slash: targets.map(slash.__add__)) | targets,
        st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.1 ", b"http/1.1", b"HTTP/2.0", b"RTSP/1.1"]),
    ),
)


@pytest.fixture(autouse=True)
def _nothing_is_known() -> Iterator[None]:
    known.forget()
    yield
    known.forget()


def read(raw: bytes) -> list[Event] | str:
    """What comes of it, or what is wrong with it."""
    session = HttpSession()
    session.receive(raw)
    try:
        return list(session.events())
    except PeerError as error:
        return f"{error.code} {error.reason}"


def teach(block: bytes, line: bytes = LINE) -> None:
    """Have them come as often as it takes."""
    for _ in range(2):
        assert isinstance(read(line + block), list)
    assert block in known._KNOWN


@pytest.mark.parametrize("block", BLOCKS)
@given(line=lines)
def test_any_line_before_known_headers_means_what_the_parser_says(block: bytes, line: bytes) -> None:
    known.forget()
    parsed = read(line + block)
    known.forget()
    teach(block)
    assert read(line + block) == parsed


@pytest.mark.parametrize("block", BLOCKS)
def test_another_address_is_read_without_the_parser(block: bytes) -> None:
    teach(block)
    for line in (b"GET /other?a=%20b HTTP/1.1", b"HEAD / HTTP/1.1", b"GET //odd/../x;y HTTP/1.1"):
        found = known.find_known(line + block)
        assert found is not None
        assert [found] == read(line + block)
        assert found.target == line.split()[1]


def test_known_headers_are_the_same_object() -> None:
    teach(BLOCKS[0])
    first, second = (known.find_known(b"GET /%d HTTP/1.1" % number + BLOCKS[0]) for number in range(2))
    assert first is not None
    assert second is not None
    assert first.headers is second.headers
    assert known.find_known(LINE + BLOCKS[0]) is known.find_known(LINE + BLOCKS[0])
    assert first.target != second.target


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://wiki.example.com/ HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET /a#b HTTP/1.1", b"GET  / HTTP/1.1",
        b"GET / HTTP/1.0", b"POST / HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET /a b HTTP/1.1",
        b"GET /" + b"x" * 8192 + b" HTTP/1.1", b"GET / HTTP/1.1\n", b"\nGET / HTTP/1.1", b"",
    ],
)  # fmt: skip
def test_lines_that_are_less_plain_are_for_the_parser(line: bytes) -> None:
    teach(BLOCKS[0])
    assert known.find_known(line + BLOCKS[0]) is None


def test_one_byte_makes_other_headers() -> None:
    """Nobody is taken for somebody whose cookie differs in the least, in spelling or place."""
    alice = b"\r\nHost: a\r\nCookie: session=alice1\r\n\r\n"
    teach(alice)
    others = [alice[:at] + bytes([alice[at] ^ 1]) + alice[at + 1 :] for at in range(len(alice))]
    for other in (*others, alice[:-2], alice + b"\r\n", alice + b"x", b"\r\n" + alice, alice[:-2] + b"X: y\r\n\r\n"):
        assert known.find_known(LINE + other) is None


def test_two_who_take_turns_keep_their_own() -> None:
    blocks = {name: b"\r\nHost: a\r\nCookie: session=%s\r\n\r\n" % name for name in (b"alice", b"mallory")}
    for block in blocks.values():
        teach(block)
    for number in range(10):
        for name, block in blocks.items():
            event = known.find_known(b"GET /%d HTTP/1.1" % number + block)
            assert event is not None
            assert [event] == read(b"GET /%d HTTP/1.1" % number + block)
            assert event.fields[b"cookie"] == b"session=" + name


@pytest.mark.parametrize(
    "raw",
    [
        LINE + b"\r\nHost: a\r\nAuthorization: Basic YTpi\r\n\r\n",
        LINE + b"\r\nHost: a\r\nConnection: close\r\n\r\n",
        LINE + b"\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        LINE + b"\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
        LINE + b"\r\nHost: a\r\nX: " + b"x" * known.MAX_SIZE + b"\r\n\r\n",
        LINE + BLOCKS[0] + LINE + BLOCKS[0],
        b"\r\n" + LINE + BLOCKS[0],
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    ],
)
def test_what_is_not_worth_knowing(raw: bytes) -> None:
    """Passwords above all; what ends a connection, changes it or has a body; and what is too long."""
    for _ in range(5):
        read(raw)
    assert not known._KNOWN


def test_what_came_in_parts_is_not_learnt() -> None:
    raw = LINE + BLOCKS[0]
    for _ in range(3):
        session = HttpSession()
        session.receive(raw[:20])
        assert not list(session.events())
        session.receive(raw[20:])
        assert len(list(session.events())) == 1
    assert not known._KNOWN


def test_what_comes_once_takes_nobodys_room() -> None:
    """A stranger who never says the same twice makes nobody else's requests dearer."""
    teach(BLOCKS[0])
    for number in range(known.MAX_MET + 100):
        read(LINE + b"\r\nHost: a\r\nX-Number: %d\r\n\r\n" % number)
        assert len(known._MET) <= known.MAX_MET
    assert list(known._KNOWN) == [BLOCKS[0]]


def test_there_is_so_much_at_most() -> None:
    request = read(LINE + BLOCKS[0])[0]
    assert isinstance(request, Request)
    assert request.body is Body.NONE
    for number in range(known.MAX_KNOWN + 10):
        for _ in range(2):
            known.learn(LINE + b"\r\nX-Number: %d\r\n\r\n" % number, request)
    assert len(known._KNOWN) == known.MAX_KNOWN
    assert b"\r\nX-Number: 9\r\n\r\n" not in known._KNOWN
    assert b"\r\nX-Number: 10\r\n\r\n" in known._KNOWN

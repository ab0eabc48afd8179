"""What proxies and applications read differently is refused, and what remains means the same to h11."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.protocols.proxy.messages import Body, Data, End, Event, Request
from dataplane.protocols.proxy.session import MAX_HEAD, MAX_HEADERS, HttpSession
from dataplane.sansio import PeerError
from tests.dataplane.protocols.proxy.reading import read
from tests.support.hostile_corpus import cases
from tests.support.hostile_parsers import read_with_h11


def refusal(raw: bytes) -> int:
    with pytest.raises(PeerError) as caught:
        read(raw)
    return caught.value.code


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET / RTSP/1.0", b"DESCRIBE / RTSP/1.0", b"OPTIONS * RTSP/1.0",
        b"SOURCE / ICE/1.0", b"CONNECT / HTTP/1.1", b"CONNECT b:80 HTTP/1.1", b"GET * HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"GET http://b/ HTTP/1.1", b"GET https://a:444/ HTTP/1.1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_other_request_lines_are_refused_however_they_are_cut(line: bytes, size: int) -> None:
    raw, session = (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na" + line + b"\r\nHost: a\r\n\r\n",
        HttpSession(),
    )
    seen: list[Event] = []
    with pytest.raises(PeerError) as caught:
        for start in range(0, len(raw), size):
            session.receive(raw[start : start + size])
            seen += session.events()
    assert caught.value.code in {400, 501}
    assert not [event for event in seen if isinstance(event, Request) and event.method != b"POST"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_line_that_is_cut_is_the_same_line(size: int) -> None:
    raw, session = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /2 HTTP/1.0\r\nHost: a\r\n\r\n", HttpSession()
    targets = []
    for start in range(0, len(raw), size):
        session.receive(raw[start : start + size])
        targets += [event.target for event in session.events() if isinstance(event, Request)]
    assert targets == [b"/1", b"/2"]


@pytest.mark.parametrize("raw", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n", b"GET /\r\n\r\n"])
def test_who_speaks_another_version_is_told_which_ones_there_are(raw: bytes) -> None:
    with pytest.raises(PeerError, match=r"not served here, HTTP/1.1 and 1.0 are") as caught:
        read(raw)
    assert caught.value.code == 505


@pytest.mark.parametrize("first", [b"identity", b"gzip", b"x", b"chunked"])
def test_transfer_codings_in_two_headers_are_refused(first: bytes) -> None:
    """Others take the first, or the list (RFC 9112 6.1); llhttp lets this pass, as the last one is chunked."""
    lines = b"Transfer-Encoding: " + first + b"\r\nTransfer-Encoding: chunked"
    assert refusal(b"POST / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n0\r\n\r\n") in {400, 501}


@pytest.mark.parametrize("trailers", [b"X: " + b"a" * MAX_HEAD + b"\r\n", b"X: 1\r\n" * (MAX_HEADERS + 1)])
def test_trailers_that_come_at_once_are_bounded(trailers: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    assert refusal(head + trailers + b"\r\n") == 431


@pytest.mark.parametrize(
    "line", [b"Connection: Upgrade\r\nUpgrade: websocket", b"Connection: Upgrade, close\r\nUpgrade: h2c"]
)
def test_http_1_0_asks_for_no_other_protocol(line: bytes) -> None:
    """RFC 9110 7.8."""
    (event,) = read(b"GET / HTTP/1.0\r\nHost: a\r\n" + line + b"\r\n\r\n")
    assert isinstance(event, Request)
    assert not event.upgrade
    with_body = b"\r\nContent-Length: 5\r\n\r\nhello"
    assert refusal(b"POST / HTTP/1.0\r\nHost: a\r\n" + line + with_body) == 400


Essence = tuple[bytes, bytes, bytes]


def understood(raw: bytes, size: int = 1 << 20) -> tuple[list[Essence], bool]:
    """The whole requests that we read, as method, target and body; and whether anything was refused."""
    session, found, begun = HttpSession(), [], None
    try:
        for start in range(0, len(raw), size):
            session.receive(raw[start : start + size])
            for event in session.events():
                begun, whole = _follow(begun, event)
                if whole:
                    assert begun is not None
                    found.append(begun)
                    if not _goes_on(session):
                        return found, False
    except PeerError:
        return found, True
    return found, False


def _follow(begun: Essence | None, event: Event) -> tuple[Essence | None, bool]:
    match event:
        case Request():
            return (event.method, event.target, b""), event.body is Body.NONE
        case Data(data=data):
            assert begun is not None
            return (begun[0], begun[1], begun[2] + data), False
        case End():
            return begun, True


def _goes_on(session: HttpSession) -> bool:
    return session.keeps_alive()


def of_h11(raw: bytes) -> list[Essence]:
    """The same of h11. It has no keep-alive of HTTP/1.0 and does not know the absolute form."""
    requests, _ = read_with_h11(raw)
    return [(each.method.encode(), each.target.encode("latin-1"), each.body) for each in requests]


GOOD = [
    b"GET /a?b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /c HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /d HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5;e=f\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HEAD /e HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n",
]
PIECES = [
    b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b";", b",", b"0", b"5", b"+", b"-", b"_", b"x", b"\x0b", b"\xff",
    b"\r\n ", b"Content-Length: 3\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n", b"Host: b\r\n", b"Connection: close\r\n", b"0\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n", b"HTTP/1.0", b"#", b"*",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A few good requests in a row with something put in, taken out or said twice."""
    # Each once: where a good request line stands is not looked at, only whether it is there.
    raw = b"".join(draw(st.lists(st.sampled_from(GOOD), min_size=1, max_size=3, unique=True)))
    for _ in range(draw(st.integers(1, 3))):
        at, size = draw(st.integers(0, len(raw))), draw(st.sampled_from([0, 0, 0, 1, 2, 5]))
        piece = draw(st.sampled_from(PIECES) | st.just(raw[at : at + 12]))
        raw = raw[:at] + piece + raw[at + size :]
    return raw


@given(mutated(), st.sampled_from([1, 3, 16, 1 << 20]))
@settings(max_examples=400)
def test_what_we_read_h11_reads_alike(raw: bytes, size: int) -> None:
    """h11 may refuse later or take more; whatever we took, it took before and as the same."""
    ours, _ = understood(raw, size)
    assert ours == of_h11(raw)[: len(ours)]


@given(mutated())
@settings(max_examples=200)
def test_how_bytes_are_cut_is_nothing_to_us(raw: bytes) -> None:
    assert understood(raw) == understood(raw, 1) == understood(raw, 7)


@pytest.mark.parametrize("name", cases())
def test_no_case_is_read_otherwise_when_it_comes_byte_by_byte(name: str) -> None:
    raw = cases()[name]
    if len(raw) < 3000:
        assert understood(raw) == understood(raw, 1)

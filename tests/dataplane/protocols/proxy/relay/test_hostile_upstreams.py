"""Upstreams that answer as none should: refused, or read as h11 does, and what is behind an answer is nobody's."""

import re

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.protocols.proxy.messages import Data, End, Upgraded, UpstreamEvent, UpstreamHead
from dataplane.protocols.proxy.relay.session import UpstreamSession, find_sized
from dataplane.protocols.proxy.session import MAX_HEAD
from dataplane.sansio import PeerError

OK = b"HTTP/1.1 200 OK\r\n"
NEXT = OK + b"Content-Length: 4\r\n\r\nevil"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    "lengths that differ": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "list of lengths": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "signed length": OK + b"Content-Length: +5\r\n\r\nhello",
    "negative length": OK + b"Content-Length: -5\r\n\r\nhello",
    "hex length": OK + b"Content-Length: 0x5\r\n\r\nhello",
    "empty length": OK + b"Content-Length: \r\n\r\nhello",
    "huge length": OK + b"Content-Length: 99999999999999999999\r\n\r\nhello",
    "length and coding": OK + b"Content-Length: 5\r\n" + CHUNKED + b"0\r\n\r\n",
    "coding and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two codings": OK + b"Transfer-Encoding: gzip\r\n" + CHUNKED + b"0\r\n\r\n",
    "two codings reversed": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "list of codings": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "identity": OK + b"Transfer-Encoding: identity\r\n\r\nhello",
    "coding in 1.0": b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"0\r\n\r\n",
    "coding with a space": OK + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "fold": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bare lf": OK + b"X: a\nContent-Length: 0\r\n\r\n",
    "bare lf only": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n" + b"x" * 3 * MAX_HEAD,
    "bare cr": OK + b"X: a\rSet-Cookie: b=c\r\nContent-Length: 0\r\n\r\n",
    "nul": OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "space in a name": OK + b"X Y: a\r\nContent-Length: 0\r\n\r\n",
    "no colon": OK + b"X\r\nContent-Length: 0\r\n\r\n",
    "no name": OK + b": a\r\nContent-Length: 0\r\n\r\n",
    "rtsp": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "empty line first": b"\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "rtsp behind an interim one": b"HTTP/1.1 103 Early Hints\r\n\r\nRTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "ice": b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http 2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http 0.9": b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http 1.10": b"HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http/2 settings": b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0d\r\n\r\n",
    "no version": b"200 OK\r\nContent-Length: 0\r\n\r\n",
    "status of two digits": b"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status zero": b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    "status of letters": b"HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n",
    "interim without end": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3000 + NEXT,
    "interim that is large": b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 3 * MAX_HEAD + b"\r\n\r\n" + NEXT,
    "large head": OK + b"X: " + b"a" * 3 * MAX_HEAD + b"\r\n\r\n",
    "many headers": OK + b"X: a\r\n" * 500 + b"\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "nothing": b"\r\n\r\n\r\n\r\n",
    "chunk with a sign": OK + CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "negative chunk": OK + CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "chunk with 0x": OK + CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunk with a bare lf": OK + CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "chunk that is longer": OK + CHUNKED + b"5\r\nhello world\r\n0\r\n\r\n",
    "chunk beyond 64 bits": OK + CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk without size": OK + CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "trailers without end": OK + CHUNKED + b"0\r\n" + b"X: a\r\n" * MAX_HEAD,
}


def read(raw: bytes, method: bytes = b"GET", *, size: int = 1 << 20, closed: bool = False) -> UpstreamSession:
    session = UpstreamSession(method)
    for start in range(0, len(raw), size):
        session.receive(raw[start : start + size])
    if closed:
        session.receive(b"")
    return session


def whole(raw: bytes, method: bytes = b"GET", *, size: int = 1 << 20, closed: bool = False) -> list[UpstreamEvent]:
    """All events, the pieces of a body as one."""
    joined: list[UpstreamEvent] = []
    for event in read(raw, method, size=size, closed=closed).events():
        if isinstance(event, Data) and joined and isinstance(joined[-1], Data):
            joined[-1] = Data(joined[-1].data + event.data)
        else:
            joined.append(event)
    return joined


def body_of(events: list[UpstreamEvent]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Data))


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("size", [1 << 20, 997])
def test_is_refused_and_never_whole(raw: bytes, size: int) -> None:
    session = read(raw, size=size, closed=True)
    seen: list[UpstreamEvent] = []
    with pytest.raises(PeerError) as caught:
        seen.extend(session.events())
    assert caught.value.code == 502
    assert not session.reusable
    assert find_sized(b"GET", raw) is None


BEHIND = [
    (b"GET", OK + b"Content-Length: 2\r\n\r\nok"),
    (b"GET", OK + b"Content-Length: 0\r\n\r\n"),
    (b"GET", OK + CHUNKED + b"2\r\nok\r\n0\r\n\r\n"),
    (b"GET", OK + CHUNKED + b"2\r\nok\r\n0\r\nX: y\r\n\r\n"),
    (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    (b"GET", b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    (b"GET", b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok"),
]


@pytest.mark.parametrize(("method", "raw"), BEHIND)
@pytest.mark.parametrize("behind", [NEXT, b"\0", b"x", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("size", [1 << 20, 1])
def test_bytes_behind_an_answer_reach_nobody(method: bytes, raw: bytes, behind: bytes, size: int) -> None:
    assert read(raw, method).reusable
    mixed = read(raw + behind, method, size=size)
    assert not mixed.reusable
    assert list(mixed.events())[-1] == End()
    assert whole(raw + behind, method, size=size) == whole(raw, method, size=size)
    assert find_sized(method, raw + behind) is None


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        (b"HEAD", OK + b"\r\n"),
        (b"HEAD", OK + b"Content-Length: 20\r\n\r\n"),
        (b"HEAD", OK + CHUNKED),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 20\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n" + CHUNKED),
        (b"GET", OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n"),
        (b"GET", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (b"GET", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_who_may_have_sent_more_or_will_close_serves_nobody_else(method: bytes, raw: bytes) -> None:
    session = read(raw, method)
    assert list(session.events())[-1] == End()
    assert not session.reusable


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"Content-Length: 5\r\n\r\nhell",
        OK + CHUNKED + b"5\r\nhello\r\n",
        OK + CHUNKED + b"5\r\nhello\r\n0\r\n",
        OK[:9],
        OK,
    ],
)
def test_an_end_before_the_end_is_an_error(raw: bytes) -> None:
    with pytest.raises(PeerError):
        whole(raw, closed=True)


def test_a_switch_is_a_head_and_what_follows_is_no_http() -> None:
    raw = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + NEXT
    head, upgraded = whole(raw)
    assert isinstance(head, UpstreamHead)
    assert (head.status, upgraded) == (101, Upgraded(NEXT))
    assert not read(raw).reusable


GOOD = [raw for _, raw in BEHIND[:4]] + [
    OK + b"\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    + OK
    + b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nok",
]
PIECES = [
    b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b"0", b"5", b"+", b"-", b"x", b"\xff", b"\r\n ",
    b"2\r\nok\r\n", b"Content-Length: 3\r\n", b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 ", b"100", b"204",
]  # fmt: skip


_REASON = re.compile(rb"(\A|\r\n\r\n)(HTTP/1\.[01] [0-9]{3}) [^\r\n]*")
"""A status line: we write reasons of our own, so whatever stands there goes nowhere."""
_TRAILERS = re.compile(rb"(\r\n0+\r\n)(?:[!-~]+:[^\r\n]*\r\n)+(?=\r\n)")
"""They are dropped, so it doesn't matter that h11 refuses some."""


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    raw = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 3))):
        at, size = draw(st.integers(0, len(raw))), draw(st.sampled_from([0, 0, 1, 2, 5]))
        raw = raw[:at] + draw(st.sampled_from(PIECES)) + raw[at + size :]
    return raw


def of_h11(raw: bytes) -> tuple[int, bytes] | None:
    """Status and body of the answer as h11 reads it; None where it doesn't, or sees no end."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(raw)
    client.receive_data(b"")
    status, body = 0, b""
    try:
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            match event:
                case h11.Response(status_code=status):
                    pass
                case h11.Data(data=data):
                    body += data
                case h11.InformationalResponse():
                    continue
                case _:
                    return None
    except h11.RemoteProtocolError:
        return None
    return status, body


def ways_to_say(raw: bytes) -> list[bytes]:
    """This, and without what h11 may refuse and we drop: reasons, trailers."""
    plain = _REASON.sub(rb"\1\2 OK", raw)
    return [raw, plain, _TRAILERS.sub(rb"\1", raw), _TRAILERS.sub(rb"\1", plain)]


@given(mutated(), st.sampled_from([1, 3, 16, 1 << 20]))
@settings(max_examples=400)
def test_what_we_pass_on_as_whole_h11_reads_alike(raw: bytes, size: int) -> None:
    try:
        events = whole(raw, size=size, closed=True)
    except PeerError:
        return
    heads = [event for event in events if isinstance(event, UpstreamHead)]
    if heads[-1].status == 101:
        return
    assert events[-1] == End()
    assert (heads[-1].status, body_of(events)) in [of_h11(each) for each in ways_to_say(raw)]
    assert find_sized(b"GET", raw) in (None, (heads[-1], body_of(events)))

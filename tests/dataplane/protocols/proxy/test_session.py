import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.proxy.messages import Body, Data, End, Event, Interim, Request, Response, ResponseHead
from dataplane.protocols.proxy.session import MAX_HEAD, MAX_HEADERS, MAX_TARGET, HttpSession
from dataplane.sansio import PeerError
from tests.dataplane.protocols.proxy.reading import joined, read


def request(target: bytes = b"/", method: bytes = b"GET", body: Body = Body.NONE, **fields: str) -> Request:
    """A request event with host "a" and these further headers."""
    headers = ((b"host", b"a"), *((key.replace("_", "-").encode(), value.encode()) for key, value in fields.items()))
    keep = fields.get("connection") != "close"
    return Request(method, target, "a", headers, dict(headers), frozenset(), b"1.1", keep, body, "upgrade" in fields)


def encode(event: Event) -> bytes:
    """The other direction: what a client writes for an event of ours, by h11's rules and not by ours."""
    match event:
        case Request():
            lines = b"".join(name + b": " + value + b"\r\n" for name, value in event.headers)
            return b"%s %s HTTP/1.1\r\n%s\r\n" % (event.method, event.target, lines)
        case Data(data=data):
            return b"%x\r\n%s\r\n" % (len(data), data)
        case End():
            return b"0\r\n\r\n"


VECTORS: list[tuple[str, list[Event], bytes]] = [
    ("plain", [request()], b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
    ("query", [request(b"/p?q=1&r")], b"GET /p?q=1&r HTTP/1.1\r\nhost: a\r\n\r\n"),
    ("close", [request(connection="close")], b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
    (
        "pipelined",
        [request(b"/1"), request(b"/2")],
        b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "chunked",
        [request(b"/", b"POST", Body.CHUNKED, transfer_encoding="chunked"), Data(b"abc"), Data(b"d"), End()],
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
    ),
]


def refusal(raw: bytes) -> int:
    with pytest.raises(PeerError) as caught:
        read(raw)
    return caught.value.code


class TestVectors:
    @pytest.mark.parametrize(("events", "raw"), [vector[1:] for vector in VECTORS], ids=[v[0] for v in VECTORS])
    def test_reads(self, events: list[Event], raw: bytes) -> None:
        assert read(raw) == joined(events)

    @pytest.mark.parametrize(("events", "raw"), [vector[1:] for vector in VECTORS], ids=[v[0] for v in VECTORS])
    def test_writes_the_same_bytes(self, events: list[Event], raw: bytes) -> None:
        assert b"".join(map(encode, events)) == raw

    @pytest.mark.parametrize(("events", "raw"), [vector[1:] for vector in VECTORS], ids=[v[0] for v in VECTORS])
    def test_reads_byte_by_byte(self, events: list[Event], raw: bytes) -> None:
        session = HttpSession()
        got: list[Event] = []
        for position in range(len(raw)):
            session.receive(raw[position : position + 1])
            got += session.events()
        assert joined(got) == joined(events)

    @pytest.mark.parametrize("raw", [vector[2] for vector in VECTORS], ids=[v[0] for v in VECTORS])
    def test_truncated_anywhere_is_a_part_and_never_more(self, raw: bytes) -> None:
        whole = joined(read(raw))
        for length in range(len(raw)):
            part = read(raw[:length])
            requests = [event for event in part if isinstance(event, Request)]
            assert requests == [event for event in whole if isinstance(event, Request)][: len(requests)]

    @pytest.mark.parametrize("raw", [vector[2] for vector in VECTORS if vector[0] != "close"])
    def test_trailing_data_belongs_to_the_next_request(self, raw: bytes) -> None:
        assert read(raw + b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n")[-1] == request(b"/next")


class TestStrictness:
    @pytest.mark.parametrize(
        "head",
        [
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
            b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x00c\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n: c\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX y: c\r\n\r\n",
            b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    )
    def test_is_refused(self, head: bytes) -> None:
        assert refusal(head) == 400

    @pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"chunked, gzip", b"xchunked", b"identity"])
    def test_other_transfer_codings_are_not_implemented(self, coding: bytes) -> None:
        assert refusal(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + coding + b"\r\n\r\n") in {400, 501}

    @pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9"])
    def test_other_versions_are_not_served(self, version: bytes) -> None:
        assert refusal(b"GET / " + version + b"\r\nHost: a\r\n\r\n") == 505

    @pytest.mark.parametrize(
        "chunks",
        [b"3\nabc\r\n0\r\n\r\n", b"3 \r\nabc\r\n0\r\n\r\n", b"3\r\nabcX0\r\n\r\n", b"-3\r\nabc\r\n", b"0x3\r\n"],
    )
    def test_malformed_chunks_are_refused(self, chunks: bytes) -> None:
        assert refusal(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks) == 400

    def test_http_1_0_needs_no_host_and_closes(self) -> None:
        (event,) = read(b"GET / HTTP/1.0\r\n\r\n")
        assert isinstance(event, Request)
        assert (event.host, event.keep_alive) == ("", False)
        assert event.headers == ((b"host", b""),)

    @pytest.mark.parametrize("host", [b" HTTP/1.1\r\nHost: b", b" HTTP/1.1\r\nHost: B:80 ", b" HTTP/1.0"])
    def test_the_target_in_absolute_form_names_the_host(self, host: bytes) -> None:
        (event,) = read(b"GET http://B:80/p?q" + host + b"\r\n\r\n")
        assert isinstance(event, Request)
        assert (event.host, event.target) == ("b", b"/p?q")

    def test_space_behind_a_value_is_none_of_it(self) -> None:
        """RFC 9112 5.1; the parser leaves it there."""
        (event, *_) = read(b"POST / HTTP/1.1\r\nHost: a \t\r\nTransfer-Encoding: chunked \r\n\r\n0\r\n\r\n")
        assert isinstance(event, Request)
        assert event.headers == ((b"host", b"a"), (b"transfer-encoding", b"chunked"))
        assert event.body is Body.CHUNKED

    def test_an_end_within_a_request_is_an_error(self) -> None:
        with pytest.raises(PeerError):
            read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na", closed=True)

    def test_an_end_between_requests_is_none(self) -> None:
        assert len(read(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", closed=True)) == 1

    def test_what_was_good_comes_before_the_error(self) -> None:
        session = HttpSession()
        session.receive(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nrubbish\r\n\r\n")
        events = session.events()
        assert next(events) == request()
        with pytest.raises(PeerError):
            next(events)


class TestLimits:
    def test_a_long_target_is_414(self) -> None:
        assert refusal(b"GET /" + b"a" * MAX_TARGET + b" HTTP/1.1\r\nHost: a\r\n\r\n") == 414

    def test_many_headers_are_431(self) -> None:
        assert refusal(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * MAX_HEADERS + b"\r\n") == 431

    @pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
    def test_a_large_head_is_431_whole_or_not(self, end: bytes) -> None:
        assert refusal(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * MAX_HEAD + end) == 431

    def test_a_head_that_trickles_in_is_bounded(self) -> None:
        session = HttpSession()
        session.receive(b"GET / HTTP/1.1\r\nHost: a\r\n")
        with pytest.raises(PeerError, match="head"):
            for _ in range(MAX_HEAD):
                session.receive(b"X: 1\r\n")
                list(session.events())

    def test_trailers_are_bounded(self) -> None:
        session = HttpSession()
        session.receive(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        with pytest.raises(PeerError):
            for _ in range(MAX_HEAD):
                session.receive(b"X: 1\r\n")
                list(session.events())

    def test_a_large_body_is_not(self) -> None:
        body = b"x" * (3 * MAX_HEAD)
        events = read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert b"".join(event.data for event in events if isinstance(event, Data)) == body

    def test_strange_header_names_do_not_fill_memory(self) -> None:
        from dataplane.protocols.proxy import session as module

        for number in range(6000):
            read(b"GET / HTTP/1.1\r\nhost: a\r\nX-%d: 1\r\n\r\n" % number)
        assert len(module._NAMES) <= module._MAX_NAMES


class TestUpgrade:
    RAW = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"

    def test_accepted_the_rest_is_the_new_protocol(self) -> None:
        session = HttpSession()
        session.receive(self.RAW + b"\x81\x00frame")
        event = next(session.events())
        assert isinstance(event, Request)
        assert event.upgrade
        assert session.take_rest() == b"\x81\x00frame"

    def test_ignored_the_rest_is_http(self) -> None:
        events = read(self.RAW + b"GET /2 HTTP/1.1\r\nhost: a\r\n\r\n")
        assert [event.target for event in events if isinstance(event, Request)] == [b"/", b"/2"]


def answer_to(raw: bytes, *messages: Response | ResponseHead | Data | End | Interim) -> bytes:
    session = HttpSession()
    session.receive(raw)
    list(session.events())
    return b"".join(session.send(message) for message in messages)


def as_client(raw: bytes, method: str = "GET", *, closed: bool = False) -> tuple[h11.Response, bytes]:
    """What h11 makes of an answer of ours."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(raw)
    if closed:
        client.receive_data(b"")
    response = client.next_event()
    while isinstance(response, h11.InformationalResponse):
        response = client.next_event()
    assert isinstance(response, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return response, body


class TestAnswers:
    GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    def test_a_whole_one(self) -> None:
        response, body = as_client(answer_to(self.GET, Response(status=404, headers=((b"X", b"1"),), body=b"no")))
        assert (response.status_code, body) == (404, b"no")
        assert (b"x", b"1") in list(response.headers)

    def test_head_gets_the_length_and_no_body(self) -> None:
        raw = answer_to(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", Response(status=200, body=b"body"))
        response, body = as_client(raw, "HEAD")
        assert (dict(response.headers)[b"content-length"], body) == (b"4", b"")

    def test_no_content_has_no_length(self) -> None:
        assert b"Content-Length" not in answer_to(self.GET, Response(status=204))

    def test_an_unknown_length_is_chunked(self) -> None:
        raw = answer_to(self.GET, ResponseHead(status=200), Data(b"ab"), Data(b""), Data(b"c"), End())
        assert as_client(raw)[1] == b"abc"

    def test_http_1_0_gets_it_until_close(self) -> None:
        raw = answer_to(b"GET / HTTP/1.0\r\n\r\n", ResponseHead(status=200), Data(b"abc"), End())
        assert b"chunked" not in raw
        assert as_client(raw, closed=True)[1] == b"abc"

    def test_http_1_0_with_keep_alive_is_told_so(self) -> None:
        raw = answer_to(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Response(status=200))
        assert b"Connection: keep-alive\r\n" in raw

    def test_close_is_announced(self) -> None:
        raw = answer_to(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", Response(status=200))
        assert b"Connection: close\r\n" in raw

    def test_continue(self) -> None:
        raw = answer_to(self.GET, Interim(status=100), Response(status=200, body=b"x"))
        assert raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        assert as_client(raw)[1] == b"x"


@given(st.binary(max_size=300))
def test_garbage_raises_peer_error_and_nothing_else(garbage: bytes) -> None:
    session = HttpSession()
    try:
        session.receive(garbage)
        list(session.events())
        session.receive(b"")
        list(session.events())
    except PeerError:
        return


@given(
    st.lists(
        st.sampled_from(
            [
                b"GET ",
                b"POST ",
                b"/",
                b" HTTP/1.1",
                b"\r\n",
                b"\n",
                b"Host: a",
                b"Content-Length: 3",
                b": ",
                b"abc",
                b"0",
                b"Transfer-Encoding: chunked",
                b"X_Forwarded_For: 1",
                b" ",
                b"\x00",
                b"Connection: upgrade",
                b"Upgrade: x",
            ]
        ),
        max_size=20,
    ),
    st.integers(min_value=1, max_value=40),
)
def test_near_misses_raise_peer_error_and_nothing_else(parts: list[bytes], size: int) -> None:
    raw = b"".join(parts)
    session = HttpSession()
    try:
        for start in range(0, len(raw), size):
            session.receive(raw[start : start + size])
            list(session.events())
    except PeerError:
        return


TOKENS = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
VALUES = st.from_regex(r"[!-~]([ -~]{0,30}[!-~])?", fullmatch=True)
RESERVED = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "expect"}


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.from_regex(r"/[A-Za-z0-9/_.~%=&?-]{0,40}", fullmatch=True),
    st.lists(st.tuples(TOKENS.filter(lambda name: name.lower() not in RESERVED), VALUES), max_size=8),
    st.binary(max_size=200),
)
def test_reads_what_h11_writes(method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> None:
    client = h11.Connection(h11.CLIENT)
    fields = [("Host", "example.com"), *headers, ("Content-Length", str(len(body)))]
    raw = client.send(h11.Request(method=method, target=target, headers=fields)) or b""
    raw += client.send(h11.Data(data=body)) or b""
    raw += client.send(h11.EndOfMessage()) or b""
    first, *rest = read(raw)
    assert isinstance(first, Request)
    assert (first.method, first.target, first.host) == (method.encode(), target.encode(), "example.com")
    assert first.headers[1:-1] == tuple((name.lower().encode(), value.encode()) for name, value in headers)
    assert b"".join(event.data for event in rest if isinstance(event, Data)) == body


class TestUpgradeWithABody:
    """The switch would come behind the body (RFC 9110 7.8); what stands there must not be read as requests."""

    INNER = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

    @pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_is_refused_and_its_body_never_read(self, protocol: bytes, chunked: bool) -> None:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(self.INNER), self.INNER) if chunked else self.INNER
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: %s\r\n%s\r\n\r\n" % (protocol, framing)
        session = HttpSession()
        session.receive(head + body + self.INNER)
        with pytest.raises(PeerError, match="switch protocols"):
            list(session.events())
        session.receive(self.INNER)
        with pytest.raises(PeerError):
            list(session.events())

    def test_a_header_that_asks_for_nothing_does_not_matter(self) -> None:
        """Without `Connection: upgrade` it is not for us (RFC 9110 7.8)."""
        raw = b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc" + self.INNER
        first, *rest = read(raw)
        assert isinstance(first, Request)
        assert not first.upgrade
        assert rest[:2] == [Data(b"abc"), End()]

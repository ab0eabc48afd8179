"""The head for the application: what only we may say is ours, in whatever spelling a client tries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.proxy.identity import Introduction, introduce
from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.onward import Way, foreign_cookies, has_been_here, onward_line, onward_lines
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.trust import Seen
from dataplane.sansio import PeerError

SEEN = Seen("wiki.example.com", "https", "203.0.113.9", "")
WAY = Way(b"", b"", b"garrison-abc")
ALICE = Introduction(b"X-authentik-username: alice\r\n", frozenset({b"x-authentik-username"}))
OURS = (
    b"X-Forwarded-For: 203.0.113.9, 10.0.0.1\r\nX-Forwarded-Host: wiki.example.com\r\nX-Forwarded-Proto: https\r\n"
    b"X-Forwarded-Port: 443\r\nX-Real-IP: 203.0.113.9\r\nVia: 1.1 garrison-abc\r\nX-authentik-username: alice\r\n"
)


def onward_head(request: Request, seen: Seen, peer: str, introduction: Introduction, way: Way) -> bytes:
    """All but what is another for each request."""
    return onward_line(request, way) + onward_lines(request, seen, peer, introduction, way)


def parse(*lines: bytes, target: bytes = b"/", method: bytes = b"GET") -> Request:
    http = HttpSession()
    http.receive(
        b"\r\n".join((method + b" " + target + b" HTTP/1.1", b"Host: Wiki.Example.COM:443", *lines)) + b"\r\n\r\n"
    )
    (request,) = (event for event in http.events() if isinstance(event, Request))
    return request


def head(*lines: bytes, target: bytes = b"/", way: Way = WAY, introduction: Introduction = ALICE) -> bytes:
    return onward_head(parse(*lines, target=target), SEEN, "10.0.0.1", introduction, way)


def middle(*lines: bytes) -> bytes:
    """What is there of the client's own."""
    whole = head(*lines)
    start = b"GET / HTTP/1.1\r\nHost: wiki.example.com\r\n"
    assert whole.startswith(start)
    assert whole.endswith(OURS)
    return whole[len(start) : -len(OURS)]


def test_the_whole_of_a_plain_request() -> None:
    assert middle(b"Accept: text/html", b"X-App: 1", b"Authorization: Bearer x") == (
        b"accept: text/html\r\nx-app: 1\r\nauthorization: Bearer x\r\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        b"X-authentik-username: admin", b"x-AUTHENTIK-username: admin", b"X-authentik-jwt: x", b"X-authentik-new: x",
        b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Host: evil", b"X-Forwarded-Proto: http", b"X-Forwarded-Port: 1",
        b"X-Forwarded-Prefix: /evil", b"X-Forwarded-Anything: x", b"X-Forwarded: x", b"Forwarded: for=6.6.6.6",
        b"X-Real-IP: 6.6.6.6", b"X-Request-Id: evil", b"X-Original-URL: /evil", b"X-Original-Host: evil",
        b"Remote-User: admin", b"Remote-Groups: admins", b"X-Remote-User: admin", b"X-WEBAUTH-USER: admin",
        b"X-Auth-Request-Email: a@b", b"SSL-Client-Verify: SUCCESS", b"X-SSL-Client-Cert: x",
        b"Client-IP: 6.6.6.6", b"X-Client-IP: 6.6.6.6", b"True-Client-IP: 6.6.6.6", b"X-Cluster-Client-IP: 6.6.6.6",
        b"CF-Connecting-IP: 6.6.6.6", b"Fastly-Client-IP: 6.6.6.6", b"X-Host: evil", b"X-Scheme: http",
        b"X-URL-Scheme: http", b"Front-End-Https: on",
        b"X-Rewrite-URL: /evil", b"X-Garrison-Mac: x", b"Proxy: http://evil", b"Expect: 100-continue",
        b"Keep-Alive: 5", b"Proxy-Connection: x", b"Proxy-Authorization: Basic x", b"TE: trailers", b"Trailer: x",
        b"Max-Forwards: 1", b"HTTP2-Settings: x", b"X_Harmless: x", b"X.Harmless: x",
        b"Connection: x-a, close\r\nX-A: b",
        b"Connection: keep-alive, X-A\r\nX-A: b", b"Connection: x-b\r\nConnection: X-A\r\nX-A: b\r\nX-B: c",
        b"Connection: X-A\r\nConnection: close\r\nX-A: b",
    ],
)  # fmt: skip
def test_is_not_passed_on(line: bytes) -> None:
    assert middle(line, b"X-App: 1") == b"x-app: 1\r\n"


@pytest.mark.parametrize(
    "name", [b"X_Authentik_Username", b"X.authentik.username", b"X-authentik_username", b"X_Real_IP"]
)
def test_imitations_are_refused(name: bytes) -> None:
    http = HttpSession()
    http.receive(b"GET / HTTP/1.1\r\nHost: a\r\n" + name + b": admin\r\n\r\n")
    with pytest.raises(PeerError, match="imitates"):
        list(http.events())


OURS_TO_SAY = [line.partition(b":")[0] for line in OURS.split(b"\r\n") if line]


@pytest.mark.parametrize("name", [*(name for name in OURS_TO_SAY if name != b"Via"), b"Host", b"X-Request-Id"])
def test_listing_ours_in_connection_takes_nothing_away(name: bytes) -> None:
    assert middle(b"Connection: " + name + b", close", name + b": evil" if name != b"Host" else b"X-Y: z") in {
        b"", b"x-y: z\r\n",
    }  # fmt: skip


def test_listing_via_in_connection_takes_ours_not_away() -> None:
    assert b"\r\nVia: fred, 1.1 garrison-abc\r\n" in head(b"Connection: via", b"Via: fred")


class TestIntroduction:
    def test_additional_headers_replace_a_clients_own(self) -> None:
        told = introduce(((b"X-Role", b"reader"), (b"Authorization", b"Basic ours")))
        sent = head(b"x-role: admin", b"Authorization: Basic theirs", introduction=told)
        assert sent.endswith(b"X-Role: reader\r\nAuthorization: Basic ours\r\n")
        assert b"admin" not in sent
        assert b"theirs" not in sent

    def test_nobody_but_they_say_what_applications_believe(self) -> None:
        sent = head(b"Remote-User: admin", introduction=introduce(((b"Remote-User", b"alice"),)))
        assert sent.endswith(b"Remote-User: alice\r\n")
        assert b"admin" not in sent

    def test_no_credentials_for_the_application_leave_none_of_the_clients(self) -> None:
        told = introduce(((b"Authorization", b""),))
        assert b"uthorization" not in head(b"Authorization: Basic theirs", introduction=told)

    @pytest.mark.parametrize("name", [b"Expect", b"Via", b"Max-Forwards"])
    def test_what_steers_an_exchange_is_nobodys_attribute(self, name: bytes) -> None:
        assert introduce(((name, b"x"),)) == Introduction(b"", frozenset())


class TestWay:
    def test_the_path_of_the_address_comes_first_and_the_target_stays_as_sent(self) -> None:
        sent = head(target=b"/a%2fb/%41//c;d?x=%zz&y=/../", way=WAY._replace(path=b"/app"))
        assert sent.startswith(b"GET /app/a%2fb/%41//c;d?x=%zz&y=/../ HTTP/1.1\r\n")

    def test_a_question_to_the_whole_server_has_no_path(self) -> None:
        sent = onward_head(parse(target=b"*", method=b"OPTIONS"), SEEN, "10.0.0.1", ALICE, WAY._replace(path=b"/app"))
        assert sent.startswith(b"OPTIONS * HTTP/1.1\r\n")

    def test_another_host_where_one_is_wanted(self) -> None:
        sent = head(way=WAY._replace(host=b"internal:8080"))
        assert b"\r\nHost: internal:8080\r\n" in sent
        assert b"\r\nX-Forwarded-Host: wiki.example.com\r\n" in sent

    @pytest.mark.parametrize(
        ("seen", "port"),
        [
            (SEEN, b"443"), (SEEN._replace(scheme="http"), b"80"), (SEEN._replace(host="a:8443"), b"8443"),
            (SEEN._replace(host="[::1]"), b"443"), (SEEN._replace(host="[::1]:81"), b"81"),
        ],
    )  # fmt: skip
    def test_the_port(self, seen: Seen, port: bytes) -> None:
        assert b"\r\nX-Forwarded-Port: " + port + b"\r\n" in onward_head(parse(), seen, "10.0.0.1", ALICE, WAY)

    def test_a_peer_that_is_the_client_stands_there_once(self) -> None:
        assert b"\r\nX-Forwarded-For: 203.0.113.9\r\n" in onward_head(parse(), SEEN, "203.0.113.9", ALICE, WAY)

    def test_trusted_hops_stand_between_the_client_and_the_peer(self) -> None:
        seen = SEEN._replace(client="10.0.0.1", hops=("10.0.0.9", "10.0.0.1"))
        assert b"\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.9, 10.0.0.1, 10.0.0.1\r\n" in onward_head(
            parse(), seen, "10.0.0.1", ALICE, WAY
        )


class TestLoops:
    def test_who_came_before_stays_in_via(self) -> None:
        sent = head(b"Via: 1.0 fred, 1.1 p.example.net (Apache)", b"Via: 2 edge")
        assert b"\r\nVia: 1.0 fred, 1.1 p.example.net (Apache), 2 edge, 1.1 garrison-abc\r\n" in sent

    @pytest.mark.parametrize(
        "line",
        [
            b"Via: 1.1 garrison-abc",
            b"Via: 1.0 fred,1.1 garrison-abc (x), 1.1 y",
            b"Via: 1.0 fred\r\nVia: HTTP/1.1 garrison-abc",
        ],
    )
    def test_finds_itself(self, line: bytes) -> None:
        assert has_been_here(parse(line), WAY)

    @pytest.mark.parametrize("line", [b"Via: 1.1 garrison-abcd", b"Via: 1.1 other", b"X: garrison-abc"])
    def test_others_are_no_loop(self, line: bytes) -> None:
        assert not has_been_here(parse(line), WAY)


class TestCookies:
    def test_ours_go_and_others_stay_as_they_are(self) -> None:
        sent = b'a=1; authentik_proxy_12345678=1.x; b="x y"; authentik_proxy_12345678_1=y; c=d=e'
        assert foreign_cookies(sent) == b'a=1; b="x y"; c=d=e'

    def test_without_ours_not_a_byte_changes(self) -> None:
        sent = b"a=1;b=2 ;  c; ;d"
        assert foreign_cookies(sent) is sent

    @pytest.mark.parametrize(
        "sent",
        [
            b"authentik_proxy_1=x", b"authentik_proxy_1=x;", b" ;authentik_proxy_1=x", b"\tauthentik_proxy_1=x",
            b"AUTHENTIK_PROXY_1=x", b"Authentik_proxy_1 = x", b"authentik_proxy_1", b'"authentik_proxy_1"=x',
            b"authentik_proxy_=x", b"authentik_proxy_1=x; authentik_proxy_1=y",
            b"=authentik_proxy_1=x", b" ==authentik_proxy_1",
        ],
    )  # fmt: skip
    def test_in_odd_spellings(self, sent: bytes) -> None:
        assert foreign_cookies(sent) == b""

    @pytest.mark.parametrize(
        "sent", [b"a=b, authentik_proxy_1=x", b"a=b authentik_proxy_1=x", b'a="authentik_proxy_1=x"']
    )
    def test_where_a_lenient_reader_might_find_one(self, sent: bytes) -> None:
        assert foreign_cookies(sent + b"; c=d") == b"c=d"

    def test_the_header_goes_when_it_is_empty(self) -> None:
        assert middle(b"Cookie: authentik_proxy_1=x") == b""
        assert middle(b"Cookie: authentik_proxy_1=x", b"Cookie: a=b") == b"Cookie: a=b\r\n"

    @given(st.lists(st.sampled_from([b"authentik_proxy_1=x", b"a=b", b";", b" ", b",", b'"', b"AUTHENTIK_PROXY_"])))
    def test_nothing_that_begins_like_ours_is_left(self, pieces: list[bytes]) -> None:
        left = foreign_cookies(b"".join(pieces))
        assert not any(piece.strip(b' \t"').lower().startswith(b"authentik_proxy_") for piece in left.split(b";"))


@given(
    st.lists(
        st.tuples(
            st.from_regex(rb"[A-Za-z0-9-]{1,20}", fullmatch=True), st.from_regex(rb"[!-~]{0,20}", fullmatch=True)
        ),
        max_size=8,
    )
)
def test_every_line_is_one_header_and_ours_come_last(headers: list[tuple[bytes, bytes]]) -> None:
    lines = [
        b"%s: %s" % header
        for header in headers
        if header[0].lower() not in {b"host", b"content-length", b"transfer-encoding", b"upgrade"}
    ]
    try:
        sent = head(*lines)
    except (PeerError, ValueError):
        return
    assert sent.endswith(OURS)
    names = [line.partition(b":")[0].lower() for line in sent.split(b"\r\n")[1:-1]]
    for name in {line.partition(b":")[0].lower() for line in OURS.split(b"\r\n")[:-1]} | {b"host"}:
        assert names.count(name) == 1

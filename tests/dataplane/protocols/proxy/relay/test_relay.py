"""The front door on real sockets, before an upstream that plays tricks."""

import re
from pathlib import Path

import gevent
import h11
import pytest

from dataplane.config import Edit
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.builders import OPTIONS, WIKI
from tests.dataplane.protocols.proxy.servers import Peer, connect, fetch, read_all, read_head, running, upstream

GET = b"GET /page?q=1 HTTP/1.1\r\nHost: sso.example.com\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web.sock"


def heads_seen(path: Path, *requests: bytes, trusted: tuple[str, ...] = ()) -> list[dict[str, list[str]]]:
    """The headers that the upstream gets for each request."""
    seen: list[dict[str, list[str]]] = []

    def play(peer: Peer) -> None:
        headers: dict[str, list[str]] = {}
        for line in read_head(peer).split(b"\r\n")[1:-2]:
            name, _, value = line.decode().partition(": ")
            headers.setdefault(name.lower(), []).append(value)
        seen.append(headers)
        peer.sendall(OK)

    with upstream(path, play), running(path, trusted=trusted) as (_, port):
        for raw in requests:
            assert fetch(port, raw)[1] == b"ok"
    return seen


class TestHeaders:
    def test_the_request_arrives_with_what_we_say_of_the_client(self, path: Path) -> None:
        (seen,) = heads_seen(path, GET + b"Accept: x\r\nCookie: a=b\r\nAuthorization: Basic eDp5\r\n\r\n")
        assert seen.pop("x-request-id")[0]
        assert seen == {
            "host": ["sso.example.com"],
            "accept": ["x"],
            "cookie": ["a=b"],
            "authorization": ["Basic eDp5"],
            "connection": ["close"],
            "x-forwarded-for": ["127.0.0.1"],
            "x-forwarded-host": ["sso.example.com"],
            "x-forwarded-proto": ["http"],
        }

    FORGED = (
        b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\n"
        b"X-Forwarded-Prefix: /evil\r\n"
        b"X-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Request-Id: evil\r\n"
        b"X-authentik-username: admin\r\nX-Original-URL: /evil\r\n"
    )

    def test_an_untrusted_clients_claims_are_stripped(self, path: Path) -> None:
        """CVE-2026-35051: the whole X-Forwarded-* family, not only the known ones."""
        (seen,) = heads_seen(path, GET + self.FORGED + b"\r\n")
        assert "evil" not in str(seen)
        assert "6.6.6.6" not in str(seen)
        assert not [
            name for name in seen if name.startswith("x-authentik") or name in {"x-forwarded-prefix", "x-real-ip"}
        ]

    def test_a_trusted_peers_word_about_the_client_counts(self, path: Path) -> None:
        told = (
            b"X-Forwarded-For: 6.6.6.6, 198.51.100.1\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Proto: https\r\n"
            b"X-Request-Id: id-1\r\n"
        )
        (seen,) = heads_seen(path, GET + told + b"\r\n", trusted=("127.0.0.0/8",))
        assert seen["x-forwarded-for"] == ["198.51.100.1"]
        assert seen["x-forwarded-host"] == ["app.test"]
        assert seen["x-forwarded-proto"] == ["https"]
        assert seen["x-request-id"] == ["id-1"]

    @pytest.mark.parametrize(
        "managed", ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id", "Host", "Cookie"]
    )
    def test_cve_2024_45410_connection_removes_a_managed_header(self, path: Path, managed: str) -> None:
        listing = f"Connection: {managed.lower()}, X-Other, close\r\nX-Other: 1\r\nCookie: a=b\r\n\r\n"
        (seen,) = heads_seen(path, GET + listing.encode())
        assert managed.lower() in seen
        assert "x-other" not in seen

    def test_hop_by_hop_headers_end_here(self, path: Path) -> None:
        hop = b"Keep-Alive: 1\r\nTE: trailers\r\nProxy-Authorization: x\r\nProxy-Connection: x\r\nTrailer: x\r\n"
        (seen,) = heads_seen(
            path, GET + hop + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n\r\n"
        )
        assert not {
            "keep-alive",
            "te",
            "proxy-authorization",
            "proxy-connection",
            "trailer",
            "upgrade",
            "http2-settings",
        } & set(seen)

    def test_odd_names_do_not_get_through(self, path: Path) -> None:
        (seen,) = heads_seen(path, GET + b"X_Other: 1\r\nX.Other: 1\r\n\r\n")
        assert not [name for name in seen if "other" in name]

    def test_the_answers_hop_by_hop_headers_end_here_too(self, path: Path) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(
                b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\n"
                b"X-End: 1\r\nContent-Length: 2\r\n\r\nok"
            )

        with upstream(path, play), running(path) as (_, port):
            response, _ = fetch(port, GET + b"\r\n")
        names = [name for name, _ in response.headers]
        assert b"x-end" in names
        assert not {b"x-hop", b"keep-alive"} & set(names)


def answered(
    path: Path, answer: bytes, request: bytes = GET + b"\r\n", method: str = "GET"
) -> tuple[h11.Response, bytes]:
    def play(peer: Peer) -> None:
        read_head(peer)
        peer.sendall(answer)

    with upstream(path, play), running(path) as (_, port):
        return fetch(port, request, method)


class TestBodies:
    @pytest.mark.parametrize(
        "answer",
        [
            OK,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX: trailer\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\n\r\nok",
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
        ],
        ids=["sized", "chunked", "until close", "http 1.0", "interim first"],
    )
    def test_each_framing_arrives_whole(self, path: Path, answer: bytes) -> None:
        response, body = answered(path, answer)
        assert (response.status_code, body) == (200, b"ok")

    @pytest.mark.parametrize(
        "answer", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"]
    )
    def test_answers_without_a_body(self, path: Path, answer: bytes) -> None:
        assert answered(path, answer)[1] == b""

    def test_an_answer_to_head_keeps_its_length(self, path: Path) -> None:
        head = b"HEAD / HTTP/1.1\r\nHost: sso\r\n\r\n"
        response, body = answered(path, b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", head, "HEAD")
        assert (dict(response.headers)[b"content-length"], body) == (b"77", b"")

    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_request_body_arrives_whole(self, path: Path, chunked: bool) -> None:  # pytest's way
        sent = bytes(range(256)) * 2000
        received: list[bytes] = []

        def play(peer: Peer) -> None:
            server = h11.Connection(h11.SERVER)
            body = b""
            while not isinstance(event := server.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    server.receive_data(peer.recv(65536))
                elif isinstance(event, h11.Data):
                    body += event.data
            received.append(body)
            peer.sendall(OK)

        framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % len(sent)
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(sent), sent) if chunked else sent
        with upstream(path, play), running(path) as (_, port):
            assert fetch(port, b"POST / HTTP/1.1\r\nHost: sso\r\n" + framing + body)[1] == b"ok"
        assert received == [sent]

    def test_who_waits_for_100_continue_gets_it(self, path: Path) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            assert peer.recv(3) == b"abc"
            peer.sendall(OK)

        with upstream(path, play), running(path) as (_, port), connect(port) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: sso\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            assert read_head(client) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"abc")
            assert read_head(client).startswith(b"HTTP/1.1 200 OK\r\n")

    def test_the_connection_goes_on_after_a_body(self, path: Path) -> None:
        def play(peer: Peer) -> None:
            if b"content-length: 3" in read_head(peer).lower():
                peer.recv(3)
            peer.sendall(OK)

        post = b"POST / HTTP/1.1\r\nHost: sso\r\nContent-Length: 3\r\n\r\nabc"
        with upstream(path, play), running(path) as (_, port), connect(port) as client:
            client.sendall(post + post + GET + b"Connection: close\r\n\r\n")
            assert read_all(client).count(b"\r\n\r\nok") == 3

    def test_an_early_answer_ends_the_connection(self, path: Path) -> None:
        """What is left of the body must not be taken for a request."""

        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")

        inner = b"GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: x\r\n\r\n"
        with upstream(path, play), running(path) as (_, port), connect(port) as client:
            begun = b"x" * 2000 + inner
            client.sendall(b"POST / HTTP/1.1\r\nHost: sso\r\nContent-Length: 100000\r\n\r\n" + begun)
            answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nConnection: close\r\n" in answer
        assert b"204" not in answer

    def test_memory_stays_flat_before_a_slow_client(self, path: Path) -> None:
        """The upstream can't run ahead: what it can send is bounded by what the client takes."""
        sent = 0

        def play(peer: Peer) -> None:
            nonlocal sent
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            for _ in range(1000):
                peer.sendall(b"x" * 100_000)
                sent += 100_000

        with upstream(path, play), running(path) as (_, port), connect(port) as client:
            client.sendall(GET + b"\r\n")
            read_head(client)
            before = -1
            with gevent.Timeout(30):
                while sent != before:
                    before = sent
                    gevent.sleep(0.1)
            assert sent < 20_000_000


class TestFailures:
    def test_nobody_there_is_502_with_a_page(self, path: Path) -> None:
        with running(path) as (server, port):
            response, body = fetch(port, GET + b"Accept: text/html\r\n\r\n")
            assert (response.status_code, dict(response.headers)[b"retry-after"]) == (502, b"5")
            assert b"doesn&#39;t answer" in body or b"doesn't answer" in body
            assert {"reason": "bad_gateway"} in [sample["labels"] for sample in server.metrics()["counters"]]

    @pytest.mark.parametrize(
        "answer", [b"", b"rubbish\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n"]
    )
    def test_a_broken_answer_is_502(self, path: Path, answer: bytes) -> None:
        assert answered(path, answer)[0].status_code == 502

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
        ],
    )
    def test_half_an_answer_does_not_look_whole(self, path: Path, answer: bytes) -> None:
        with pytest.raises((ConnectionResetError, h11.RemoteProtocolError)):
            answered(path, answer)

    def test_a_posts_body_is_not_taken_for_a_request_when_nobody_is_there(self, path: Path) -> None:
        inner = b"GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: x\r\n\r\n"
        with running(path) as (_, port), connect(port) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: sso\r\nContent-Length: 5000\r\n\r\n" + inner)
            assert b"204" not in read_all(client)

    def test_a_client_that_leaves_is_not_the_upstreams_fault(self, path: Path) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
            peer.sendall(b"x" * 50_000_000)

        with upstream(path, play), running(path) as (server, port):
            with connect(port) as client:
                client.sendall(GET + b"\r\n")
                read_head(client)
            until(lambda: not server.connections)
            assert {"reason": "bad_gateway"} not in [sample["labels"] for sample in server.metrics()["counters"]]


class TestWebSocket:
    ASK = (
        GET
        + b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
        + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    ACCEPT = (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )

    def test_flows_both_ways_until_one_side_ends(self, path: Path) -> None:
        asked: list[bytes] = []

        def play(peer: Peer) -> None:
            asked.append(read_head(peer))
            peer.sendall(self.ACCEPT + b"hello ")
            while data := peer.recv(100):
                peer.sendall(data.upper())
            peer.sendall(b"bye")

        with upstream(path, play), running(path) as (_, port), connect(port) as client:
            client.sendall(self.ASK + b"early ")
            head = read_head(client)
            assert head.startswith(b"HTTP/1.1 101 ")
            assert re.search(rb"(?i)\r\nsec-websocket-accept: s3pP", head)
            assert re.search(rb"(?i)\r\nupgrade: websocket\r\n", head)
            client.sendall(b"late")
            client.shutdown(1)
            assert read_all(client) == b"hello EARLY LATEbye"
        assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in asked[0]

    def test_ends_with_the_upstream(self, path: Path) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(self.ACCEPT)

        with upstream(path, play), running(path) as (server, port), connect(port) as client:
            client.sendall(self.ASK)
            read_head(client)
            assert client.recv(10) == b""
            client.close()
            until(lambda: not server.connections)

    def test_refused_it_is_an_answer_as_any(self, path: Path) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

        with upstream(path, play), running(path) as (_, port):
            response, body = fetch(port, self.ASK)
            assert (response.status_code, body) == (403, b"no")


class TestWhoIsServed:
    def test_hosts_of_applications_are_not_passed_on(self, path: Path) -> None:
        with running(path) as (server, port):
            prepared, refused = server.prepare(Edit(changed={"options": OPTIONS, "provider/p1": WIKI}))
            assert not refused
            server.commit(prepared)
            response, _ = fetch(port, b"GET / HTTP/1.1\r\nHost: wiki.example.com\r\n\r\n")
            assert response.status_code == 404
            assert fetch(port, GET + b"\r\n")[0].status_code == 502

    def test_our_own_paths_are_not_passed_on(self, path: Path) -> None:
        with running(path) as (_, port):
            start = b"GET /outpost.goauthentik.io/start HTTP/1.1\r\nHost: sso.example.com\r\n\r\n"
            assert fetch(port, start)[0].status_code == 503

    def test_checks_at_controls_own_host_are_answered_by_their_headers(self, path: Path) -> None:
        ask = b"GET /outpost.goauthentik.io/auth/nginx HTTP/1.1\r\nHost: wiki.example.com\r\nX-Original-URL: https://wiki.example.com/\r\n\r\n"
        with running(path) as (server, port):
            server.commit(server.prepare(Edit(changed={"options": OPTIONS, "provider/p1": WIKI}))[0])
            assert fetch(port, ask)[0].status_code == 401

"""What a client may take of the upstream through the front door: not its time, and no more than its share."""

import socket
from dataclasses import replace
from pathlib import Path

import gevent
import pytest

from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.servers import (
    QUICK,
    QUICK_RELAY,
    Peer,
    connect,
    fetch,
    limit_hits,
    read_all,
    read_head,
    running,
    upstream,
)

GET = b"GET / HTTP/1.1\r\nHost: sso.example.com\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TRUSTED = ("127.0.0.0/8",)
UNHURRIED = replace(QUICK_RELAY, stall=30, lag=60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web.sock"


def post(length: int, begun: bytes = b"", *more: bytes) -> bytes:
    head = [b"POST / HTTP/1.1", b"Host: sso.example.com", b"Content-Length: %d" % length, *more]
    return b"\r\n".join([*head, b"", begun])


class Upstream:
    """Answers when told to, and knows how many wait."""

    def __init__(self) -> None:
        self.dialled = 0
        self.heads: list[bytes] = []
        self.open = gevent.event.Event()

    def __call__(self, peer: Peer) -> None:
        self.dialled += 1
        self.heads.append(read_head(peer))
        self.open.wait(5)
        peer.sendall(OK)


def test_an_answer_that_comes_in_a_drain_says_that_it_is_the_last(path: Path) -> None:
    waiting = Upstream()
    with upstream(path, waiting), running(path) as (server, port), connect(port) as client:
        client.sendall(GET)
        until(lambda: waiting.dialled)
        gevent.spawn(server.drain, 5)
        gevent.sleep(0)
        waiting.open.set()
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close\r\n" in answer


class TestBodies:
    @pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
    def test_a_slow_body_costs_the_upstream_nothing(self, path: Path, framing: bytes) -> None:
        """Else a few of them would keep every thread of the control plane for ever."""
        control = Upstream()
        control.open.set()
        with upstream(path, control), running(path) as (server, port), connect(port) as slow:
            slow.sendall(b"POST /-/enrol HTTP/1.1\r\nHost: sso.example.com\r\n" + framing + b"\r\n\r\n1")
            assert fetch(port, GET)[1] == b"ok"
            assert control.dialled == 1
            assert read_all(slow).startswith(b"HTTP/1.1 408 ")
            assert control.dialled == 1
            assert limit_hits(server)["slow_body"] == 1

    def test_trickling_does_not_help(self, path: Path) -> None:
        control = Upstream()
        with upstream(path, control), running(path) as (server, port), connect(port) as slow:
            slow.sendall(post(1000))

            def trickle() -> bool:
                slow.sendall(b" ")
                return bool(limit_hits(server).get("slow_body"))

            until(trickle)
            assert control.dialled == 0

    def test_a_small_body_arrives_with_its_request(self, path: Path) -> None:
        seen: list[bytes] = []

        def play(peer: Peer) -> None:
            seen.append(peer.recv(65536))
            peer.sendall(OK)

        with upstream(path, play), running(path, relay=UNHURRIED) as (_, port), connect(port) as client:
            client.sendall(post(6, b"abc"))
            assert fetch(port, b"GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: x\r\n\r\n")[0].status_code == 204
            client.sendall(b"def")
            assert read_head(client).startswith(b"HTTP/1.1 200 ")
        assert seen[0].endswith(b"\r\n\r\nabcdef")

    def test_a_large_body_has_to_keep_its_pace(self, path: Path) -> None:
        ended = gevent.event.Event()

        def play(peer: Peer) -> None:
            read_all(peer)
            ended.set()

        with upstream(path, play), running(path) as (server, port), connect(port) as slow:
            slow.sendall(post(1_000_000, b"x" * 5000))
            assert ended.wait(5)
            assert read_all(slow).startswith(b"HTTP/1.1 408 ")
            assert limit_hits(server)["slow_body"] == 1

    def test_only_so_many_large_bodies_at_once(self, path: Path) -> None:
        control = Upstream()
        with (
            upstream(path, control),
            running(path, relay=UNHURRIED) as (server, port),
            connect(port) as first,
            connect(port) as second,
        ):
            first.sendall(post(100_000, b"x" * 5000))
            until(lambda: control.dialled)
            second.sendall(post(100_000, b"x" * 5000))
            assert read_all(second).startswith(b"HTTP/1.1 503 ")
            assert limit_hits(server) == {"large_uploads": 1}
            first.sendall(b"x" * 95_000)
            control.open.set()
            assert read_head(first).startswith(b"HTTP/1.1 200 ")
            first.sendall(post(100_000, b"x" * 100_000))
            assert read_head(first).startswith(b"ok")  # and the next answer behind it: the place is free again


class TestAnswers:
    def test_who_does_not_read_keeps_the_upstream_no_longer_than_it_takes_to_send(self, path: Path) -> None:
        sent = gevent.event.Event()

        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7000000\r\n\r\n" + b"x" * 7_000_000)
            assert peer.recv(1) == b""
            sent.set()

        limits = replace(QUICK, write=60)
        with (
            upstream(path, play),
            running(path, relay=UNHURRIED, limits=limits) as (server, port),
            connect(port) as client,
        ):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(GET)
            assert sent.wait(30)
            # The client's own time is far from over.
            assert (server.connections, limit_hits(server)) == (1, {})

    def test_who_does_not_read_is_let_go(self, path: Path) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n")
            for _ in range(900):
                peer.sendall(b"x" * 100_000)

        with upstream(path, play), running(path) as (server, port), connect(port) as client:
            client.sendall(GET)
            until(lambda: limit_hits(server).get("slow_reader"))
            with pytest.raises(ConnectionResetError):
                read_all(client)
            until(lambda: not server.connections)


class TestShares:
    def test_a_client_has_its_share_and_no_more(self, path: Path) -> None:
        control = Upstream()
        with upstream(path, control), running(path) as (server, port), connect(port) as one, connect(port) as two:
            one.sendall(GET)
            two.sendall(GET)
            until(lambda: control.dialled == 2)
            assert fetch(port, GET)[0].status_code == 503
            assert limit_hits(server) == {"exchanges_per_client": 1}
            control.open.set()
            assert read_head(one).startswith(b"HTTP/1.1 200 ")
            assert fetch(port, GET)[1] == b"ok"

    @pytest.mark.parametrize(("trusted", "status"), [(TRUSTED, 200), ((), 503)])
    def test_a_client_is_whom_a_trusted_peer_names(self, path: Path, trusted: tuple[str, ...], status: int) -> None:
        control = Upstream()

        def of(address: bytes) -> bytes:
            return GET[:-2] + b"X-Forwarded-For: " + address + b"\r\n\r\n"

        with (
            upstream(path, control),
            running(path, trusted=trusted) as (_, port),
            connect(port) as one,
            connect(port) as two,
        ):
            one.sendall(of(b"198.51.100.1"))
            two.sendall(of(b"198.51.100.1"))
            until(lambda: control.dialled == 2)
            assert fetch(port, of(b"198.51.100.1"))[0].status_code == 503
            gevent.spawn_later(0.4, control.open.set)  # longer than anyone waits for a turn
            assert fetch(port, of(b"198.51.100.2"))[0].status_code == status

    def test_an_open_websocket_is_no_exchange_any_more(self, path: Path) -> None:
        key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        ask = GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + key + b"\r\n"
        accept = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

        def play(peer: Peer) -> None:
            if b"websocket" not in read_head(peer):
                peer.sendall(OK)
                return
            peer.sendall(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + accept + b"\r\n")
            peer.recv(1)

        with upstream(path, play), running(path) as (_, port), connect(port) as one, connect(port) as two:
            for client in (one, two):
                client.sendall(ask)
                assert read_head(client).startswith(b"HTTP/1.1 101 ")
            assert fetch(port, GET)[1] == b"ok"


class TestFraming:
    """What delimits a body is written by us, whatever anybody says of it (RFC 9112 6.3)."""

    @pytest.mark.parametrize(
        ("request_", "framing"),
        [
            (post(3, b"abc", b"Connection: content-length"), b"Content-Length: 3"),
            (post(3, b"abc"), b"Content-Length: 3"),
            (post(0), b"Content-Length: 0"),
            (post(5000, b"x" * 5000, b"Connection: content-length"), b"Content-Length: 5000"),
            (
                b"POST / HTTP/1.1\r\nHost: sso\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
                b"Content-Length: 1",
            ),
            (GET, None),
        ],
        ids=["listed in Connection", "small", "empty", "large", "chunked and small", "none"],
    )
    def test_of_requests(self, path: Path, request_: bytes, framing: bytes | None) -> None:
        control = Upstream()
        control.open.set()
        with upstream(path, control), running(path) as (_, port):
            assert fetch(port, request_)[1] == b"ok"
        lines = control.heads[0].split(b"\r\n")
        found = [line for line in lines if line.lower().startswith((b"content-length", b"transfer-encoding"))]
        assert found == ([framing] if framing else [])

    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            (b"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok", 200),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 502),
            (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 502),
            (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204),
        ],
        ids=["listed in Connection", "gzip as transfer coding", "a switch nobody asked for", "204 with a length"],
    )
    def test_of_answers(self, path: Path, answer: bytes, status: int) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(answer)

        with upstream(path, play), running(path) as (_, port):
            response, body = fetch(port, GET)
        assert response.status_code == status
        assert status != 200 or body == b"ok"
        assert status != 204 or b"content-length" not in dict(response.headers)

    def test_http_1_0_is_never_told_to_continue(self, path: Path) -> None:
        """RFC 9110 10.1.1."""
        control = Upstream()
        control.open.set()
        with upstream(path, control), running(path) as (_, port), connect(port) as client:
            client.sendall(post(2, b"ab", b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert read_all(client).startswith(b"HTTP/1.1 200 ")

    def test_a_client_that_closes_its_side_behind_its_request_broke_nothing(self, path: Path) -> None:
        control = Upstream()
        control.open.set()
        with upstream(path, control), running(path) as (server, port), connect(port) as client:
            client.sendall(post(3, b"abc"))
            client.shutdown(1)
            assert read_all(client).endswith(b"\r\n\r\nok")
            labels = [each["labels"] for each in server.metrics()["counters"]]
        assert {"reason": "malformed"} not in labels

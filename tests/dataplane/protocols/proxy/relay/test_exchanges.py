"""One exchange with an application: what passes when, and whose fault what is."""

import re
from contextlib import suppress
from dataclasses import replace

import gevent
import pytest

from dataplane.protocols.proxy.relay.exchange import Failure
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.relay.applications import (
    CHUNKED,
    GET,
    OK,
    PATIENT,
    application,
    post,
    read_body,
)
from tests.dataplane.protocols.proxy.servers import Peer, connect, fetch, read_all, read_head


class TestInterim:
    HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nSet-Cookie: a=b\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"

    def test_it_passes_before_the_answer_is_there(self) -> None:
        go = gevent.event.Event()

        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(self.HINTS)
            go.wait(5)
            peer.sendall(OK)

        with application(play) as app, connect(app.port) as client:
            client.sendall(GET)
            assert read_head(client) == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
            go.set()
            assert read_head(client).startswith(b"HTTP/1.1 200 ")

    @pytest.mark.parametrize(
        ("request_", "interim"),
        [(GET.replace(b"1.1", b"1.0"), HINTS), (GET, b"HTTP/1.1 100 Continue\r\n\r\n")],
        ids=["to HTTP/1.0", "100 that nobody waits for"],
    )
    def test_it_does_not(self, request_: bytes, interim: bytes) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(interim + OK)

        with application(play) as app, connect(app.port) as client:
            client.sendall(request_)
            assert read_head(client).startswith(b"HTTP/1.1 200 ")

    def test_work_that_takes_long_may_say_so_often(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            for _ in range(50):
                peer.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
                gevent.sleep(0)
            peer.sendall(OK)

        with application(play) as app:
            assert fetch(app.port, GET)[0].status_code == 200

    def test_a_flood_of_them_is_no_answer(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            while True:
                peer.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)

        with application(play) as app, connect(app.port) as client:
            client.sendall(GET)
            assert b"HTTP/1.1 502 " in read_all(client)
            assert app.last().failure is Failure.MALFORMED


class TestContinue:
    LARGE = post(100_000, b"Expect: 100-continue")

    def test_a_small_body_is_asked_for_by_us(self) -> None:
        bodies: list[bytes] = []

        def play(peer: Peer) -> None:
            bodies.append(peer.recv(1000))
            peer.sendall(OK)

        with application(play) as app, connect(app.port) as client:
            client.sendall(post(3, b"Expect: 100-continue"))
            assert read_head(client) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"abc")
            assert read_head(client).startswith(b"HTTP/1.1 200 ")
        assert bodies[0].endswith(b"\r\n\r\nabc")
        assert b"expect" not in bodies[0].lower()

    @pytest.mark.parametrize("asks", [True, False], ids=["it asks", "it never does"])
    def test_a_large_one_by_the_application(self, asks: bool) -> None:
        got: list[bytes] = []

        def play(peer: Peer) -> None:
            got.append(read_head(peer))
            if asks:
                peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while len(got[-1]) < 100_000 and (data := peer.recv(65536)):
                got.append(got.pop() + data if len(got) > 1 else data)
            peer.sendall(OK)

        with application(play) as app, connect(app.port) as client:
            client.sendall(self.LARGE)
            assert read_head(client) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"x" * 100_000)
            assert read_head(client).startswith(b"HTTP/1.1 200 ")
            assert app.last().received == 100_000
        assert b"\r\nExpect: 100-continue\r\n" in got[0]
        assert got[1] == b"x" * 100_000

    def test_an_application_that_does_not_want_it(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
            assert peer.recv(1) == b""

        with application(play, limits=replace(PATIENT, ask=30)) as app, connect(app.port) as client:
            client.sendall(self.LARGE)
            answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 417 ")
        assert b"\r\nConnection: close\r\n" in answer
        assert b"100 Continue" not in answer

    def test_nobody_is_asked_for_a_body_by_an_application_that_is_away(self) -> None:
        with application(None) as app, connect(app.port) as client:
            client.sendall(self.LARGE)
            assert b" 502 " in read_head(client)


class TestUploads:
    def test_chunks_are_framed_anew_and_trailers_dropped(self) -> None:
        """CVE-2023-41419, CVE-2025-58068: what stands behind a body never becomes a header or a request."""
        raw: list[bytes] = []

        def play(peer: Peer) -> None:
            data = b""
            while b"\r\n0\r\n" not in data and (piece := peer.recv(65536)):
                data += piece
            raw.append(data)
            peer.sendall(OK)

        pieces = b"".join(b"%x;ext=1\r\n%s\r\n" % (30_000, b"y" * 30_000) for _ in range(4))
        trailers = b"0\r\nX-Forged: 1\r\nHost: forged\r\n\r\n"
        with application(play) as app, connect(app.port) as client:
            client.sendall(CHUNKED + pieces + trailers + GET)
            assert read_head(client).startswith(b"HTTP/1.1 200 ")
            until(lambda: app.outcomes)
        assert raw[0].endswith(b"\r\n0\r\n\r\n")
        assert b"Forged" not in raw[0]
        assert b"ext=" not in raw[0]
        assert re.search(rb"\r\nTransfer-Encoding: chunked\r\n", raw[0])

    def test_small_chunks_go_on_as_what_came_at_once(self) -> None:
        """Each by itself would be a packet."""
        raw: list[bytes] = []

        def play(peer: Peer) -> None:
            data = b""
            while not data.endswith(b"\r\n0\r\n\r\n") and (piece := peer.recv(65536)):
                data += piece
            raw.append(data)
            peer.sendall(OK)

        with application(play) as app, connect(app.port) as client:
            client.sendall(CHUNKED + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
            assert read_head(client).startswith(b"HTTP/1.1 200 ")
            assert app.last().received == 100_000
        chunks = re.findall(rb"([0-9a-f]+)\r\nx+\r\n", raw[0])
        assert sum(int(size, 16) for size in chunks) == 100_000
        assert len(chunks) < 150

    def test_it_flows_while_it_comes(self) -> None:
        """A client and an application may talk by turns, within one exchange."""

        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while (data := peer.recv(65536)) and b"0\r\n\r\n" not in data:
                peer.sendall(b"%x\r\n%s\r\n" % (len(data), data))
            peer.sendall(b"0\r\n\r\n")

        with application(play) as app, connect(app.port) as client:
            client.sendall(CHUNKED + b"3\r\nabc\r\n")
            read_head(client)
            assert b"abc" in client.recv(1000)
            client.sendall(b"3\r\ndef\r\n")
            assert b"def" in client.recv(1000)
            client.sendall(b"0\r\n\r\n")
            assert read_all(client) == b"0\r\n\r\n"
            assert app.last().received == 6

    def test_it_goes_on_when_the_answer_begins_early(self) -> None:
        bodies: list[bytes] = []

        def play(peer: Peer) -> None:
            bodies.append(peer.recv(100))
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nearl")
            while len(bodies[0]) < 200_000 and (piece := peer.recv(65536)):
                bodies[0] += piece
            peer.sendall(b"y")

        with application(play) as app, connect(app.port) as client:
            client.sendall(post(200_000) + b"x" * 100_000)
            answer = read_head(client)
            client.sendall(b"x" * 100_000)
            assert read_all(client) == b"earl"
        assert b"\r\nConnection: close\r\n" in answer
        assert app.last().failure is None

    def test_it_is_cut_when_the_answer_is_there_and_the_rest_is_no_request(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
            read_all(peer)

        with application(play) as app, connect(app.port) as client:
            client.sendall(post(1_000_000) + b"x" * 100_000 + GET)
            answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert answer.count(b"HTTP/1.1") == 1
        assert app.last().status == 413

    @pytest.mark.parametrize("rest", [b"zz\r\n", b"3\r\nabcd\r\n", b"-1\r\n", b"3\nabc\r\n"])
    def test_a_body_that_breaks_http_is_400_and_never_whole(self, rest: bytes) -> None:
        got: list[bytes] = []

        def play(peer: Peer) -> None:
            got.append(b"")
            while data := peer.recv(65536):
                got[-1] += data

        begun = b"%x\r\n%s\r\n" % (100_000, b"y" * 100_000)
        with application(play) as app, connect(app.port) as client:
            client.sendall(CHUNKED + begun)
            until(lambda: got and len(got[0]) > 100_000)
            client.sendall(rest)
            assert read_all(client).startswith(b"HTTP/1.1 400 ")
            assert app.last().failure is Failure.REQUEST
        assert not got[0].endswith(b"0\r\n\r\n")

    @pytest.mark.parametrize("size", [100, 100_000], ids=["held", "on its way"])
    @pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
    def test_a_client_that_leaves_within_it_is_no_attacker(self, framing: bytes, size: int) -> None:
        with application(read_all) as app:
            with connect(app.port) as client:
                chunk = b"%x\r\n" % 1_000_000 if b"chunked" in framing else b""
                client.sendall(b"POST / HTTP/1.1\r\nHost: app\r\n" + framing + b"\r\n\r\n" + chunk + b"x" * size)
                until(lambda: app.open)
                gevent.sleep(0.02)
            assert (app.last().failure, app.last().status) == (Failure.CLIENT_GONE, 0)

    def test_a_client_that_leaves_in_the_midst_of_it(self) -> None:
        ended = gevent.event.Event()

        def play(peer: Peer) -> None:
            read_all(peer)
            ended.set()

        with application(play) as app:
            with connect(app.port) as client:
                client.sendall(post(1_000_000) + b"x" * 100_000)
                until(lambda: app.open)
            assert ended.wait(5)
            until(lambda: app.outcomes)

    def test_a_slow_one_is_given_its_time(self) -> None:
        limits = replace(PATIENT, answer=0.7, idle=0.7)

        def play(peer: Peer) -> None:
            read_body(peer)
            peer.sendall(OK)

        with application(play, limits=limits) as app, connect(app.port) as client:
            client.sendall(CHUNKED)
            for _ in range(15):
                client.sendall(b"1\r\nx\r\n")
                gevent.sleep(0.08)
            client.sendall(b"0\r\n\r\n")
            assert read_head(client).startswith(b"HTTP/1.1 200 ")


class TestSmallChunks:
    """Of an answer: an application that streams back what it is sent takes nobody's turn."""

    HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    @pytest.mark.parametrize("behind", [b"", OK])
    def test_all_of_them_arrive_and_nothing_behind_them(self, behind: bytes) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(self.HEAD + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n" + behind)
            read_head(peer)
            peer.sendall(OK)

        with application(play, lambda _: None) as app, connect(app.port) as client:
            client.sendall(GET)
            body = read_head(client)
            while not body.endswith(b"\r\n0\r\n\r\n"):
                body += client.recv(65536)
            sizes = re.findall(rb"([0-9a-f]+)\r\nx+\r\n", body)
            assert sum(int(size, 16) for size in sizes) == 100_000
            assert len(sizes) > 30
            until(lambda: app.outcomes)
            assert app.relay.pools[0].idle == (0 if behind else 1)


class TestTime:
    def test_no_head_in_time(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
            peer.recv(1)

        with application(play, limits=replace(PATIENT, answer=0.1)) as app:
            assert fetch(app.port, GET)[0].status_code == 504
            assert app.last().failure is Failure.LATE_ANSWER

    @pytest.mark.parametrize("framing", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
    def test_a_body_that_stops(self, framing: bytes) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nab")
            peer.recv(1)

        with application(play, limits=replace(PATIENT, idle=0.1)) as app, connect(app.port) as client:
            client.sendall(GET)
            with pytest.raises(ConnectionResetError):
                read_all(client)
            assert (app.last().failure, app.last().status) == (Failure.STALLED, 200)

    def test_an_application_that_takes_nothing_more(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            gevent.sleep(2)

        limits = replace(PATIENT, idle=0.1)
        with application(play, limits=limits) as app, connect(app.port) as client:
            client.sendall(post(90_000_000))
            with suppress(OSError):  # it is read no further, some time
                for _ in range(900):
                    client.sendall(b"x" * 100_000)
            assert app.last().failure is Failure.STALLED

    def test_pieces_go_out_as_they_come(self) -> None:
        """Server-sent events."""
        go = gevent.event.Event()

        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            for number in range(3):
                peer.sendall(b"data: %d\n\n" % number)
                go.wait(5)
                go.clear()

        with application(play) as app, connect(app.port) as client:
            client.sendall(GET)
            read_head(client)
            for number in range(3):
                assert client.recv(100) == b"9\r\ndata: %d\n\n\r\n" % number
                go.set()
            assert client.recv(100) == b"0\r\n\r\n"
            assert app.last().sent == 27

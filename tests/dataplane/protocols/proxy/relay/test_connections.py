"""Which connections to an upstream serve one exchange after the other, and when a request is sent again."""

from contextlib import suppress

import gevent
import pytest

from dataplane.protocols.proxy.relay.exchange import Failure
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.relay.applications import GET, OK, application
from tests.dataplane.protocols.proxy.servers import Peer, connect, fetch, read_all, read_head


class Server:
    """Answers each request of a connection with the next of `answers`, and closes where there is none."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self.dialled = 0
        self.heads: list[bytes] = []
        self.closed = 0

    def __call__(self, peer: Peer) -> None:
        self.dialled += 1
        for answer in self._answers:
            head = read_head(peer)
            if not head:
                break
            self.heads.append(head)
            peer.sendall(answer)
        else:
            self.heads.append(read_head(peer))
        self.closed += 1


class TestReuse:
    @pytest.mark.parametrize(
        "answer",
        [
            OK,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
        ],
        ids=["sized", "chunked", "after an interim one"],
    )
    def test_one_connection_serves_many(self, answer: bytes) -> None:
        server = Server(*[answer] * 4)
        with application(server) as app, connect(app.port) as client:
            for _ in range(2):
                client.sendall(GET)
                assert b"ok" in client.recv(1000)
            assert fetch(app.port, GET)[1] == b"ok"
            assert server.dialled == 1
            assert b"connection" not in server.heads[0].lower()

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
            OK + b"\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + OK,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nxx",
        ],
        ids=["asked to", "HTTP/1.0", "an answer too many", "a line too many", "chunked, and another", "and rubbish"],
    )
    def test_a_connection_that_serves_no_other(self, answer: bytes) -> None:
        server = Server(answer, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
        with application(server) as app:
            for _ in range(2):
                assert fetch(app.port, GET)[1] == b"ok"
            assert server.dialled == 2

    @pytest.mark.parametrize(
        ("method", "answer", "dialled"),
        [
            (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 2),
            (b"HEAD", b"HTTP/1.1 200 OK\r\n\r\n", 2),
            (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 2),
            (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", 1),
            (b"GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", 2),
            (b"GET", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 2),
            (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", 2),
            (b"GET", b"HTTP/1.1 304 Not Modified\r\n\r\n", 1),
            (b"GET", b"HTTP/1.1 304 Not Modified\r\n\r\nok", 2),
        ],
    )
    def test_answers_that_have_no_body_whatever_they_say(self, method: bytes, answer: bytes, dialled: int) -> None:
        server = Server(answer, answer)
        raw = method + b" / HTTP/1.1\r\nHost: app\r\n\r\n"
        with application(server) as app:
            for _ in range(2):
                assert fetch(app.port, raw, method.decode())[1] == b""
            assert server.dialled == dialled

    def test_a_body_that_follows_an_answer_to_head_is_nobodys(self) -> None:
        """However late it comes: an application that takes HEAD for GET writes its head first."""
        forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
        taken = gevent.event.Event()

        def play(peer: Peer) -> None:
            while head := read_head(peer):
                if not head.startswith(b"HEAD "):
                    taken.set()
                    peer.sendall(OK)
                    continue
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(forged))
                taken.wait(5)
                with suppress(OSError):
                    peer.sendall(forged)

        with application(play) as app:
            fetch(app.port, b"HEAD" + GET[3:], "HEAD")
            assert fetch(app.port, GET)[1] == b"ok"

    def test_what_comes_unasked_between_two_answers_is_nobodys(self) -> None:
        forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
        server = Server(OK)

        def play(peer: Peer) -> None:
            server.dialled += 1
            while read_head(peer):
                peer.sendall(OK)
                if server.dialled == 1:
                    peer.sendall(forged)

        with application(play) as app:
            for _ in range(3):
                assert fetch(app.port, GET)[1] == b"ok"

    def test_the_same_head_is_the_same_answer_for_those_that_ask_the_same_only(self) -> None:
        """Heads are remembered by their bytes: HEAD and GET get the same ones, with and without a body."""
        head = OK[:-2]
        server = Server(OK, OK, head, OK)
        with application(server) as app:
            for method in (b"GET", b"GET", b"HEAD", b"GET"):
                response, body = fetch(app.port, method + GET[3:], method.decode())
                assert (dict(response.headers)[b"content-length"], body) == (b"2", b"" if method == b"HEAD" else b"ok")
            assert server.dialled == 2  # nothing follows HEAD

    def test_a_remembered_head_before_a_body_that_comes_later(self) -> None:
        def play(peer: Peer) -> None:
            while read_head(peer):
                peer.sendall(OK[:-2])
                peer.sendall(b"o")
                peer.sendall(b"k")

        with application(play) as app, connect(app.port) as client:
            for _ in range(3):
                client.sendall(GET)
                assert read_head(client) == OK[:-2]
                assert client.recv(1) + client.recv(1) == b"ok"

    @pytest.mark.parametrize(
        ("rest", "whole"), [(b"k", True), (b"", False), (b"k" + OK, True)], ids=["all of it", "half of it", "too much"]
    )
    def test_what_follows_a_known_head_counts_as_after_an_unknown_one(self, rest: bytes, whole: bool) -> None:
        answered = 0
        dialled = 0

        def play(peer: Peer) -> None:
            nonlocal answered, dialled
            dialled += 1
            while read_head(peer):
                answered += 1
                if answered == 1:
                    peer.sendall(OK)
                    continue
                peer.sendall(OK[:-1])
                gevent.sleep(0.02)
                peer.sendall(rest)
                if not rest:
                    return

        with application(play) as app, connect(app.port) as client:
            client.sendall(GET)
            assert b"ok" in client.recv(1000)
            client.sendall(GET)
            read_head(client)
            if not whole:
                with pytest.raises(ConnectionResetError):
                    read_all(client)
                return
            assert client.recv(1) + client.recv(10) == b"ok"
            client.sendall(GET)
            assert read_head(client) == OK[:-2]
            assert dialled == (2 if rest != b"k" else 1)


class TestAgain:
    """RFC 9112 9.3.1."""

    PUT = b"PUT / HTTP/1.1\r\nHost: app\r\nContent-Length: 3\r\n\r\nabc"
    POST = b"POST" + PUT[3:]

    def test_one_that_ended_meanwhile_costs_nobody_anything(self) -> None:
        server = Server(OK)
        with application(server) as app:
            for _ in range(3):
                assert fetch(app.port, GET)[1] == b"ok"
            assert server.dialled >= 2

    @pytest.mark.parametrize(("request_", "again"), [(GET, True), (PUT, True), (POST, False)])
    def test_broken_off_at_the_second_request(self, request_: bytes, again: bool) -> None:  # pytest's way
        seen: list[bytes] = []

        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(OK)
            seen.append(peer.recv(1000))

        with application(play) as app:
            assert fetch(app.port, GET)[1] == b"ok"
            assert fetch(app.port, request_)[0].status_code == (200 if again else 502)
            assert app.last().failure == (None if again else Failure.RESET)

    def test_never_twice(self) -> None:
        seen: list[bytes] = []

        def play(peer: Peer) -> None:
            seen.append(read_head(peer))
            if len(seen) == 1:
                peer.sendall(OK)
                read_head(peer)

        with application(play) as app:
            assert fetch(app.port, GET)[1] == b"ok"
            assert fetch(app.port, GET)[0].status_code == 502
            assert len(seen) == 2

    def test_not_when_something_of_an_answer_came(self) -> None:
        server = Server(OK, b"HTTP/1.1 2")

        def play(peer: Peer) -> None:
            server.dialled += 1
            read_head(peer)
            peer.sendall(OK)
            read_head(peer)
            peer.sendall(b"HTTP/1.1 2")

        with application(play) as app:
            assert fetch(app.port, GET)[1] == b"ok"
            assert fetch(app.port, GET)[0].status_code == 502
            assert server.dialled == 1

    def test_not_with_a_body_that_is_not_here_any_more(self) -> None:
        dialled = 0

        def play(peer: Peer) -> None:
            nonlocal dialled
            dialled += 1
            read_head(peer)
            peer.sendall(OK)
            peer.recv(1000)

        large = b"PUT / HTTP/1.1\r\nHost: app\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 100_000
        with application(play) as app, connect(app.port) as client:
            assert fetch(app.port, GET)[1] == b"ok"
            client.sendall(large)
            assert b" 502 " in read_head(client)
            assert dialled == 1


class TestAddresses:
    def test_the_next_one_where_one_takes_no_connections(self) -> None:
        server = Server(OK)
        with application(None, server) as app:
            assert fetch(app.port, GET)[1] == b"ok"
            assert app.last().address == app.addresses[1]

    def test_nobody_anywhere(self) -> None:
        with application(None, None) as app:
            assert fetch(app.port, GET)[0].status_code == 502
            assert (app.last().failure, app.last().status) == (Failure.UNREACHABLE, 502)
            assert app.last().detail

    def test_all_are_busy(self) -> None:
        with application(read_all, connections=1) as app, connect(app.port) as first:
            first.sendall(GET)
            until(lambda: app.open)
            assert fetch(app.port, GET)[0].status_code == 503
            assert app.last().failure is Failure.FULL

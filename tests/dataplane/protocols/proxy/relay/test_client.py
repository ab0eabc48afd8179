"""Clients of the relay: those that leave, read slowly or say too much meanwhile."""

import datetime as dt
from contextlib import suppress
from dataclasses import replace

import gevent
import pytest

from dataplane.io.self_signed import self_signed
from dataplane.io.tls import server_context
from dataplane.protocols.proxy.relay.exchange import Failure
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.relay.applications import (
    GET,
    OK,
    PATIENT,
    application,
    post,
    read_body,
    trusting,
)
from tests.dataplane.protocols.proxy.servers import Peer, connect, fetch, read_all, read_head


class TestClients:
    @pytest.mark.parametrize("more", [b"", b"G"], ids=["silent", "with one more word"])
    @pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
    def test_one_that_leaves_while_it_waits_is_waited_for_no_longer(self, secure: bool, more: bytes) -> None:
        left = gevent.event.Event()

        def play(peer: Peer) -> None:
            read_head(peer)
            assert peer.recv(1) == b""
            left.set()

        context = server_context(*self_signed(dt.datetime.now(dt.UTC))) if secure else None
        with application(play, tls=context) as app:
            raw = connect(app.port)
            client = trusting().wrap_socket(raw) if secure else raw
            client.sendall(GET)
            until(lambda: app.open)
            client.sendall(more)
            client.close()
            assert left.wait(5)
            assert app.last().failure is Failure.CLIENT_GONE

    def test_one_that_has_only_said_all_gets_its_answer(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            gevent.sleep(0.05)
            peer.sendall(OK)

        with application(play, limits=replace(PATIENT, left=5)) as app, connect(app.port) as client:
            client.sendall(GET)
            client.shutdown(1)
            assert read_all(client).endswith(b"ok")

    def test_one_that_leaves_while_its_answer_is_silent(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            assert peer.recv(1) == b""

        with application(play) as app:
            with connect(app.port) as client:
                client.sendall(GET)
                read_head(client)
            assert app.last().failure is Failure.CLIENT_GONE

    def test_one_that_leaves_when_it_has_sent_its_body(self) -> None:
        left = gevent.event.Event()

        def play(peer: Peer) -> None:
            assert len(read_body(peer)) == 100_000
            assert peer.recv(1) == b""
            left.set()

        with application(play) as app:
            with connect(app.port) as client:
                client.sendall(post(100_000) + b"x" * 90_000)
                until(lambda: app.open)
                gevent.sleep(0.05)
                client.sendall(b"x" * 10_000)
            assert left.wait(5)
            assert app.last().failure is Failure.CLIENT_GONE

    def test_one_that_has_said_all_gets_all_however_long_it_takes_in_all(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
            for _ in range(6):
                peer.sendall(b"x")
                gevent.sleep(0.3)

        with application(play, limits=replace(PATIENT, left=1)) as app, connect(app.port) as client:
            client.sendall(GET)
            client.shutdown(1)
            assert read_all(client).endswith(b"\r\n\r\nxxxxxx")

    def test_an_answer_to_a_request_that_is_not_taken_whole(self) -> None:
        """RFC 9112 9.5: an application may say what it thinks of a request, and close without reading on."""

        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            peer.shutdown(1)
            gevent.sleep(0.05)

        with application(play) as app, connect(app.port) as client:
            client.sendall(post(5_000_000))
            with suppress(OSError):
                client.sendall(b"x" * 5_000_000)
            assert app.last().status == 413

    def test_requests_in_a_row(self) -> None:
        numbers = iter(range(100))

        def play(peer: Peer) -> None:
            while read_head(peer):
                gevent.sleep(0.01)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d" % next(numbers))

        with application(play) as app, connect(app.port) as client:
            client.sendall(GET * 5)
            assert [read_head(client) + client.recv(2) for _ in range(5)] == [
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d" % number for number in range(5)
            ]

    def test_an_old_one_gets_what_it_understands(self) -> None:
        def play(peer: Peer) -> None:
            assert b" HTTP/1.1\r\n" in read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")

        with application(play) as app, connect(app.port) as client:
            client.sendall(GET.replace(b"1.1", b"1.0"))
            assert read_all(client) == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"

    def test_head_of_unknown_length_says_none(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

        with application(play) as app:
            response, _ = fetch(app.port, b"HEAD" + GET[3:], "HEAD")
            assert not {b"content-length", b"transfer-encoding"} & {name for name, _ in response.headers} - {
                b"transfer-encoding"
            }

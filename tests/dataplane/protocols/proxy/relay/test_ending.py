"""Exchanges that are ended from outside."""

import datetime as dt
from dataclasses import replace
from functools import partial

import gevent
import pytest
from gevent import ssl

from dataplane.io.self_signed import self_signed
from dataplane.io.tls import server_context
from dataplane.protocols.proxy.relay.exchange import Failure
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.relay.applications import (
    GET,
    OK,
    PATIENT,
    application,
    longer,
    post,
    trusting,
)
from tests.dataplane.protocols.proxy.servers import Peer, connect, read_all, read_head


class TestEnding:
    """From elsewhere: somebody's session is over."""

    def test_before_the_answer_it_is_a_page(self) -> None:
        with application(read_all) as app, connect(app.port) as client:
            client.sendall(GET)
            until(lambda: app.ends)
            app.ends[0]()
            assert read_head(client).startswith(b"HTTP/1.1 502 ")
            assert app.last().failure is Failure.ENDED

    def test_who_waits_for_a_turn_is_ended_too(self) -> None:
        """What was taken away while somebody waited is not done once places are free."""
        seen: list[bytes] = []

        def play(peer: Peer) -> None:
            seen.append(read_head(peer))
            read_all(peer)

        limits = replace(PATIENT, per_client=1, patience=5)
        with application(play, limits=limits) as app, connect(app.port) as first, connect(app.port) as second:
            first.sendall(GET)
            until(lambda: seen)
            second.sendall(post(2) + b"ok")
            until(lambda: app.open == 2)
            for end in app.ends:
                end()
            assert read_head(second).startswith(b"HTTP/1.1 502 ")
            until(lambda: len(app.outcomes) == 2)
            assert {outcome.failure for outcome in app.outcomes} == {Failure.ENDED}
            assert len(seen) == 1
            with connect(app.port) as third:  # the places are nobody's
                third.sendall(GET)
                until(lambda: len(seen) == 2)

    @pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked", b"X-Until: close"])
    def test_in_the_midst_of_it_it_never_looks_whole(self, framing: bytes) -> None:
        closed = gevent.event.Event()

        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n2\r\nok\r\n")
            assert peer.recv(1) == b""
            closed.set()

        with application(play) as app, connect(app.port) as client:
            client.sendall(GET)
            read_head(client)
            app.ends[0]()
            with pytest.raises(ConnectionResetError):
                read_all(client)
            assert closed.wait(5)
            assert (app.last().status, app.last().failure) == (200, Failure.ENDED)

    def test_in_tls_it_doesnt_either(self) -> None:
        """What only its end delimits is whole where TLS says goodbye (RFC 9112 9.8)."""

        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
            peer.recv(1)

        with application(play, tls=server_context(*self_signed(dt.datetime.now(dt.UTC)))) as app:
            client = trusting().wrap_socket(connect(app.port), suppress_ragged_eofs=False)
            client.sendall(GET.replace(b"1.1", b"1.0"))
            until(lambda: app.ends)
            assert client.recv(1000)
            app.ends[0]()
            with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
                read_all(client)
            client.close()

    def test_what_a_drain_cuts_off_is_told_as_far_as_it_came(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
            peer.recv(1)

        with application(play) as app, connect(app.port) as client:
            client.sendall(GET)
            read_head(client)
            app.server.drain(0.05)
            with pytest.raises(ConnectionResetError):
                read_all(client)
            outcome = app.last()
            assert (outcome.status, outcome.sent, outcome.failure) == (200, 5, Failure.ENDED)
            assert outcome.address == app.addresses[0]

    def test_an_upload_ends_with_it(self) -> None:
        with application(read_all) as app, connect(app.port) as client:
            client.sendall(post(1_000_000) + b"x" * 100_000)
            until(lambda: app.ends)
            app.ends[0]()
            assert read_all(client).startswith(b"HTTP/1.1 502 ")

    def test_what_is_over_can_be_ended_as_often_as_one_likes(self) -> None:
        def play(peer: Peer) -> None:
            while read_head(peer):
                peer.sendall(OK)

        with application(play) as app, connect(app.port) as client:
            for count in range(3):
                client.sendall(GET)
                assert b"ok" in client.recv(1000)
                until(partial(longer, app.outcomes, count))
                app.ends[-1]()
                app.ends[0]()
            assert not any(outcome.failure for outcome in app.outcomes)

    def test_one_that_waits_for_its_client_to_read(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + b"x" * 20_000_000)
            peer.recv(1)

        with application(play) as app, connect(app.port) as client:
            client.sendall(GET)
            read_head(client)
            until(lambda: app.relay.held.size > 0)
            with application(read_all) as other:
                assert other.relay.held is app.relay.held  # the memory is that of all
            app.ends[0]()
            until(lambda: app.outcomes)
            assert app.relay.held.size == 0

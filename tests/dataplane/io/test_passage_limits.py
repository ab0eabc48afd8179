"""What a connection that passes, or might, can take at most; and that a drain waits for none."""

import logging
import socket
from contextlib import ExitStack
from typing import Any

import gevent
import pytest

from tests.dataplane.io.doors import (
    HELLO,
    QUICK_PROOF,
    Door,
    Peer,
    black_hole,
    door,
    echo,
    hold,
    nowhere,
    sleep,
    take,
    there,
)
from tests.dataplane.io.lines import connect, read_all, until
from tests.dataplane.sansio.test_clienthello import extension, message, record


class TestLimits:
    @pytest.mark.parametrize(
        "rubbish",
        [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00" * 100, record(b"\x01\0\0\0")],
        ids=["HTTP", "zeros", "an empty hello"],
    )
    def test_what_is_no_tls_is_our_own_tls_to_refuse(self, rubbish: bytes) -> None:
        met: list[Peer] = []
        with there(met.append) as link, door(link) as front:
            with connect(front.port) as client:
                client.sendall(rubbish)
                read_all(client)
            until(front.ended)
            assert (met, front.hits) == ([], {})

    @pytest.mark.parametrize("begun", [b"", HELLO[:100]], ids=["nothing", "a part"])
    def test_a_hello_that_takes_too_long(self, begun: bytes) -> None:
        with there(hold) as link, door(link) as front, connect(front.port) as client:
            client.sendall(begun)
            assert read_all(client) == b""
            assert front.hits == {"client_hello_timeout": 1}

    def test_a_hello_that_trickles_has_no_more_time(self) -> None:
        with there(hold) as link, door(link) as front, connect(front.port) as client:
            with pytest.raises((ConnectionResetError, BrokenPipeError)), gevent.Timeout(30):
                for byte in HELLO * 10:
                    client.sendall(bytes([byte]))
                    gevent.sleep(0.01)
            assert front.hits == {"client_hello_timeout": 1}

    def test_a_hello_that_is_too_large(self) -> None:
        with there(hold) as link, door(link) as front, connect(front.port) as client:
            client.sendall(record(message(extension(1, b"x" * 20_000))[:16_000]))
            assert read_all(client) == b""
            assert front.hits == {"client_hello_size": 1}

    def test_a_link_that_is_down(self) -> None:
        with door(nowhere()) as front, connect(front.port) as client:
            client.sendall(HELLO)
            assert read_all(client) == b""
            assert front.hits == {"link_unreachable": 1}

    def test_a_link_that_does_not_answer(self) -> None:
        with black_hole() as link, door(link) as front, connect(front.port) as client:
            client.sendall(HELLO)
            assert read_all(client) == b""
            assert front.hits == {"link_connect_timeout": 1}

    @pytest.mark.parametrize(
        ("changes", "limit"),
        [
            ({"connections": 2}, "link_connections"),
            ({"connections_per_peer": 2}, "link_connections_per_peer"),
            ({"newcomers": 2, "proven": 9}, "link_newcomers"),
        ],
    )
    def test_as_many_as_may_be(self, changes: dict[str, Any], limit: str) -> None:
        with there(echo) as link, door(link, idle=9, **changes) as front, ExitStack() as open_ones:
            first, _ = (open_ones.enter_context(connect(front.port)) for _ in range(2))
            for client in (first, _):
                client.sendall(HELLO)
                take(client, len(HELLO))
            until(lambda: front.server.passing == 2)
            gevent.sleep(5 * QUICK_PROOF)
            with connect(front.port) as third:
                third.sendall(HELLO)
                assert read_all(third) == b""
            assert front.hits == {limit: 1}
            first.close()
            until(lambda: front.server.passing == 1)
            with connect(front.port) as fourth:
                fourth.sendall(HELLO)
                until(lambda: front.server.passing == 2)

    def test_strangers_take_the_places_of_strangers_only(self) -> None:
        """Who is proven stays, and who comes from elsewhere gets in."""
        plays = iter([echo, *[hold] * 4, echo])

        def play(peer: Peer) -> None:
            next(plays)(peer)

        with there(play) as link, door(link, hello=9, idle=9, newcomers=4) as front, ExitStack() as open_ones:
            proven = open_ones.enter_context(connect(front.port))
            proven.sendall(HELLO)
            take(proven, len(HELLO))
            gevent.sleep(5 * QUICK_PROOF)
            for _ in range(20):
                open_ones.enter_context(connect(front.port, source="127.0.0.2")).sendall(HELLO)
            until(lambda: front.hits == {"link_newcomers": 16})
            with connect(front.port) as late:
                late.sendall(HELLO)
                assert take(late, len(HELLO)) == HELLO
            assert front.hits == {"link_newcomers": 17}
            proven.sendall(b"still here")
            assert take(proven, 10) == b"still here"

    def test_whom_the_link_has_not_answered_is_not_proven(self) -> None:
        """However long it takes: the link counts its seconds from when it has accepted."""
        with there(hold) as link, door(link, idle=9, newcomers=1, proven=0) as front, connect(front.port) as client:
            client.sendall(HELLO)
            until(lambda: front.server.passing == 1)
            gevent.sleep(0.1)
            with connect(front.port) as second:
                second.sendall(HELLO)
                assert read_all(second) == b""
            assert front.hits == {"link_newcomers": 1}

    def test_silence_both_ways(self) -> None:
        with there(hold) as link, door(link) as front, connect(front.port) as client:
            client.sendall(HELLO)
            assert read_all(client) == b""
            assert front.hits == {"link_idle_timeout": 1}

    def test_a_word_either_way_is_no_silence(self) -> None:
        def play(peer: Peer) -> None:
            for _ in range(20):
                gevent.sleep(0.05)
                peer.sendall(b".")

        with there(play) as link, door(link, idle=0.8) as front, connect(front.port) as client:
            client.sendall(HELLO)
            assert read_all(client) == b"." * 20
            assert front.hits == {}

    def test_the_end_of_one_way_leaves_the_other_not_for_long(self) -> None:
        with there(sleep) as link, door(link, idle=9) as front, connect(front.port) as client:
            client.sendall(HELLO)
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""
            assert front.hits == {"link_half_closed": 1}

    def test_a_client_that_takes_nothing(self) -> None:
        def play(peer: Peer) -> None:
            while True:
                peer.sendall(b"x" * 65536)

        with there(play) as link, door(link, idle=9) as front, connect(front.port) as client:
            client.sendall(HELLO)
            until(lambda: front.hits == {"write_timeout": 1})
            until(front.ended)

    def test_a_link_that_takes_nothing(self) -> None:
        with there(sleep) as link, door(link, idle=9) as front, connect(front.port) as client:
            with pytest.raises((ConnectionResetError, BrokenPipeError)), gevent.Timeout(30):
                client.sendall(HELLO)
                while True:
                    client.sendall(b"x" * 65536)
            assert front.hits == {"link_write_timeout": 1}

    def test_each_limit_is_told_once_a_minute(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING, "dataplane.io")
        with door(nowhere()) as front:
            for _ in range(3):
                with connect(front.port) as client:
                    client.sendall(HELLO)
                    read_all(client)
            with connect(front.port) as client:
                read_all(client)
            assert front.hits == {"link_unreachable": 3, "client_hello_timeout": 1}
        told = [(each.__dict__["limit"], each.__dict__["peer"]) for each in caplog.records]
        assert told == [("link_unreachable", "127.0.0.1"), ("client_hello_timeout", "127.0.0.1")]
        assert "refused" in caplog.records[0].__dict__["reason"]


class TestDrain:
    def drained_at_once(self, front: Door, client: Peer) -> None:
        with gevent.Timeout(20):
            front.server.drain(30)
        assert front.hits == {}
        assert read_all(client) == b""

    def test_what_passes_is_cut(self) -> None:
        with there(echo) as link, door(link, idle=9) as front, connect(front.port) as client:
            client.sendall(HELLO)
            take(client, len(HELLO))
            self.drained_at_once(front, client)

    def test_half_closed_too(self) -> None:
        with there(sleep) as link, door(link, half_closed=9) as front, connect(front.port) as client:
            client.sendall(HELLO)
            client.shutdown(socket.SHUT_WR)
            until(lambda: front.server.passing == 1)
            gevent.sleep(0.05)
            self.drained_at_once(front, client)

    def test_and_what_waits_for_the_link(self) -> None:
        with black_hole() as link, door(link, connect=9) as front, connect(front.port) as client:
            client.sendall(HELLO)
            until(lambda: front.server.passing == 1)
            self.drained_at_once(front, client)

    def test_and_who_has_not_said_what_it_wants(self) -> None:
        with there(echo) as link, door(link, hello=9) as front, connect(front.port) as client:
            client.sendall(HELLO[:10])
            until(lambda: front.server.connections == 1)
            gevent.sleep(0.02)
            self.drained_at_once(front, client)

    def test_nor_does_anything_begin_to_pass(self) -> None:
        """Who has just been accepted has a deadline of its own to say what it wants."""
        with there(echo) as link, door(link, hello=9) as front, connect(front.port) as client:
            until(lambda: front.server.connections == 1)
            front.server._passage.cut()  # type: ignore[union-attr]  # there is one
            client.sendall(HELLO)
            assert read_all(client) == b""
            assert front.hits == {}

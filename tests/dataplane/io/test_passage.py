"""One port for two servers: what is for the link passes untouched, all else is served as ever."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import gevent
import pytest
from gevent import ssl as gevent_ssl

from dataplane.io.dial import TcpAddress
from dataplane.io.tcp import TcpServer
from dataplane.io.tls import ServerNames, server_context
from tests.dataplane.io.doors import HELLO, NAME, OWN, QUICK, Peer, door, echo, nowhere, reset, take, there
from tests.dataplane.io.echo import open_conversation
from tests.dataplane.io.lines import connect, listen, read_all, until
from tests.dataplane.io.test_tls import serial, shown
from tests.dataplane.sansio.test_clienthello import message, record, server_name
from tests.support.fake_authority import Authority, Pair


class TestEndToEnd:
    """TLS between client and link, with the door in between."""

    @pytest.fixture
    def authority(self) -> Authority:
        return Authority()

    @pytest.fixture
    def met(self) -> list[str]:
        """What the link said of each client."""
        return []

    @pytest.fixture
    def link(self, authority: Authority, met: list[str]) -> Iterator[TcpAddress]:
        context = gevent_ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load(context, authority.issue(NAME))
        context.load_verify_locations(cadata=authority.pem)
        context.verify_mode = ssl.CERT_REQUIRED

        def play(peer: Peer) -> None:
            try:
                with context.wrap_socket(peer, server_side=True) as tls:
                    met.append(common_name(tls.getpeercert()))
                    echo(tls)
            except ssl.SSLError as error:
                met.append(error.reason)

        with there(play) as address:
            yield address

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_the_link_shows_its_certificate_and_verifies_the_clients(
        self, authority: Authority, link: TcpAddress, met: list[str], version: ssl.TLSVersion
    ) -> None:
        context = client_context(authority, authority.issue("edge"))
        context.minimum_version = context.maximum_version = version
        payload = bytes(range(256)) * 8192
        with (
            door(link, idle=9, write=9) as front,
            context.wrap_socket(connect(front.port), server_hostname=NAME) as client,
        ):
            sending = gevent.spawn(client.sendall, payload)
            received = b""
            while len(received) < len(payload):
                piece = client.recv(65536)
                assert piece, len(received)
                received += piece
            sending.get(timeout=30)
            assert received == payload
            assert met == ["edge"]
            assert front.server.passing == 1
            assert front.hits == {}

    def test_a_wrong_certificate_is_refused_by_the_link(
        self, authority: Authority, link: TcpAddress, met: list[str]
    ) -> None:
        context = client_context(authority, Authority().issue("edge"))
        with door(link) as front:
            with pytest.raises(ssl.SSLError, match="alert"):  # noqa: SIM117  # TLS 1.3 tells with the first read
                with context.wrap_socket(connect(front.port), server_hostname=NAME) as client:
                    client.recv(1)
            assert met == ["CERTIFICATE_VERIFY_FAILED"]
            assert front.hits == {}

    @pytest.mark.parametrize("name", ["app.example.com", "link.garrison.internal.example.com", None])
    def test_for_any_other_name_the_door_answers_itself(
        self, authority: Authority, link: TcpAddress, met: list[str], name: str | None
    ) -> None:
        context = client_context(authority, authority.issue("edge"))
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with door(link) as front, context.wrap_socket(connect(front.port), server_hostname=name) as client:
            assert shown(client) == serial(OWN[0])
            client.sendall(b"one\n")
            assert client.recv(10) == b"ONE\n"
            assert (met, front.server.passing) == ([], 0)

    def test_a_door_without_a_passage_answers_by_that_name_too(self, authority: Authority) -> None:
        server = TcpServer(open_conversation, QUICK)
        context = client_context(authority, authority.issue("edge"))
        with listen() as listener:
            server.serve(listener, ServerNames(server_context(*OWN)).context)
            with pytest.raises(ssl.SSLCertVerificationError):
                context.wrap_socket(connect(listener.getsockname()[1]), server_hostname=NAME)
            server.drain(0.05)


def load(context: ssl.SSLContext, pair: Pair) -> None:
    with memory_file(pair.certificate + pair.key) as path:
        context.load_cert_chain(path)


@contextmanager
def memory_file(text: str) -> Iterator[str]:
    descriptor = os.memfd_create("pair")
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def client_context(authority: Authority, pair: Pair) -> gevent_ssl.SSLContext:
    context = gevent_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.pem)
    load(context, pair)
    return context


def common_name(certificate: Any) -> str:
    return str(dict(field[0] for field in certificate["subject"])["commonName"])


class TestSplicing:
    """Bytes, without TLS behind the ClientHello: the door can't tell."""

    def test_nothing_is_altered_and_the_end_of_either_way_is_passed_on(self) -> None:
        def play(peer: Peer) -> None:
            received = read_all(peer)
            peer.sendall(b"all of it: " + received)

        with there(play) as link, door(link) as front, connect(front.port) as client:
            client.sendall(HELLO + b"early")
            client.sendall(b"late")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"all of it: " + HELLO + b"earlylate"
            until(front.ended)
            assert front.hits == {}

    def test_when_the_link_ends_all_is_over_and_its_last_word_arrives(self) -> None:
        """A stranger whom the link has sent away keeps no place here, however long it stays."""

        def play(peer: Peer) -> None:
            peer.recv(len(HELLO))
            peer.sendall(b"that was it" * 10_000)

        with there(play) as link, door(link, idle=9, half_closed=9) as front, connect(front.port) as client:
            client.sendall(HELLO)
            assert read_all(client) == b"that was it" * 10_000
            until(lambda: front.server.passing == 0)
            until(front.ended)
            assert front.hits == {}

    def test_also_while_the_client_talks_on(self) -> None:
        def play(peer: Peer) -> None:
            take(peer, len(HELLO) + 1000)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                continue

        with there(play) as link, door(link, idle=9, half_closed=9) as front, connect(front.port) as client:
            client.sendall(HELLO)
            with pytest.raises((ConnectionResetError, BrokenPipeError)), gevent.Timeout(30):
                while True:
                    client.sendall(b"x" * 100)
                    gevent.sleep(0.001)
            until(front.ended)

    def test_a_hello_may_come_in_single_bytes(self) -> None:
        with there(echo) as link, door(link, hello=5) as front, connect(front.port) as client:
            for byte in HELLO:
                client.sendall(bytes([byte]))
                gevent.sleep(0)
            assert take(client, len(HELLO)) == HELLO

    def test_behind_a_balancer_the_link_gets_what_follows_its_header(self) -> None:
        header = b"PROXY TCP4 203.0.113.7 198.51.100.1 4000 443\r\n"
        patient = {"hello": 5, "idle": 9}
        with there(echo) as link, door(link, behind_proxies=True, **patient) as ours, connect(ours.port) as client:
            for piece in (header[:20], header[20:] + HELLO[:9], HELLO[9:]):
                client.sendall(piece)
                gevent.sleep(0.01)
            assert take(client, len(HELLO)) == HELLO

    def test_the_name_may_be_written_in_any_case(self) -> None:
        hello = record(message(server_name(b"Link.GARRISON.internal")))
        with there(echo) as link, door(link) as front, connect(front.port) as client:
            client.sendall(hello)
            assert take(client, len(hello)) == hello

    def test_small_writes_do_not_wait_for_each_other(self) -> None:
        """TCP_NODELAY on both sides of the door: Nagle and delayed acknowledgements would take 40 ms a time."""

        def play(peer: Peer) -> None:
            take(peer, len(HELLO))
            while pair := take(peer, 2):
                peer.sendall(pair)

        with there(play) as link, door(link, idle=9) as front, connect(front.port) as client, gevent.Timeout(30):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(HELLO)
            at_once = 0
            while at_once < 10:  # a busy machine makes some slow; with Nagle none is fast
                began = perf_counter()
                client.sendall(b"a")
                gevent.sleep(0.002)  # so that the door writes it before the next comes
                client.sendall(b"b")
                assert take(client, 2) == b"ab"
                at_once += perf_counter() - began < 0.03

    @pytest.mark.parametrize("resets", ["client", "link"])
    def test_a_reset_ends_both(self, resets: str) -> None:
        ends: list[bytes] = []

        def play(peer: Peer) -> None:
            peer.recv(len(HELLO))
            if resets == "link":
                reset(peer)
            else:
                peer.sendall(b"go")
                ends.append(peer.recv(10))

        with there(play) as link, door(link, idle=9) as front, connect(front.port) as client:
            client.sendall(HELLO)
            if resets == "client":
                assert client.recv(2) == b"go"
                reset(client)
                until(lambda: ends == [b""])
            else:
                assert read_all(client) == b""
            until(front.ended)

    def test_the_next_address_is_tried_when_one_is_down(self) -> None:
        with there(echo) as link, door(nowhere(), link) as front, connect(front.port) as client:
            client.sendall(HELLO)
            assert take(client, len(HELLO)) == HELLO

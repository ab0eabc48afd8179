"""Open WebSockets: bytes both ways, and how they end."""

import re
from dataclasses import replace

import gevent
import pytest
from websockets.frames import Close, Frame, Opcode

from dataplane.config import Upstream
from dataplane.protocols.proxy.relay.exchange import GOING_AWAY, Failure
from dataplane.protocols.proxy.relay.flow import RelayLimits
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.relay.applications import GET, OK, PATIENT, Application, application
from tests.dataplane.protocols.proxy.servers import Peer, connect, fetch, read_all, read_head

KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ASK = GET[:-2] + (
    b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: " + KEY + b"\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX-Dropped: 1\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)
HELLO = Frame(Opcode.TEXT, b"hello").serialize(mask=False)
CLOSED = Frame(Opcode.CLOSE, Close(1008, "").serialize()).serialize(mask=False)
LEAVING = Frame(Opcode.CLOSE, Close(1001, "").serialize()).serialize(mask=False)


class Server:
    """Opens a WebSocket, says `first`, and then what `say` is given."""

    def __init__(self, first: bytes = b"") -> None:
        self._first = first
        self.head = b""
        self.heard = b""
        self.ended = gevent.event.Event()
        self.peer: Peer | None = None

    def __call__(self, peer: Peer) -> None:
        self.head = read_head(peer)
        self.peer = peer
        peer.sendall(SWITCH + self._first)
        while data := peer.recv(65536):
            self.heard += data
        self.ended.set()

    def say(self, data: bytes) -> None:
        """To the client."""
        assert self.peer is not None
        self.peer.sendall(data)


def opened(app: Application, client: Peer, early: bytes = b"") -> bytes:
    """Open a WebSocket; the answer's head."""
    client.sendall(ASK + early)
    head = read_head(client)
    assert head.startswith(b"HTTP/1.1 101 ")
    until(lambda: app.relay.websockets)
    return head


class TestOpening:
    def test_the_handshake_passes_and_what_follows_it(self) -> None:
        server = Server(HELLO)
        with application(server) as app, connect(app.port) as client:
            head = opened(app, client, b"early")
            assert re.search(rb"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", head)
            assert b"X-Dropped" not in head
            assert client.recv(100) == HELLO
            client.sendall(b"late")
            until(lambda: server.heard == b"earlylate")
            client.close()
            assert server.ended.wait(5)
            outcome = app.last()
            assert (outcome.status, outcome.upgraded, outcome.failure) == (101, True, None)
            assert (outcome.received, outcome.sent) == (9, len(HELLO))
        assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in server.head
        assert b"\r\nsec-websocket-extensions: permessage-deflate\r\n" in server.head

    @pytest.mark.parametrize(("old", "new"), [(b"Version: 13", b"Version: 8"), (KEY, KEY[4:]), (b"GET ", b"DELETE ")])
    def test_what_is_no_handshake_goes_to_nobody(self, old: bytes, new: bytes) -> None:
        server = Server()
        with application(server) as app:
            answer = fetch(app.port, ASK.replace(old, new))[0]
            assert (answer.status_code, dict(answer.headers)[b"sec-websocket-version"]) == (400, b"13")
            assert app.last().failure is Failure.HANDSHAKE
        assert not server.head

    @pytest.mark.parametrize(
        "answer",
        [
            SWITCH.replace(ACCEPT, ACCEPT[::-1]),
            SWITCH.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
            SWITCH.replace(b"Connection: upgrade\r\n", b""),
        ],
    )
    def test_an_application_that_switches_to_something_else(self, answer: bytes) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(answer)
            peer.recv(1)

        with application(play) as app:
            assert fetch(app.port, ASK)[0].status_code == 502
            assert app.last().failure in {Failure.UPGRADE, Failure.MALFORMED}

    def test_an_application_that_switches_unasked(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(SWITCH)
            peer.recv(1)

        with application(play) as app:
            assert fetch(app.port, GET)[0].status_code == 502
            assert app.last().failure is Failure.UPGRADE

    def test_another_upgrade_is_a_request_as_any(self) -> None:
        heads: list[bytes] = []

        def play(peer: Peer) -> None:
            heads.append(read_head(peer))
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        with application(play) as app:
            raw = GET[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n"
            assert fetch(app.port, raw)[0].status_code == 200
        assert b"upgrade" not in heads[0].lower()

    def test_refused_it_is_an_answer_as_any_and_the_next_request_too(self) -> None:
        def play(peer: Peer) -> None:
            while read_head(peer):
                peer.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

        with application(play) as app, connect(app.port) as client:
            for _ in range(2):
                client.sendall(ASK)
                assert read_head(client).startswith(b"HTTP/1.1 403 ")
                assert client.recv(2) == b"no"


class TestShares:
    """Nobody takes an application away from the others by leaving a page open."""

    def test_an_open_websocket_takes_no_connection_from_requests(self) -> None:
        opened_ = Server()

        def play(peer: Peer) -> None:
            if not opened_.head:
                opened_(peer)
                return
            while read_head(peer):
                peer.sendall(OK)

        with application(play, connections=1) as app, connect(app.port) as client:
            opened(app, client)
            assert fetch(app.port, GET)[1] == b"ok"
            client.close()
            assert opened_.ended.wait(5)
            (pool,) = app.relay.pools
            until(lambda: pool.open == pool.idle == 1)

    def test_one_client_has_so_many_and_no_more(self) -> None:
        server = Server()
        with application(server, limits=replace(PATIENT, websockets=1)) as app, connect(app.port) as client:
            opened(app, client)
            refused, body = fetch(app.port, ASK)
            assert (refused.status_code, body) == (503, b"crowded: websockets_per_client")
            assert app.server.counts.limits["websockets_per_client"] == 1
            client.close()
            until(lambda: not app.relay.websockets)
            with connect(app.port) as another:
                opened(app, another)

    @pytest.mark.parametrize(("connections", "share"), [(1024, 256), (256, 64), (8, 16)])
    def test_of_an_application_it_is_a_quarter(self, connections: int, share: int) -> None:
        limits = RelayLimits.of(Upstream(addresses=("http://a",), connections=connections))
        assert (limits.per_client, limits.websockets) == (share, share)


class TestEnding:
    def test_between_two_frames_at_once(self) -> None:
        server = Server(HELLO)
        with application(server) as app, connect(app.port) as client:
            opened(app, client)
            assert client.recv(100) == HELLO
            app.ends[0]()
            app.ends[0]()
            assert read_all(client) == CLOSED
            assert server.ended.wait(5)
            assert app.last().failure is Failure.ENDED

    def test_before_anything_was_said(self) -> None:
        with application(Server()) as app, connect(app.port) as client:
            opened(app, client)
            app.ends[0](GOING_AWAY)
            assert read_all(client) == LEAVING

    def test_within_a_frame_after_it(self) -> None:
        server = Server(HELLO[:3])
        with application(server, limits=replace(PATIENT, parting=30)) as app, connect(app.port) as client:
            opened(app, client)
            assert client.recv(100) == HELLO[:3]
            app.ends[0]()
            gevent.sleep(0.01)
            server.say(HELLO[3:])
            assert read_all(client) == HELLO[3:] + CLOSED

    @pytest.mark.parametrize("cut", [1, 3])
    def test_within_a_frame_after_it_though_no_piece_ends_where_a_frame_does(self, cut: int) -> None:
        """An application that says more than its client takes never comes to rest, least of all between two frames."""
        server = Server(HELLO[:cut])
        with application(server, limits=replace(PATIENT, parting=30)) as app, connect(app.port) as client:
            opened(app, client)
            assert client.recv(100) == HELLO[:cut]
            app.ends[0]()
            gevent.sleep(0.01)
            server.say(HELLO[cut:] + HELLO + HELLO[:cut])
            assert read_all(client) == HELLO[cut:] + CLOSED
            assert app.last().sent == len(HELLO)

    def test_within_a_frame_that_never_ends(self) -> None:
        server = Server(HELLO[:3])
        with application(server) as app, connect(app.port) as client:
            opened(app, client)
            app.ends[0]()
            assert read_all(client) == HELLO[:3]
            assert server.ended.wait(5)

    def test_while_the_client_reads_nothing(self) -> None:
        server = Server()
        with application(server) as app, connect(app.port) as client:
            opened(app, client)
            talking = gevent.spawn(server.say, Frame(Opcode.BINARY, b"x" * 60_000_000).serialize(mask=False))
            gevent.sleep(0.05)
            app.ends[0]()
            assert server.ended.wait(5) or talking.ready()
            until(lambda: app.outcomes)
            talking.kill()

    def test_nothing_follows_a_close_of_the_server(self) -> None:
        with application(Server(LEAVING)) as app, connect(app.port) as client:
            opened(app, client)
            app.ends[0]()
            assert read_all(client) == LEAVING

    def test_when_we_go_all_are_told(self) -> None:
        with application(Server()) as app, connect(app.port) as one, connect(app.port) as two:
            opened(app, one)
            opened(app, two)
            until(lambda: app.relay.websockets == 2)
            app.relay.part()
            assert read_all(one) == read_all(two) == LEAVING
            until(lambda: not app.relay.websockets)

    def test_with_the_server(self) -> None:
        def play(peer: Peer) -> None:
            read_head(peer)
            peer.sendall(SWITCH + HELLO)

        with application(play) as app, connect(app.port) as client:
            client.sendall(ASK)
            assert read_all(client).endswith(HELLO)

    def test_with_the_client_whose_last_words_arrive(self) -> None:
        server = Server()
        with application(server) as app, connect(app.port) as client:
            opened(app, client)
            client.sendall(b"bye")
            client.shutdown(1)
            assert server.ended.wait(5)
            assert read_all(client) == b""
        assert server.heard == b"bye"

    def test_silence_is_no_end(self) -> None:
        server = Server()
        with application(server, limits=PATIENT) as app, connect(app.port) as client:
            opened(app, client)
            gevent.sleep(2.2)  # longer than anything else may be silent here
            server.say(HELLO)
            assert client.recv(100) == HELLO

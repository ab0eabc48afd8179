"""Connections that serve one request after the other, both ways: whatever is left of one is never part of the next."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.garrison import short_folder
from tests.support.hostile_corpus import HOST, SMUGGLED
from tests.support.hostile_program import Settings, Worker, signed_in
from tests.support.hostile_recorder import Recorded, Recorder
from tests.support.hostile_subjects import LAST

pytestmark = pytest.mark.interop
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
ROUNDS = 30
PREFIX = b"/outpost.goauthentik.io"


class Script:
    """An application: reads a head, then does what the test says, until the other side ends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self.play: Callable[[socket.socket, bytes], None] = lambda peer, _: peer.sendall(good(b"0"))
        self.seen: list[bytes] = []
        self.said = threading.Semaphore(0)
        """Released when all is said to a request, and so has arrived: it goes over the loopback."""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        data = b""
        with peer, contextlib.suppress(OSError):
            while piece := peer.recv(65536):
                data += piece
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    self.seen.append(head)
                    self.play(peer, head)
                    self.said.release()


def good(token: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(token), token)


def token_of(head: bytes) -> bytes:
    return head.split(b" ")[1].lstrip(b"/")


@pytest.fixture(scope="module")
def script() -> Iterator[Script]:
    script = Script()
    yield script
    script.close()


@pytest.fixture(scope="module")
def worker(script: Script) -> Iterator[Worker]:
    with short_folder() as folder:
        worker = Worker(Settings(folder=str(folder), application=script.port))
        yield worker
        worker.program.stop()


def fetch(port: int, token: bytes) -> bytes:
    """The whole answer to a request of its own connection."""
    raw = b"GET /%s HTTP/1.1\r\n" % token + HOST + b"Connection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 5) as peer:
        peer.sendall(raw)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
    return answer


def with_more(peer: socket.socket, head: bytes) -> None:
    peer.sendall(good(token_of(head)) + EVIL)


def then_more(peer: socket.socket, head: bytes) -> None:
    peer.sendall(good(token_of(head)))
    peer.sendall(EVIL)


def longer_than_said(peer: socket.socket, head: bytes) -> None:
    peer.sendall(good(token_of(head)) + b"HTTP/1.1 200 OK\r\nX-Evil: a\r\n")


def interim_behind(peer: socket.socket, head: bytes) -> None:
    peer.sendall(good(token_of(head)))
    peer.sendall(b"HTTP/1.1 103 Early Hints\r\nX-Evil: a\r\n\r\n")


def chunks_and_more(peer: socket.socket, head: bytes) -> None:
    token = token_of(head)
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(token), token)
    peer.sendall(answer + EVIL)


def ends_behind(peer: socket.socket, head: bytes) -> None:
    peer.sendall(good(token_of(head)))
    peer.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("play", [with_more, then_more, longer_than_said, interim_behind, chunks_and_more, ends_behind])
def test_what_an_upstream_says_beyond_its_answer_reaches_nobody(
    worker: Worker, script: Script, play: Callable[[socket.socket, bytes], None]
) -> None:
    """But for what it says so late that it might be its answer to the next request: nobody can tell that."""
    script.play = play
    for number in range(ROUNDS):
        token = b"%d-%d" % (number, number * 7919)
        answer = fetch(worker.http, token)
        assert script.said.acquire(timeout=30)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert answer.endswith(b"\r\n\r\n" + token) or token in answer, answer
        assert b"vil" not in answer


def test_a_refusal_in_the_middle_of_an_upload_ends_the_clients_connection(worker: Worker, script: Script) -> None:
    """What is left of the body would be read as requests."""
    script.play = lambda peer, _: peer.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
    body = SMUGGLED * 20_000
    script.seen.clear()
    raw = b"POST /upload HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (2 * len(body)) + body
    with socket.create_connection(("127.0.0.1", worker.http), 5) as peer, contextlib.suppress(ConnectionError):
        answer = b""
        threading.Thread(target=_say, args=(peer, raw), daemon=True).start()
        while piece := peer.recv(65536):
            answer += piece
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.startswith(b"HTTP/1.1 413 ")
    # What the application saw behind the head is the body, which it chose not to count.
    assert [head for head in script.seen if head.startswith(b"POST ")] == script.seen[:1]


def _say(peer: socket.socket, raw: bytes) -> None:
    with contextlib.suppress(OSError):
        peer.sendall(raw)


@pytest.fixture(scope="module")
def recorded() -> Iterator[tuple[Worker, Recorder]]:
    with short_folder() as folder:
        recorder = Recorder(folder / "application")
        worker = Worker(Settings(folder=str(folder), application=recorder.port, trusted=("192.0.2.0/24",)))
        yield worker, recorder
        worker.program.stop()
        recorder.close()


OWN = {
    "ping": b"POST " + PREFIX + b"/ping",
    "static": b"POST " + PREFIX + b"/static/none.css",
    "start": b"POST " + PREFIX + b"/start",
    "callback": b"POST " + PREFIX + b"/callback",
    "sign out": b"POST " + PREFIX + b"/sign_out",
    "nothing there": b"POST " + PREFIX + b"/nothing",
    "check": b"POST " + PREFIX + b"/auth/nginx",
    "check of envoy": b"POST " + PREFIX + b"/auth/envoy/x",
    "who forges": b"POST /page",
}


@pytest.mark.parametrize("path", OWN)
@pytest.mark.parametrize("framing", ["length", "chunked", "expect"])
def test_the_body_of_what_we_answer_ourselves_is_no_request(
    recorded: tuple[Worker, Recorder], path: str, framing: str
) -> None:
    worker, recorder = recorded
    recorder.take()
    head = OWN[path] + b" HTTP/1.1\r\n" + HOST + b"X-authentik-username: admin\r\n"
    sized = b"Content-Length: %d\r\n" % len(SMUGGLED)
    raw = {
        "length": head + sized + b"\r\n" + SMUGGLED,
        "chunked": head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
        "expect": head + sized + b"Expect: 100-continue\r\n\r\n" + SMUGGLED,
    }[framing]
    with socket.create_connection(("127.0.0.1", worker.http), 5) as peer:
        peer.sendall(raw + LAST)
        while peer.recv(65536):
            continue
    targets = [each.target for each in recorder.take() if isinstance(each, Recorded)]
    assert "/smuggled" not in targets
    assert targets in ([], ["/last"])


def test_pipelined_requests_of_two_people_stay_theirs(recorded: tuple[Worker, Recorder]) -> None:
    """One connection of a reverse proxy may carry many; each is judged by its own cookies."""
    worker, recorder = recorded
    recorder.take()
    cookie = b"Cookie: %s\r\n" % signed_in()
    hers = b"GET /hers HTTP/1.1\r\n" + HOST + cookie + b"\r\n"
    theirs = b"GET /theirs HTTP/1.1\r\n" + HOST + b"\r\n"
    with socket.create_connection(("127.0.0.1", worker.http), 5) as peer:
        peer.sendall((hers + theirs) * 20 + LAST)
        while peer.recv(65536):
            continue
    seen = [each for each in recorder.take() if isinstance(each, Recorded)]
    assert len(seen) == 41
    for each in seen:
        assert each.all("x-authentik-username") == (["alice"] if each.target == "/hers" else [])

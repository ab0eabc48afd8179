"""The front door alone: what no application claims goes on to control's socket, whatever it is.

In control's place stand a WebSocket server and a plain one that counts; the outpost has no token and serves nobody.
"""

import hashlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, unix_serve

from tests.support.garrison import GARRISON
from tests.support.peers_http import ask
from tests.support.peers_program import Program, eventually, free_port, peak_memory

pytestmark = pytest.mark.interop
MEGABYTE = 1 << 20
LARGE = 256 * MEGABYTE


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Callable[[Path], tuple[Program, int]]]:
    """Starts the front door before a socket; gives its process and port."""
    started: list[Program] = []

    def start(control: Path) -> tuple[Program, int]:
        port, metrics = free_port(), free_port()
        command = [
            GARRISON + "-outpost", "proxy", "--state", str(tmp_path / "state"), "--workers", "1",
            "--http", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics}",
        ]  # fmt: skip
        environment = {"GARRISON_CONTROL_SOCKET": str(control), "AUTHENTIK_HOST": "http://garrison.example.test"}
        program = Program("front door", command, environment)
        started.append(program)
        eventually(lambda: ask(metrics, "/outpost.goauthentik.io/ping").status == 204, "alive", alive=program)
        eventually(lambda: ask(port, "/").status, "listening", alive=program)
        return program, port

    yield start
    for program in started:
        assert program.stop() == 0


@pytest.fixture
def websocket_control(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "ws.sock"

    def handle(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with unix_serve(handle, str(path), subprotocols=["garrison"], max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join(5)


def test_a_websocket_goes_through_both_ways(
    door: Callable[[Path], tuple[Program, int]], websocket_control: Path
) -> None:
    _, port = door(websocket_control)
    with connect(
        f"ws://127.0.0.1:{port}/ws/live?x=1",
        additional_headers={"X-Extra": "1"},
        subprotocols=["garrison"],  # type: ignore[list-item]  # a plain str is a Subprotocol
        max_size=None,
        open_timeout=30,
    ) as browser:
        assert browser.subprotocol == "garrison"
        browser.send("hello")
        assert browser.recv(timeout=30) == "hello"
        large = bytes(range(256)) * 8192
        browser.send(large)
        assert browser.recv(timeout=20) == large
        browser.ping().wait(5)


class _Counting(socketserver.StreamRequestHandler):
    """Reads a body of known length, answers with its hash and a large body of its own."""

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.rfile.readline()
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
        )
        digest = hashlib.sha256()
        while length:
            block = self.rfile.read(min(length, MEGABYTE))
            digest.update(block)
            length -= len(block)
        size = LARGE if head.startswith(b"POST") else 0
        answer = (
            f"HTTP/1.1 200 OK\r\nX-Digest: {digest.hexdigest()}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        )
        self.wfile.write(answer.encode())
        for _ in range(size // MEGABYTE):
            self.wfile.write(b"y" * MEGABYTE)


@pytest.fixture
def counting_control(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "plain.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), _Counting) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join(5)


def test_large_bodies_pass_both_ways_at_flat_memory(
    door: Callable[[Path], tuple[Program, int]], counting_control: Path
) -> None:
    program, port = door(counting_control)
    before = peak_memory(program.process.pid)
    digest = hashlib.sha256(b"x" * LARGE).hexdigest()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as browser:
        head = ["POST /upload HTTP/1.1", "Host: garrison.example.test", f"Content-Length: {LARGE}", "Connection: close"]
        browser.sendall("\r\n".join([*head, "", ""]).encode())
        for _ in range(LARGE // MEGABYTE):
            browser.sendall(b"x" * MEGABYTE)
        with browser.makefile("rb") as answer:
            status = answer.readline()
            headers = dict(line.decode().strip().lower().split(": ", 1) for line in iter(answer.readline, b"\r\n"))
            received = sum(len(block) for block in iter(lambda: answer.read(MEGABYTE), b""))
    assert status.startswith(b"HTTP/1.1 200")
    assert (headers["x-digest"], received) == (digest, LARGE)
    assert peak_memory(program.process.pid) - before < 48 * MEGABYTE


def test_control_that_is_away_is_a_503_page_that_says_when_to_come_back(
    door: Callable[[Path], tuple[Program, int]], tmp_path: Path
) -> None:
    _, port = door(tmp_path / "nobody.sock")
    answer = ask(port, "/", host="garrison.example.test", headers=[("Accept", "text/html")])
    assert answer.status in (502, 503)
    assert answer.header("Retry-After")
    assert "text/html" in answer.header("Content-Type")

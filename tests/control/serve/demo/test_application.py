"""The demo's page."""

import re
import socket
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from control.serve.demo.application import make_server, page
from tests.support.peers_http import ask


def test_who_comes_first_and_the_token_last() -> None:
    names = [
        "X-authentik-jwt",
        "X-authentik-meta-app",
        "X-authentik-uid",
        "X-authentik-username",
        "X-authentik-x",
        "Date",
    ]
    text = page([(name, "v") for name in names], "/out").decode()
    assert re.findall("<th>(.+?)</th>", text) == [
        "X-authentik-username",
        "X-authentik-uid",
        "X-authentik-x",
        "X-authentik-meta-app",
        "X-authentik-jwt",
    ]


def test_values_are_no_markup() -> None:
    text = page([("X-authentik-name", "<script>alert(1)</script>")], '"><script>').decode()
    assert "<script>" not in text


def test_nobody_is_nobody() -> None:
    assert "Hello, nobody" in page([], "/out").decode()


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = make_server(("127.0.0.1", 0))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_it_is_a_server_that_shows_who_asks(server: ThreadingHTTPServer) -> None:
    port = int(server.server_address[1])
    answer = ask(port, "/any/page", headers=[("X-authentik-name", "Alice & Co")])
    assert (answer.status, "Hello, Alice &amp; Co" in answer.text) == (200, True)
    head = ask(port, "/", method="HEAD")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize("framing", ["Content-Length: {}", "Transfer-Encoding: chunked"])
def test_a_body_is_never_the_next_request(server: ThreadingHTTPServer, framing: str) -> None:
    """An outpost sends what others ask over the same connection."""
    hidden = b"GET / HTTP/1.1\r\nHost: x\r\nX-authentik-name: Mallory\r\n\r\n"
    head = f"GET / HTTP/1.1\r\nHost: x\r\n{framing.format(len(hidden))}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(server.server_address[1])), timeout=30) as connection:
        connection.sendall(head.encode())
        answers = connection.makefile("rb")
        read = answers.readline()
        connection.sendall(hidden)
        try:
            read += answers.read()
        except ConnectionResetError:  # which is one way to hear no more of it
            return
    assert read.count(b"HTTP/1.1 200") == 1
    assert b"Mallory" not in read

"""The demo's reverse proxy between real sockets: what it asks the outpost, what it passes on, what it drops."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from control.serve.demo.reverse_proxy import make_server
from tests.support.peers_http import Answer, ask, send


class Outpost:
    """An outpost that answers as it is told and remembers what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: list[tuple[str, str]] = []
        self.asked: list[tuple[str, str, list[tuple[str, str]]]] = []
        outpost = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outpost.asked.append((self.command, self.path, list(self.headers.items())))
                self.send_response(outpost.status)
                for name, value in outpost.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"from the outpost")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def last(self) -> dict[str, list[str]]:
        """The headers of the last question, by lower-case name."""
        found: dict[str, list[str]] = {}
        for name, value in self.asked[-1][2]:
            found.setdefault(name.lower(), []).append(value)
        return found


@pytest.fixture
def outpost() -> Iterator[Outpost]:
    outpost = Outpost()
    yield outpost
    outpost.server.shutdown()
    outpost.server.server_close()


@pytest.fixture
def port(outpost: Outpost) -> Iterator[int]:
    server = make_server(("127.0.0.1", 0), f"127.0.0.1:{outpost.server.server_address[1]}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def browse(port: int, target: str = "/page?a=b", *headers: tuple[str, str]) -> Answer:
    return ask(port, target, host="demo.localhost:9080", headers=headers)


def test_it_asks_as_nginx_does(port: int, outpost: Outpost) -> None:
    browse(port, "/page?a=b", ("Cookie", "a=b"), ("X-Forwarded-For", "192.0.2.1"), ("X-Original-URL", "http://evil/"))
    assert outpost.asked[-1][:2] == ("GET", "/outpost.goauthentik.io/auth/nginx")
    assert outpost.last["x-original-url"] == ["http://demo.localhost:9080/page?a=b"]
    assert outpost.last["cookie"] == ["a=b"]
    assert outpost.last["x-forwarded-for"] == ["127.0.0.1"]
    assert outpost.last["x-forwarded-host"] == ["demo.localhost:9080"]


def test_who_is_let_in_sees_the_headers_and_gets_the_cookie(port: int, outpost: Outpost) -> None:
    outpost.headers = [
        ("X-authentik-username", "<alice>"),
        ("X-authentik-name", "Alice"),
        ("Set-Cookie", "s=1; Path=/"),
    ]
    answer = browse(port)
    assert (answer.status, answer.all("Set-Cookie")) == (200, ["s=1; Path=/"])
    assert "<td>&lt;alice&gt;</td>" in answer.text
    assert "Hello, Alice" in answer.text


def test_who_is_not_signed_in_is_sent_there(port: int, outpost: Outpost) -> None:
    outpost.status = 401
    answer = browse(port)
    where = "/outpost.goauthentik.io/start?rd=http%3A%2F%2Fdemo.localhost%3A9080%2Fpage%3Fa%3Db"
    assert (answer.status, answer.header("Location")) == (302, where)


def test_who_may_not_is_told_by_the_outpost(port: int, outpost: Outpost) -> None:
    outpost.status = 403
    assert (browse(port).status, browse(port).text) == (403, "from the outpost")


def test_the_outposts_own_paths_go_to_it(port: int, outpost: Outpost) -> None:
    outpost.headers = [("X-Own", "1")]
    answer = browse(port, "/outpost.goauthentik.io/callback?code=x")
    assert (answer.text, answer.header("X-Own")) == ("from the outpost", "1")
    assert outpost.asked[-1][1] == "/outpost.goauthentik.io/callback?code=x"


@pytest.mark.parametrize("name", ["X-authentik-username", "X_authentik_username", "x-AUTHENTIK-groups"])
def test_identity_that_a_client_sends_is_dropped(port: int, outpost: Outpost, name: str) -> None:
    answer = browse(port, "/", (name, "mallory"))
    assert "mallory" not in answer.text
    assert "mallory" not in str(outpost.asked)


def test_a_prefix_of_the_path_is_not_the_path(port: int, outpost: Outpost) -> None:
    outpost.status = 401
    assert browse(port, "/outpost.goauthentik.io.evil/").status == 302


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_requests_that_could_be_read_in_two_ways_are_refused(port: int, outpost: Outpost, request_: bytes) -> None:
    assert send(port, request_).status == 400
    assert outpost.asked == []


def test_an_outpost_that_is_away(outpost: Outpost) -> None:
    server = make_server(("127.0.0.1", 0), "127.0.0.1:1")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    assert browse(server.server_address[1]).status == 502
    server.shutdown()
    server.server_close()
    assert outpost.asked == []

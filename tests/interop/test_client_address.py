"""Where a request is from is what the reverse proxy saw: what a client says of itself reaches no outpost.

Each snippet, before a stand-in for the outpost that keeps what it is told. Private addresses may speak for others by
default: a client in a private network could choose its address otherwise, and lockouts go by that.
"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.peers import start_caddy, start_nginx
from tests.support.peers_dialects import Asked, Envoy, Traefik
from tests.support.peers_http import ask
from tests.support.peers_program import free_port
from tests.support.peers_sites import Addresses, Site, caddy_site, envoy, nginx_server, traefik
from tests.support.peers_tls import self_signed

pytestmark = pytest.mark.interop

CLAIMS = (("X-Forwarded-For", "203.0.113.66"), ("X-Forwarded-For", "10.9.9.9, 192.168.7.20"))
START = "/outpost.goauthentik.io/start?rd=/"


class Listener:
    """Lets everything pass; `told` is what each request said of where it is from, by its path."""

    def __init__(self) -> None:
        self.told: dict[str, list[str]] = {}
        handler = type("Handler", (_Handler,), {"told": self.told})
        self.server = ThreadingHTTPServer(("127.0.0.1", free_port()), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, name="listener")
        self.thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    told: dict[str, list[str]]

    def do_GET(self) -> None:
        self.told[self.path] = self.headers.get_all("X-Forwarded-For", [])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture
def outpost() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.mark.parametrize("name", ["nginx", "caddy"])
def test_no_client_says_where_it_is(outpost: Listener, folder: Path, name: str) -> None:
    scheme = "https" if name == "nginx" else "http"
    site = Site(provider="app", host="app.example.test", scheme=scheme, port=free_port())
    at = Addresses(
        outpost=outpost.address, application=outpost.address, certificate=self_signed(folder, "app.example.test")
    )
    if name == "nginx":
        program = start_nginx(folder / "nginx", nginx_server(site, at), [site.port])
    else:
        program = start_caddy(folder / "caddy", caddy_site(site, at), [site.port])
    for path in ("/page", START):
        answer = ask(site.port, path, host=f"{site.host}:{site.port}", headers=CLAIMS, tls=name == "nginx")
        assert answer.status == 200
    program.stop()
    assert outpost.told[f"/outpost.goauthentik.io/auth/{name}"] == ["127.0.0.1"]
    assert outpost.told[START] == ["127.0.0.1"]
    assert "/page" in outpost.told, "it passed"


@pytest.mark.parametrize("dialect", [traefik(), envoy()], ids=["traefik", "envoy"])
def test_nor_with_those_that_are_played(dialect: Traefik | Envoy) -> None:
    asked = Asked(method="GET", target="/page", headers=(("Host", "app.example.test"), *CLAIMS))
    question = dialect.question(asked).decode()
    told = [line.partition(":")[2] for line in question.splitlines() if line.lower().startswith("x-forwarded-for:")]
    assert {hop.strip() for each in told for hop in each.split(",")} == {"127.0.0.1"}

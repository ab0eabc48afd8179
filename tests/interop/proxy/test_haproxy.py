"""HAProxy before an outpost in mode proxy: by X-Forwarded-*, and by the PROXY protocol."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.proxy.asking import BROWSER, authority
from tests.interop.proxy.test_websockets import connected
from tests.interop.proxy.world import ProxyWorld
from tests.support.peers import Seen, seen_by_application
from tests.support.peers_http import Answer, ask
from tests.support.peers_program import Program, free_port, require
from tests.support.peers_tls import self_signed
from tests.support.upstreams import ready

pytestmark = pytest.mark.interop
CONFIG = """
global
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout tunnel 30s
frontend headers
    bind 127.0.0.1:{headers} ssl crt {pair}
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend plain
backend plain
    server outpost 127.0.0.1:{outpost}
frontend one
    bind 127.0.0.1:{one}
    default_backend one
backend one
    server outpost 127.0.0.1:{outpost} send-proxy
frontend two
    bind 127.0.0.1:{two}
    default_backend two
backend two
    server outpost 127.0.0.1:{outpost} send-proxy-v2
listen tls
    mode tcp
    bind 127.0.0.1:{tls}
    server outpost 127.0.0.1:{https} send-proxy-v2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Where HAProxy listens, by how it tells who asks."""

    headers: int
    one: int
    two: int
    tls: int


@pytest.fixture(scope="module")
def front(world: ProxyWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """HAProxy before the outpost."""
    folder = tmp_path_factory.mktemp("haproxy")
    front = Front(headers=free_port(), one=free_port(), two=free_port(), tls=free_port())
    program = start(folder, front, world)
    yield front
    program.kill()


def start(folder: Path, front: Front, world: ProxyWorld) -> Program:
    """Start it."""
    certificate, key = self_signed(folder, "*.example.test")
    pair = folder / "pair.pem"
    pair.write_bytes(certificate.read_bytes() + key.read_bytes())
    config = folder / "haproxy.cfg"
    config.write_text(
        CONFIG.format(
            pair=pair, outpost=world.outpost.http, https=world.outpost.https, headers=front.headers, one=front.one,
            two=front.two, tls=front.tls,
        )
    )  # fmt: skip
    program = Program("haproxy", [require("haproxy", "haproxy"), "-db", "-f", str(config)])
    return ready(program, front.headers, front.one, front.two, front.tls)


def through(world: ProxyWorld, port: int, name: str, *headers: tuple[str, str], tls: bool = False) -> Answer:
    """A request with alice's session by way of HAProxy."""
    cookie = ("Cookie", world.cookies(name))
    return ask(port, "/x", host=authority(world.sites[name]), headers=[cookie, *headers], tls=tls)


def test_headers_of_a_trusted_proxy_count(world: ProxyWorld, front: Front) -> None:
    received = application(through(world, front.headers, "echo", ("X-Forwarded-For", "203.0.113.9"), tls=True))
    assert received.header("X-Forwarded-Proto") == "https"
    assert received.header("X-Forwarded-Host") == authority(world.sites["echo"])
    # HAProxy adds a second line of its own; one line arrives, in order, and the proxy's own address last.
    assert (received.header("X-Forwarded-For") or "").replace(" ", "") == "203.0.113.9,127.0.0.1,127.0.0.1"
    assert received.header("X-Real-IP") == "203.0.113.9"
    assert received.identity["username"] == "alice"


def application(answer: Answer) -> Seen:
    assert answer.status == 200, answer.text[:1000]
    return seen_by_application(answer.body)


@pytest.mark.parametrize("version", ["one", "two"])
def test_the_proxy_protocol_tells_who_asks(world: ProxyWorld, front: Front, version: str) -> None:
    port = front.one if version == "one" else front.two
    for _ in range(3):
        received = application(through(world, port, "echo"))
        assert received.header("X-Real-IP") == "127.0.0.1"
        assert received.identity["username"] == "alice"


def test_the_proxy_protocol_before_tls(world: ProxyWorld, front: Front) -> None:
    answer = through(world, front.tls, "secure", tls=True)
    assert (answer.status, "X-Forwarded-Proto" in answer.text) == (200, True)


@pytest.mark.parametrize("name", ["ws", "wss"])
def test_websockets_go_through_both(world: ProxyWorld, front: Front, name: str) -> None:
    with connected(world, name, port=front.two) as websocket:
        websocket.send("through two proxies")
        assert websocket.recv(timeout=30) == "through two proxies"


def test_an_anonymous_person_comes_back_to_where_haproxy_is(world: ProxyWorld, front: Front) -> None:
    answer = ask(front.headers, "/deep?x=1", host=authority(world.sites["echo"]), headers=[BROWSER], tls=True)
    assert answer.status == 302
    assert answer.header("Location").startswith(world.sites["echo"].url + "/outpost.goauthentik.io/start")

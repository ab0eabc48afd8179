"""WebSockets through mode proxy: Python's `websockets` and Node's `ws`, each as client and as server."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.interop.proxy.asking import authority, request, response, wire
from tests.interop.proxy.world import ProxyWorld
from tests.support.peers_program import eventually, plain_environment
from tests.support.upstreams import NODE_ENVIRONMENT, Call, node

pytestmark = pytest.mark.interop
SERVERS = ["websockets", "ws", "wss"]
LARGE = 8 << 20


@contextmanager
def connected(
    world: ProxyWorld, name: str, cookies: str | None = None, port: int = 0, **options: Any
) -> Iterator[ClientConnection]:
    """A WebSocket to an application, by the outpost's plain port or another one."""
    site = world.sites[name]
    held = world.cookies(name) if cookies is None else cookies
    with connect(
        f"ws://{authority(site)}/socket?x=1",
        sock=socket.create_connection(("127.0.0.1", port or world.outpost.http), timeout=30),
        additional_headers={"Cookie": held} if held else {},
        max_size=None,
        open_timeout=30,
        close_timeout=30,
        **options,
    ) as connection:
        yield connection


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_of_all_kinds_come_back(world: ProxyWorld, name: str, compression: str | None) -> None:
    with connected(world, name, compression=compression, subprotocols=["garrison"]) as connection:
        assert connection.subprotocol == "garrison"
        extensions = connection.response.headers.get("Sec-WebSocket-Extensions", "") if connection.response else ""
        assert ("permessage-deflate" in extensions) == (compression == "deflate")
        connection.send("grüße")
        assert connection.recv(timeout=30) == "grüße"
        connection.send("")
        assert connection.recv(timeout=30) == ""
        large = bytes(range(256)) * (LARGE // 256)
        connection.send(large)
        assert connection.recv(timeout=20) == large
        connection.send(iter(["frag", "men", "ted"]))
        assert connection.recv(timeout=30) == "fragmented"
        connection.ping("there?").wait(5)


@pytest.mark.parametrize("name", SERVERS)
def test_nodes_client_has_its_messages_back(world: ProxyWorld, name: str) -> None:
    plan: dict[str, Any] = {
        "texts": ["hi", "grüße", ""],
        "sizes": [0, 3, 70_000, LARGE],
        "protocols": ["garrison"],
        "last": "",
    }
    seen = play(world, name, plan)
    assert seen["messages"] == plan["texts"] + plan["sizes"]
    assert (seen["pongs"], seen["code"], seen["reason"]) == (1, 1000, "done")
    assert (seen["protocol"], "permessage-deflate" in seen["extensions"]) == ("garrison", True)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going away"), (4711, "grüße")])
def test_a_servers_close_reaches_the_client(world: ProxyWorld, name: str, code: int, reason: str) -> None:
    with connected(world, name) as connection:
        connection.send(f"close:{code}:{reason}")
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=30)
        assert (connection.close_code, connection.close_reason) == (code, reason)
    plan = {"texts": ["x"], "sizes": [], "protocols": [], "last": f"close:{code}:{reason}"}
    seen = play(world, name, plan)
    assert (seen["code"] if code != 1000 else 1000, seen["reason"]) == (code, reason)


def test_a_clients_close_reaches_the_server(world: ProxyWorld) -> None:
    before = len(world.websockets.closed)
    with connected(world, "websockets") as connection:
        connection.close(4001, "enough")
    eventually(lambda: len(world.websockets.closed) > before, "the server has seen it")
    assert world.websockets.closed[before] == (4001, "enough")


def play(world: ProxyWorld, name: str, plan: dict[str, Any]) -> dict[str, Any]:
    """Node's client carries out a plan."""
    url = f"ws://127.0.0.1:{world.outpost.http}/socket"
    command = node("client", url, world.cookies(name), json.dumps({**plan, "host": authority(world.sites[name])}))
    done = subprocess.run(
        command, capture_output=True, check=True, timeout=30, env=plain_environment() | NODE_ENVIRONMENT, text=True
    )
    seen: dict[str, Any] = json.loads(done.stdout)
    assert "error" not in seen, seen
    return seen


def test_the_application_learns_who_it_is(world: ProxyWorld) -> None:
    with connected(world, "ws") as connection:
        connection.send("headers")
        headers = json.loads(connection.recv(timeout=30))
    assert (headers["x-authentik-username"], headers["x-forwarded-host"]) == ("alice", authority(world.sites["ws"]))
    assert "authentik_proxy" not in headers.get("cookie", "")


def test_without_a_session_there_is_none(world: ProxyWorld) -> None:
    with pytest.raises(InvalidStatus) as refused, connected(world, "ws", cookies=""):
        pass
    assert refused.value.response.status_code in (401, 302)


@pytest.mark.parametrize(
    "headers",
    [
        [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
        [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "c2hvcnQ=")],
        [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "8"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")],
    ],
    ids=["no-key", "short-key", "old-version"],
)
def test_a_handshake_that_is_wrong_never_reaches_the_application(
    scripted: ProxyWorld, headers: list[tuple[str, str]]
) -> None:
    scripted.scripted.calls.clear()
    with wire(scripted) as connection:
        connection.sendall(request(scripted, "scripted", "GET / HTTP/1.1", ("Connection", "Upgrade"), *headers))
        assert response(connection).status in (400, 426)
    assert scripted.scripted.calls == []


def test_an_application_that_accepts_with_the_wrong_key_is_502(scripted: ProxyWorld) -> None:
    def answer(call: Call) -> None:
        call.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
        )
        call.ended()

    scripted.scripted.answer = answer
    with pytest.raises(InvalidStatus) as refused, connected(scripted, "scripted"):
        pass
    assert refused.value.response.status_code == 502


def test_an_application_that_wants_no_websocket_says_so_itself(world: ProxyWorld) -> None:
    with pytest.raises(InvalidStatus) as refused, connected(world, "gunicorn"):
        pass
    assert refused.value.response.status_code == 200


def test_another_upgrade_is_not_passed_on(scripted: ProxyWorld) -> None:
    heads: list[bytes] = []

    def answer(call: Call) -> None:
        heads.append(call.head)
        call.answer(b"plain")

    scripted.scripted.answer = answer
    h2c = (
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"),
    )
    with wire(scripted) as connection:
        connection.sendall(request(scripted, "scripted", "GET / HTTP/1.1", *h2c))
        answered = response(connection)
        if answered.status == 200:
            assert answered.read() == b"plain"
            assert b"upgrade" not in heads[0].lower()
            assert b"http2-settings" not in heads[0].lower()
        else:
            assert answered.status in (400, 501)

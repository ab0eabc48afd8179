"""What is open ends when its session does: WebSockets with Close 1008, downloads torn, and at once."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse, IncompleteRead
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.interop.proxy.asking import get, request, response, wire
from tests.interop.proxy.test_websockets import connected
from tests.interop.proxy.world import ProxyWorld
from tests.interop.world import PASSWORD
from tests.support.browser_http import Visitor, links
from tests.support.garrison import ADMIN, ADMIN_PASSWORD, Outpost
from tests.support.peers_program import eventually
from tests.support.upstreams import Call

pytestmark = pytest.mark.interop
SOON = 10.0
POLICY_VIOLATION, GOING_AWAY = 1008, 1001


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """What somebody has open at two applications."""

    name: str
    visitor: Visitor
    websocket: ClientConnection
    download: HTTPResponse

    def ends(self, within: float = SOON) -> None:
        """Both end in time: the one with a reason, the other torn."""
        began = time.monotonic()
        with pytest.raises(ConnectionClosed):
            self.websocket.recv(timeout=within)
        assert self.websocket.close_code == POLICY_VIOLATION
        with pytest.raises((IncompleteRead, ConnectionError)):
            self.download.read()
        assert time.monotonic() - began < within

    def goes_on(self) -> None:
        """Neither has ended."""
        self.websocket.send("still there?")
        assert self.websocket.recv(timeout=SOON) == "still there?"
        assert self.download.read(1) == b"x"


def trickle(call: Call) -> None:
    """An answer that never ends by itself."""
    call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not call.ended(0.05):
        call.send(b"1\r\nx\r\n")


@contextmanager
def opened(world: ProxyWorld) -> Iterator[Open]:
    """Somebody with a WebSocket and a download."""
    name = world.guests.pop()
    world.scripted.answer = trickle
    visitor = Visitor()
    held = {}
    for site in ("websockets", "scripted"):
        at = world.sites[site]
        page = visitor.get(f"{at.url}/outpost.goauthentik.io/start?rd=/outpost.goauthentik.io/ping")
        if page.status == 200:
            visitor.submit(page, {"username": name, "password": PASSWORD})
        held[site] = at.cookie_header(visitor)
        assert held[site]
    with connected(world, "websockets", cookies=held["websockets"]) as websocket, wire(world) as connection:
        connection.sendall(request(world, "scripted", "GET / HTTP/1.1", cookies=held["scripted"]))
        found = Open(name=name, visitor=visitor, websocket=websocket, download=response(connection))
        found.goes_on()
        yield found


def test_deactivating_somebody_in_the_admin_interface(scripted: ProxyWorld) -> None:
    admin = Visitor()
    admin.sign_in(f"{scripted.garrison.url}/admin/", ADMIN, ADMIN_PASSWORD)
    with opened(scripted) as it:
        listed = admin.get(f"{scripted.garrison.url}/admin/users/?q={it.name}")
        (address,) = {address for text, address in links(listed) if text == it.name}
        page = admin.get(f"{address}/deactivate")
        assert page.status == 200, f"{page.status} {page.url}"
        admin.post(page.url, [("csrf_token", dict(page.form("csrf_token").fields)["csrf_token"])])
        it.ends()


def test_signing_out_at_the_application(scripted: ProxyWorld) -> None:
    with opened(scripted) as it:
        it.visitor.get(scripted.sites["websockets"].own("sign_out"))
        it.ends()


def test_signing_out_at_garrison(scripted: ProxyWorld) -> None:
    with opened(scripted) as it:
        it.visitor.submit(it.visitor.get(f"{scripted.garrison.url}/sign-out"), {})
        it.ends()


def test_a_group_taken_away(scripted: ProxyWorld) -> None:
    with opened(scripted) as it:
        scripted.garrison.apply({"users": [{"username": it.name, "groups": []}]})
        it.ends()


def test_a_new_password(scripted: ProxyWorld) -> None:
    new = {"password": "another-long-one", "password_policy": "enforce"}
    with opened(scripted) as it:
        scripted.garrison.apply({"users": [{"username": it.name, **new}]})
        it.ends()


def test_what_concerns_others_ends_nothing(scripted: ProxyWorld) -> None:
    with opened(scripted) as it, opened(scripted) as other:
        scripted.garrison.apply({"users": [{"username": other.name, "active": False}]})
        other.ends()
        scripted.garrison.apply({"users": [{"username": it.name, "name": "Newly Wed"}]})
        it.goes_on()


def test_a_session_that_expires(world: ProxyWorld) -> None:
    cookies = world.session("brief", "alice")
    with connected(world, "brief", cookies=cookies) as websocket:
        websocket.send("hello")
        assert websocket.recv(timeout=SOON) == "hello"
        with pytest.raises(ConnectionClosed):
            websocket.recv(timeout=30)
        assert websocket.close_code == POLICY_VIOLATION


@pytest.mark.parametrize("name", ["websockets", "ws", "wss"])
def test_a_websocket_in_full_swing_is_closed_between_two_messages(world: ProxyWorld, name: str) -> None:
    """Whoever cuts into a frame has the browser complain of the protocol, and nobody learns why.

    Without compression frames are as long as messages; with it, hundreds of messages lie before the last word. Those of
    Node come faster than they are taken, so that hardly any read ends where one of them does.
    """
    person = world.guests.pop()
    with connected(world, name, cookies=world.session(name, person), compression=None) as websocket:
        websocket.send("flood")
        for _ in range(20):
            assert len(websocket.recv(timeout=SOON)) == 1 << 20
        with deactivating(world, person), pytest.raises(ConnectionClosed):
            while True:
                websocket.recv(timeout=SOON)
        assert websocket.close_code == POLICY_VIOLATION


@contextmanager
def deactivating(world: ProxyWorld, person: str) -> Iterator[None]:
    """Meanwhile, as the word of the end comes before the command's own, and waits for nobody who doesn't read."""
    change = {"users": [{"username": person, "active": False}]}
    with ThreadPoolExecutor(1) as executor:
        applied = executor.submit(world.garrison.apply, change)
        yield
        applied.result()


def test_a_change_of_the_provider_that_decides_nothing_ends_nothing(scripted: ProxyWorld) -> None:
    with opened(scripted) as it:
        changed = {"internal_host_response_timeout": "minutes=9"}
        scripted.garrison.apply(
            {"providers": [{"name": name, "type": "proxy", **changed} for name in ("websockets", "scripted")]}
        )
        assert get(scripted, "websockets", "/").status == 426  # by the new configuration or by the old one
        it.goes_on()


def test_an_outpost_that_ends_says_so_to_whoever_is_connected(world: ProxyWorld, tmp_path: Path) -> None:
    other = Outpost(
        world.garrison, "edge", tmp_path / "other", environment={"AUTHENTIK_HOST_BROWSER": world.garrison.url}
    ).start()
    # Sessions lie with the browser, so that any instance serves them.
    with connected(world, "websockets", port=other.http) as websocket:
        websocket.send("hello")
        assert websocket.recv(timeout=SOON) == "hello"
        other.program.process.terminate()
        with pytest.raises(ConnectionClosed):
            websocket.recv(timeout=30)
        assert websocket.close_code == GOING_AWAY
    other.stop()


def test_the_application_hears_of_it_too(scripted: ProxyWorld) -> None:
    before = len(scripted.websockets.closed)
    with opened(scripted) as it:
        scripted.garrison.apply({"users": [{"username": it.name, "active": False}]})
        it.ends()
        eventually(lambda: len(scripted.websockets.closed) > before, "the application's WebSocket has ended")

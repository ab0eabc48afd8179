"""Clients that send or read as slowly as they can, at a whole Garrison: they wait, and nobody else does.

Control has sixteen threads; each test takes more than that many connections, and from other addresses than ours.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.interop.world import World
from tests.support.peers_http import ask

pytestmark = pytest.mark.interop
CLIENTS = 60


@pytest.fixture
def clients(world: World) -> Iterator[list[socket.socket]]:
    """Connections to the front door, of two addresses."""
    with ExitStack() as stack:
        sources = [("127.0.0.2", 0), ("127.0.0.3", 0)]
        yield [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", world.garrison.http), 10, source_address=sources[number % 2])
            )
            for number in range(CLIENTS)
        ]


def test_slow_bodies_stop_nobody(world: World, clients: list[socket.socket]) -> None:
    head = f"POST /-/enrol HTTP/1.1\r\nHost: {world.garrison.host}\r\nContent-Length: 1000\r\n\r\n"
    for client in clients:
        client.sendall(head.encode() + b"{")
    for _ in range(5):
        assert ask(world.garrison.http, "/-/health/live/", host=world.garrison.host).status == 204
        for client in clients:
            client.sendall(b" ")


def test_slow_readers_stop_nobody(world: World, clients: list[socket.socket]) -> None:
    page = ask(world.garrison.http, "/sign-in", host=world.garrison.host, headers=[("Accept", "text/html")])
    found = re.search(r"/static/[^\"]+\.css", page.text)
    assert found, page.text[:2000]
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(f"GET {found[0]} HTTP/1.1\r\nHost: {world.garrison.host}\r\n\r\n".encode())
    for _ in range(5):
        assert ask(world.garrison.http, "/-/health/live/", host=world.garrison.host).status == 204

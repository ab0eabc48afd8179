"""Servers of lines on real sockets, drained at the end."""

import socket
from collections.abc import Iterator

import pytest

from dataplane.io.limits import Limits
from dataplane.io.tcp import TcpServer
from tests.dataplane.io.echo import open_conversation
from tests.dataplane.io.lines import LONG, Start, listen


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[tuple[TcpServer, socket.socket]] = []

    def run(limits: Limits = LONG, family: int = socket.AF_INET) -> tuple[TcpServer, int]:
        server, listener = TcpServer(open_conversation, limits), listen(family)
        server.serve(listener)
        running.append((server, listener))
        return server, listener.getsockname()[1]

    yield run
    for server, listener in running:
        server.drain(0.05)
        assert server.connections == 0
        listener.close()

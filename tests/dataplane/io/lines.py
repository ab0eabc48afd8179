"""What the tests of the driver share: limits scaled down, a listener, a client."""

import socket
from collections.abc import Callable

import gevent
from gevent import socket as gevent_socket

from dataplane.io.limits import Limits
from dataplane.io.tcp import TcpServer

QUICK = Limits(message=0.15, read=0.15, write=0.3, idle=0.3, linger=0.2, tick=0.02, settle=0.02, parting=0.1)
LONG = Limits(idle=60, linger=0.2, tick=0.02, settle=0.02, parting=0.1)


def listen(family: int = socket.AF_INET) -> socket.socket:
    listener = socket.socket(family)
    listener.bind(("127.0.0.1" if family == socket.AF_INET else "::", 0))
    listener.listen(64)
    return listener


def connect(port: int, source: str = "127.0.0.1") -> gevent_socket.socket:
    return gevent_socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0))


def read_all(client: gevent_socket.socket) -> bytes:
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


def until(condition: Callable[[], object]) -> None:
    """Wait for it, not for ever: longer than a loaded machine may need."""
    with gevent.Timeout(30):
        while not condition():
            gevent.sleep(0.005)


Start = Callable[..., tuple[TcpServer, int]]

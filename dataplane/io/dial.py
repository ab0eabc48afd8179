"""The way out: a connection to an upstream over TCP or a unix socket, with a deadline on each step."""

import socket
from dataclasses import dataclass
from typing import Self

from gevent import socket as gevent_socket

_READ_SIZE = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpAddress:
    """A host by name or address, and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixAddress:
    """A socket in the file system."""

    path: str


Address = TcpAddress | UnixAddress


class Upstream:
    """A connection we made. Reads and writes raise OSError, TimeoutError among them."""

    def __init__(self, sock: gevent_socket.socket) -> None:
        self._socket = sock

    def read(self, timeout: float | None) -> bytes:
        """The next bytes; empty at the end. None waits for ever."""
        self._socket.settimeout(timeout)
        return self._socket.recv(_READ_SIZE)

    def write(self, data: bytes, timeout: float) -> None:
        """Send all of `data`."""
        self._socket.settimeout(timeout)
        self._socket.sendall(data)

    def half_close(self) -> None:
        """Say that nothing more comes."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        """Close both ways."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def dial(address: Address, timeout: float) -> Upstream:
    """Connect within `timeout` seconds or raise OSError."""
    match address:
        case TcpAddress(host=host, port=port):
            sock = gevent_socket.create_connection((host, port), timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        case UnixAddress(path=path):
            sock = gevent_socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.settimeout(timeout)
                sock.connect(path)
            except OSError:
                sock.close()
                raise
    return Upstream(sock)

import socket

import pytest

from dataplane.io.keepalive import keep_asking


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_listeners_connections_are_looked_after_as_it_is(family: socket.AddressFamily) -> None:
    with socket.socket(family) as listener:
        keep_asking(listener)
        listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        listener.listen(1)
        with socket.create_connection(listener.getsockname()[:2]), listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


def test_unix_sockets_need_nothing() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        keep_asking(sock)
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

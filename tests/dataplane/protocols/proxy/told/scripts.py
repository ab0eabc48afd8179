"""What applications play: answers without an end, and a WebSocket."""

import gevent

from tests.dataplane.protocols.proxy.servers import Peer

WEBSOCKET = (
    b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip
ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def hold(peer: Peer, _: bytes) -> None:
    """Begin an answer that has no end."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")
    peer.recv(1)


def go_on(peer: Peer, _: bytes) -> None:
    """Answer for as long as anybody listens."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        peer.sendall(b"5\r\nagain\r\n")
        gevent.sleep(0.005)


def switch(peer: Peer, _: bytes) -> None:
    """Become a WebSocket that says one thing."""
    peer.sendall(ACCEPTED + b"\x81\x02hi")
    peer.recv(100)
    raise ConnectionError("said all")

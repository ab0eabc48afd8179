"""The opening handshake of a WebSocket, as a proxy has to see to it (RFC 6455 4.1, 4.2). Pure.

What isn't one goes to nobody as one: a server that takes something else for a handshake, or a client that takes another
answer for one, would leave a connection on which anything may be said.
"""

import base64
import binascii
import hashlib

from dataplane.protocols.proxy.messages import Headers, Request
from dataplane.sansio import PeerError

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_SIZE = 16
VERSION = (b"Sec-WebSocket-Version", b"13")
"""For who asked for another one to choose by (RFC 6455 4.4)."""
SWITCHING = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))


def is_wanted(request: Request) -> bool:
    """Whether a request asks for a WebSocket; other upgrades are none of ours, and never passed on."""
    return request.upgrade and _options(request.fields.get(b"upgrade", b"")) == [b"websocket"]


def key_of(request: Request) -> bytes:
    """The key of a handshake. Raises PeerError(400) where it is none."""
    if request.method != b"GET" or request.version != b"1.1":
        raise PeerError(400, "a WebSocket begins with GET and HTTP/1.1 (RFC 6455 4.1)")
    if request.repeated & {b"sec-websocket-key", b"sec-websocket-version", b"upgrade"}:
        raise PeerError(400, "a WebSocket's handshake says something twice")
    if request.fields.get(b"sec-websocket-version", b"").strip() != VERSION[1]:
        raise PeerError(400, "WebSockets of version 13 are spoken here (Sec-WebSocket-Version)")
    key = request.fields.get(b"sec-websocket-key", b"").strip()
    if not _is_key(key):
        raise PeerError(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    return key


def accept_of(key: bytes) -> bytes:
    """What the server has to say to `key` (RFC 6455 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def check_accepted(key: bytes, headers: Headers) -> None:
    """Raises PeerError(502) for an answer that opens no WebSocket for `key` (RFC 6455 4.1)."""
    said: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        said.setdefault(name.lower(), []).append(value.strip())
    if b"upgrade" not in _options(b",".join(said.get(b"connection", []))):
        raise PeerError(502, "the upstream switches protocols without Connection: Upgrade")
    if [value.lower() for value in said.get(b"upgrade", [])] != [b"websocket"]:
        raise PeerError(502, "the upstream switches to a protocol that nobody asked for")
    if said.get(b"sec-websocket-accept") != [accept_of(key)]:
        raise PeerError(502, "the upstream's Sec-WebSocket-Accept doesn't fit the key")


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_SIZE
    except binascii.Error:
        return False


def _options(value: bytes) -> list[bytes]:
    return [option.strip().lower() for option in value.split(b",")]

"""The server name that a TLS client asks for, read from its first bytes, so that one port can lead to two servers.

Reads only: whoever gets the connection is handed the same bytes and judges them anew. The ClientHello of TLS 1.3 (RFC
8446 section 4.1.2) and that of 1.2 have one shape; it may be spread over records (section 5.1) and reads at will. What
is no ClientHello is PeerError, whose code is the TLS alert (section 6) that tells so.
"""

from dataplane.sansio.cursor import Cursor
from dataplane.sansio.errors import PeerError

MAX_BYTES = 16 * 1024
"""Of a ClientHello with its records. Those of browsers have one or two KiB, the largest key shares some more."""

_UNEXPECTED_MESSAGE, _RECORD_OVERFLOW, _ILLEGAL_PARAMETER, _DECODE_ERROR = 10, 22, 47, 50
_HANDSHAKE_RECORD = b"\x16\x03"
"""Type and major version. The minor one says nothing: each TLS since 1.0 sends what it likes."""
_RECORD_HEADER = 5
_MAX_FRAGMENT = 2**14
_CLIENT_HELLO = b"\x01"
_MESSAGE_HEADER = 4
_SERVER_NAME = 0
_HOST_NAME = 0


class TooLarge(PeerError):
    """The ClientHello is longer than we look at."""


class HelloReader:
    """Takes bytes until they hold a ClientHello. `taken` is all of them."""

    __slots__ = ("_message", "_position", "taken")

    def __init__(self) -> None:
        self.taken = b""
        self._message = b""
        self._position = 0

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        self.taken += data

    def maybe_read(self) -> bytes | None:
        """The ClientHello without headers, None while bytes are lacking. Raises PeerError, TooLarge among them."""
        while not (wanted := _length(self._message)) or len(self._message) < wanted:
            fragment = self._maybe_take_fragment()
            if fragment is None:
                # What is expected is known before it is here, and what can't become good needn't be waited for.
                _bound(max(len(self.taken), wanted))
                return None
            self._message += fragment
        _bound(max(self._position, wanted))
        return self._message[_MESSAGE_HEADER:wanted]

    def _maybe_take_fragment(self) -> bytes | None:
        """The content of the next record (RFC 8446 section 5.1)."""
        header = self.taken[self._position : self._position + _RECORD_HEADER]
        if not _HANDSHAKE_RECORD.startswith(header[:2]):
            raise PeerError(_UNEXPECTED_MESSAGE, f"bytes {header[:2].hex()} where a handshake's record begins")
        if len(header) < _RECORD_HEADER:
            return None
        length = int.from_bytes(header[3:], "big")
        if length > _MAX_FRAGMENT:
            raise PeerError(_RECORD_OVERFLOW, f"a record of {length} bytes")
        if not length:
            raise PeerError(_UNEXPECTED_MESSAGE, "an empty handshake record")
        end = self._position + _RECORD_HEADER + length
        if len(self.taken) < end:
            return None
        fragment = self.taken[self._position + _RECORD_HEADER : end]
        self._position = end
        return fragment


def find_server_name(hello: bytes) -> str | None:
    """The name in lower case, None where the client names none. Raises PeerError."""
    # The fields in the order of RFC 8446 section 4.1.2; before TLS 1.3 there may be no extensions at all.
    fields = Cursor(hello, _DECODE_ERROR)
    fields.take(2)  # legacy_version
    fields.take(32)  # random
    fields.take(fields.unsigned(1))  # legacy_session_id
    fields.take(fields.unsigned(2))  # cipher_suites
    fields.take(fields.unsigned(1))  # legacy_compression_methods
    if not fields.remaining:
        return None
    extensions = fields.take(fields.unsigned(2))
    if fields.remaining:
        raise PeerError(_DECODE_ERROR, f"{fields.remaining} bytes after the extensions")
    return _find_in(Cursor(extensions, _DECODE_ERROR))


def _length(message: bytes) -> int:
    """Of the whole handshake message with its header; 0 while that isn't known."""
    if not _CLIENT_HELLO.startswith(message[:1]):
        raise PeerError(_UNEXPECTED_MESSAGE, f"a handshake message of type {message[0]} where a ClientHello is due")
    if len(message) < _MESSAGE_HEADER:
        return 0
    return _MESSAGE_HEADER + int.from_bytes(message[1:_MESSAGE_HEADER], "big")


def _bound(size: int) -> None:
    if size > MAX_BYTES:
        raise TooLarge(_DECODE_ERROR, f"a ClientHello of {size} bytes or more, where {MAX_BYTES} are taken")


def _find_in(extensions: Cursor) -> str | None:
    found: str | None = None
    while extensions.remaining:
        kind = extensions.unsigned(2)
        content = extensions.take(extensions.unsigned(2))
        if kind == _SERVER_NAME:
            if found is not None:  # RFC 8446 section 4.2: no more than one of a type
                raise PeerError(_ILLEGAL_PARAMETER, "two server_name extensions")
            found = _host_name(content)
    return found


def _host_name(content: bytes) -> str:
    """RFC 6066 section 3. The list has one type of names only, and of each type one name: a list of one."""
    names = Cursor(content, _DECODE_ERROR)
    with names.within(names.unsigned(2)):
        kind = names.unsigned(1)
        name = names.take(names.unsigned(2))
    if kind != _HOST_NAME or not name.isascii() or not name.strip(b".") or b"\0" in name or names.remaining:
        raise PeerError(_ILLEGAL_PARAMETER, "a server name that is none")
    return name.decode("ascii").lower().rstrip(".")

"""One LDAP connection as bytes: what arrives is cut into messages, each decoded when it is asked for.

A message is refused from its header alone when it is longer than `limit`, and from its first byte when that can't begin
one (RFC 4511 section 4.1.1). The handler may change `limit` between two messages, and asks `pending` before it changes
to TLS (section 4.14.1): what came behind the request must not be taken for something sent under TLS.
"""

from collections.abc import Iterator
from typing import Final

from dataplane.protocols.ldap.ber import LONG_FORM, SEQUENCE, broken, length_octets
from dataplane.protocols.ldap.faults import TooLong
from dataplane.protocols.ldap.messages import Message
from dataplane.protocols.ldap.wire import decode_message
from dataplane.sansio import PeerError

DEFAULT_LIMIT: Final = 64 * 1024
"""Bytes of a message, header included, unless the handler says otherwise."""


class LdapSession:
    """The server's side. Answers are encoded by `wire`, entries ahead of time, so `send` takes bytes."""

    __slots__ = ("_buffer", "_error", "limit")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._error: PeerError | None = None

    @property
    def pending(self) -> int:
        """Bytes that no message was made of yet."""
        return len(self._buffer)

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; empty bytes mean that it has closed its side, and what is unfinished is lost."""
        self._buffer += data

    def events(self) -> Iterator[Message]:
        """The messages that are whole. Raises PeerError behind the last good one, and from then on."""
        while True:
            message = self._find_message()
            if message is None:
                return
            yield message

    def send(self, message: bytes) -> bytes:
        """What goes out is encoded already."""
        return message

    def _find_message(self) -> Message | None:
        if self._error is not None:
            raise self._error
        try:
            size = self._find_size()
            if size is None or size > len(self._buffer):
                return None
            data = bytes(self._buffer[:size])
            del self._buffer[:size]
            return decode_message(data)
        except PeerError as error:
            self._error = error
            raise

    def _find_size(self) -> int | None:
        """How long the next message is, header included, as soon as its header is there."""
        buffer = self._buffer
        if buffer and buffer[0] != SEQUENCE:
            raise broken(f"a message can't begin with {buffer[0]:#04x}")
        begin = 2
        if len(buffer) < begin:
            return None
        length = buffer[1]
        if length >= LONG_FORM:
            begin += length_octets(length)
            if len(buffer) < begin:
                return None
            length = int.from_bytes(buffer[2:begin], "big")
        if begin + length > self.limit:
            raise TooLong(begin + length, self.limit)
        return begin + length

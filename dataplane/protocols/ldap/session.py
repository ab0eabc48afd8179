"""One LDAP connection as bytes: what arrives is cut into messages, each decoded when it is asked for.

A message is refused from its header alone when it is longer than `limit`, and from its first byte when that can't begin
one (RFC 4511 section 4.1.1). The handler may change `limit` between two messages, and asks `pending` before it changes
to TLS (section 4.14.1): what came behind the request must not be taken for something sent under TLS.
"""

from collections.abc import Iterator
from typing import Final

from dataplane.protocols.ldap.ber import LONG_FORM, SEQUENCE, broken, length_octets
from dataplane.protocols.ldap.faults import Crowded, TooLong
from dataplane.protocols.ldap.messages import Message
from dataplane.protocols.ldap.wire import decode_message
from dataplane.sansio import PeerError

DEFAULT_LIMIT: Final = 64 * 1024
"""Bytes of a message, header included, unless the handler says otherwise."""
DEFAULT_ROOM: Final = 64 * 1024 * 1024
"""Bytes of unfinished messages of all connections together."""


class Room:
    """What unfinished messages of all connections may take, in bytes."""

    __slots__ = ("left",)

    def __init__(self, size: int = DEFAULT_ROOM) -> None:
        self.left = size


class LdapSession:
    """The server's side. Answers are encoded by `wire`, entries ahead of time, so `send` takes bytes.

    Whoever ends it calls `release`, for others share its room.
    """

    __slots__ = ("_data", "_error", "_held", "_partial", "_position", "_room", "limit")

    def __init__(self, limit: int = DEFAULT_LIMIT, room: Room | None = None) -> None:
        self.limit = limit
        self._room = Room() if room is None else room
        self._held = 0
        # What came last, from a position on: mostly one message or a few, whole. Once something is cut off at the end,
        # what there is goes on in `_partial`, so that bytes which trickle in are copied once each.
        self._data = b""
        self._position = 0
        self._partial = bytearray()
        self._error: PeerError | None = None

    @property
    def pending(self) -> int:
        """Bytes that no message was made of yet."""
        return len(self._partial) + len(self._data) - self._position

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; empty bytes mean that it has closed its side, and what is unfinished is lost."""
        if self._position < len(self._data):
            self._partial += self._data[self._position :]
            self._data, self._position = b"", 0
        if self._partial:
            self._partial += data
            self._account()
        else:
            self._data, self._position = data, 0

    def release(self) -> None:
        """Give up what is unfinished: nothing more comes."""
        self._partial.clear()
        self._account()

    def events(self) -> Iterator[Message]:
        """The messages that are whole. Raises PeerError behind the last good one, and from then on."""
        while (message := self._find_message()) is not None:
            yield message

    def send(self, message: bytes) -> bytes:
        """What goes out is encoded already."""
        return message

    def _find_message(self) -> Message | None:
        if self._error is not None:
            raise self._error
        try:
            data = self._find_whole_in_partial() if self._partial else self._find_whole()
            return None if data is None else decode_message(data)
        except PeerError as error:
            self._error = error
            raise

    def _find_whole(self) -> bytes | None:
        data, position = self._data, self._position
        end = find_end(data, position, self.limit)
        if end < 0 or end > len(data):
            return None
        self._position = end
        return data if position == 0 and end == len(data) else data[position:end]

    def _find_whole_in_partial(self) -> bytes | None:
        end = find_end(self._partial, 0, self.limit)
        if end < 0 or end > len(self._partial):
            return None
        data = bytes(self._partial[:end])
        del self._partial[:end]
        self._account()
        return data

    def _account(self) -> None:
        held = len(self._partial)
        self._room.left -= held - self._held
        self._held = held
        if self._room.left < 0 and self._error is None:
            self._error = Crowded()


def find_end(data: bytes | bytearray, position: int, limit: int) -> int:
    """Where the message at this position ends, as soon as its header is there; -1 before.

    Raises PeerError for what can't begin a message, TooLong where it is longer than the limit.
    """
    size = len(data)
    if position < size and data[position] != SEQUENCE:
        raise broken(f"a message can't begin with {data[position]:#04x}")
    begin = position + 2
    if begin > size:
        return -1
    length = data[position + 1]
    if length >= LONG_FORM:
        begin += length_octets(length)
        if begin > size:
            return -1
        length = int.from_bytes(data[position + 2 : begin], "big")
    if begin - position + length > limit:
        raise TooLong(begin - position + length, limit)
    return begin + length

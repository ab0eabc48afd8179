"""Framing between supervisor and worker: length (4 bytes), kind (1 byte), MessagePack. Bytes in, messages out.

Both ends use it, each over its own kind of socket. The peer is our own process, but a worker faces the network:
what it sends is checked against the message's annotations, and nothing in it can name code.
"""

from collections.abc import Iterator

import msgspec

from dataplane.runtime.messages import KINDS, Message

_HEAD = 5
# A whole configuration in one Prepare, and some more.
MAX_FRAME = 512 * 1024 * 1024


class PipeBroken(Exception):
    """The peer sent something that is no message."""


def encode(message: Message) -> bytes:
    """A message as a frame."""
    payload = msgspec.msgpack.encode(message)
    return len(payload).to_bytes(4, "big") + KINDS.index(type(message)).to_bytes(1, "big") + payload


class Frames:
    """Collects bytes and yields the messages that are whole."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer."""
        self._buffer += data

    def messages(self) -> Iterator[Message]:
        """The messages so far. Raises PipeBroken."""
        while (frame := self._find_frame()) is not None:
            yield _decode(*frame)

    def _find_frame(self) -> tuple[int, bytes] | None:
        if len(self._buffer) < _HEAD:
            return None
        end = _HEAD + int.from_bytes(self._buffer[:4], "big")
        if end > MAX_FRAME:
            raise PipeBroken(f"a frame of {end} bytes")
        if len(self._buffer) < end:
            return None
        frame = self._buffer[4], bytes(self._buffer[_HEAD:end])
        del self._buffer[:end]
        return frame


def _decode(kind: int, payload: bytes) -> Message:
    if kind >= len(KINDS):
        raise PipeBroken(f"kind {kind} is not known")
    try:
        return msgspec.msgpack.decode(payload, type=KINDS[kind])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise PipeBroken(f"a broken {KINDS[kind].__name__}: {error}") from error

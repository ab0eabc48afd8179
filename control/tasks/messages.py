"""What passes through huey: which run, and which attempt of it. JSON, never pickle: reading it runs nothing."""

import json
from typing import NamedTuple
from uuid import UUID

from huey.registry import Message
from huey.serializer import Serializer

# huey's name for the one function it calls (control.tasks.queue).
TASK = "control.tasks.queue.perform"


class Key(NamedTuple):
    """One attempt of one run: another attempt is in other hands."""

    run: UUID
    attempt: int


def write_message(key: Key) -> bytes:
    """The message of an attempt."""
    return _written([key.run.hex, key.attempt])


def read_key(data: bytes) -> Key:
    """Whose message it is."""
    return to_key(*json.loads(data))


def to_key(run: str, attempt: int) -> Key:
    """The key of huey's arguments."""
    return Key(UUID(run), attempt)


class Messages(Serializer):  # type: ignore[misc] # huey has no type information
    """huey's messages, of which nothing but the key is worth keeping."""

    def _serialize(self, data: Message) -> bytes:
        return _written(data.args)

    def _deserialize(self, data: bytes) -> Message:
        key = read_key(data)
        return Message(id=f"{key.run}/{key.attempt}", name=TASK, args=(key.run.hex, key.attempt))


def _written(arguments: object) -> bytes:
    return json.dumps(arguments).encode()

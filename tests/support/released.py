"""The messages of the last release, from its own descriptors: what an outpost of that version can say and read."""

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

RELEASED = Path(__file__).parents[2] / "protos" / "released.binpb"


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(RELEASED.read_bytes()).file:
        pool.Add(file)
    return pool


@cache
def released(name: str) -> Any:
    """The class of a message of outpost.v1 as it was."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"outpost.v1.{name}"))


def knows_all(message: Message) -> bool:
    """Whether nothing in it is of a later version, down to what it holds."""
    if len(UnknownFieldSet(message)):
        return False
    held = (value for field, value in message.ListFields() if field.message_type and not field.is_repeated)
    return all(knows_all(value) for value in held)

"""The shape every stream protocol has, so that one driver in `dataplane.io` can put any of them onto a socket."""

from collections.abc import Iterator
from typing import Protocol, TypeVar

Event_co = TypeVar("Event_co", covariant=True)
Message_contra = TypeVar("Message_contra", contravariant=True)


class Session(Protocol[Event_co, Message_contra]):
    """One connection's protocol state. Bytes in, events out; messages in, bytes out."""

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; empty bytes mean that it has closed its side."""
        ...

    def events(self) -> Iterator[Event_co]:
        """Yield what the bytes so far amount to. Raises PeerError when they break the protocol."""
        ...

    def send(self, message: Message_contra) -> bytes:
        """Encode a message of ours."""
        ...

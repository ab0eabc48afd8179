"""What an outpost says on one stream, read no faster than it may speak: a Hello in parts comes out as one.

Messages arrive as bytes, so that what comes too fast waits before it costs anything, and all streams of an instance
wait together. What is no message, or of no Hello, ends the stream; what a newer outpost says and we don't know doesn't.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field, replace

import grpc
from google.protobuf.message import DecodeError

from control.link import reading
from control.link.caller import CallRefused
from control.link.ledger import Key
from control.link.limits import Allowance, Limits, Pile, exhausted
from control.link.messages import Applied, DirectoryApplied, Health, HeldPart, Hello, TokenHeld
from protos.outpost.v1 import link_pb2

Requests = AsyncIterator[bytes]
Said = Hello | Applied | Health | DirectoryApplied | TokenHeld
# What an entry of a map or a list counts at least: to read it costs more than its bytes.
ENTRY_BYTES = 64


class Pace:
    """How fast instances may speak, each on all its streams together, and what of unfinished Hellos is kept."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.kept = Pile(limits.hello_bytes, "too_much_held")
        self._messages = Allowance(limits.messages, limits.message_seconds)
        self._bytes = Allowance(limits.burst_bytes, 1 / limits.second_bytes)

    async def wait(self, key: Key) -> None:
        """Come back when the instance may go on."""
        await self._messages.until_some(key)
        await self._bytes.until_some(key)

    def count(self, key: Key, size: int) -> None:
        """The instance has said a message of so many bytes."""
        self._messages.pay(key, 1)
        self._bytes.pay(key, size)


@dataclass(slots=True)
class _Begun:
    """A Hello of which more follows."""

    hello: Hello
    held: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


class Hearing:
    """One stream: raises CallRefused, from `said`, where the instance says too much, too slowly, or nonsense."""

    def __init__(self, requests: Requests, key: Key, pace: Pace, most_held: int) -> None:
        self._requests = requests
        self._key = key
        self._pace = pace
        self._most_held = most_held
        self._begun: _Begun | None = None
        # Until when a Hello has to be complete; the first one is awaited from the start.
        self._until: float | None = asyncio.get_running_loop().time() + pace.limits.hello_seconds_in_all

    async def said(self) -> AsyncGenerator[Said, None]:
        """What the instance says, until the stream ends."""
        try:
            while (data := await self._next()) is not None:
                request = self._parsed(data)
                self._pace.count(self._key, max(len(data), ENTRY_BYTES * _entries(request)))
                said = self._heard(request, len(data))
                if said is not None:
                    yield said
        finally:
            self._put_away()

    async def _next(self) -> bytes | None:
        limits = self._pace.limits
        if self._until is None:
            return await self._paced(None)
        try:
            async with asyncio.timeout_at(self._until):
                return await self._paced(limits.hello_silence)
        except TimeoutError:
            spans = f"{limits.hello_silence:g} s, and all of it within {limits.hello_seconds_in_all:g} s"
            raise _nonsense("no_hello", f"expected Hello, or more of it, within {spans}") from None

    async def _paced(self, silence: float | None) -> bytes | None:
        async with asyncio.timeout(silence):
            data = await anext(self._requests, None)
        await self._pace.wait(self._key)
        return data

    def _parsed(self, data: bytes) -> link_pb2.WatchRequest:
        try:
            return link_pb2.WatchRequest.FromString(data)
        except DecodeError:
            raise _nonsense("malformed", "expected a WatchRequest") from None

    def _heard(self, request: link_pb2.WatchRequest, size: int) -> Said | None:
        kind = request.WhichOneof("message")
        if kind == "hello":
            self._check_held(request.hello.held, 0)
        elif kind == "held":
            if self._begun is None:
                raise _nonsense("held_without_hello", "expected Held only after a Hello that is continued")
            self._check_held(request.held.held, len(self._begun.held))
        match reading.read_watch(request):
            case Hello() as hello:
                return self._begin(hello, size)
            case HeldPart() as part:
                return self._go_on(part, size)
            case said:
                return said

    def _begin(self, hello: Hello, size: int) -> Hello | None:
        self._put_away()
        if not hello.continued:
            self._until = None
            return hello
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + self._pace.limits.hello_seconds_in_all
        self._begun = _Begun(hello)
        return self._go_on(HeldPart(held=hello.held, last=False), size)

    def _go_on(self, part: HeldPart, size: int) -> Hello | None:
        begun = self._begun
        if begun is None:
            return None
        self._pace.kept.add(self._key, size)
        begun.bytes += size
        begun.held.update(part.held)
        if not part.last:
            return None
        self._put_away()
        self._until = None
        return replace(begun.hello, held=begun.held, continued=False)

    def _put_away(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            self._pace.kept.remove(self._key, begun.bytes)

    def _check_held(self, held: Mapping[str, str], before: int) -> None:
        if before + len(held) > self._most_held:
            raise exhausted("too_much_held", f"too much is held: this outpost may hold {self._most_held} resources")
        most_key, most_digest = reading.MOST_KEY, reading.MOST_DIGEST
        if any(len(key) > most_key or len(digest) > most_digest for key, digest in held.items()):
            expected = f"keys of at most {most_key} characters and digests of at most {most_digest}"
            raise _nonsense("malformed", f"what is held: expected {expected}")


def _entries(request: link_pb2.WatchRequest) -> int:
    match request.WhichOneof("message"):
        case "hello":
            return len(request.hello.held)
        case "held":
            return len(request.held.held)
        case "applied":
            return len(request.applied.rejected)
        case _:
            return 0


def _nonsense(reason: str, message: str) -> CallRefused:
    return CallRefused(grpc.StatusCode.INVALID_ARGUMENT, reason, message)

"""One Link.Watch stream over one channel: Hello, what control pushes, Applied, Health, queued sign-outs.

A stream knows nothing of backoff or of other addresses: it serves until it breaks (LinkLost) or until a renewed
certificate has made its successor, whose channel stands before this one closes.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

import grpc

from dataplane.config import TRACE
from dataplane.link import questions, translate
from dataplane.link.backoff import Pace
from dataplane.link.channel import USUAL, Transport, gate_stub, link_stub, open_stream_channel
from dataplane.link.directory import DirectoryAssembly, DirectoryChange
from dataplane.link.endings import Ending, Endings
from dataplane.link.held import Assembly, Change, ConfigPart, Held, LinkBroken, NotApplied, Rejection, drifted
from dataplane.link.keeper import Keeper
from dataplane.link.messages import (
    DirectoryPart,
    Drain,
    NewToken,
    Position,
    Pushed,
    Standing,
    Unknown,
    Vitals,
    Wanted,
)
from dataplane.link.races import first_of, is_set
from dataplane.link.reporting import Reporter
from dataplane.link.target import Credentials, Instance
from dataplane.link.tokens import Tokens
from dataplane.link.world import World
from protos.outpost.v1 import link_pb2

_CALL_DEADLINE = 5.0
_FAREWELL_SECONDS = 1.0
# Codes by which control says that a sign-out will never be accepted; after any other it is tried again.
_FINAL = frozenset(
    {
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
# In the initial metadata of a stream that control lets in; one that it refuses has none.
ADMITTED = "garrison-admitted"
# Not "handshake" alone: one that breaks off says that nobody is there, as behind a door whose link is away.
_TLS_SIGNS = ("tls handshake", "ssl", "certificate")
Call = grpc.aio.StreamStreamCall[link_pb2.WatchRequest, link_pb2.WatchResponse]
log = logging.getLogger("dataplane.link")


class Trust(Enum):
    """What the end of a stream says about the certificate it was opened with."""

    UNTOUCHED = auto()
    DOUBTED = auto()
    REFUSED = auto()


class LinkLost(Exception):
    """The stream to control is gone; the message says why. `unsupported`: control doesn't serve this outpost."""

    def __init__(self, message: str, trust: Trust = Trust.UNTOUCHED, *, unsupported: bool = False) -> None:
        super().__init__(message)
        self.trust = trust
        self.unsupported = unsupported


class Receiver(Protocol):
    """What the link serves: the supervisor."""

    @property
    def held(self) -> Held:
        """What is committed now."""
        ...

    async def apply(self, change: Change) -> tuple[Rejection, ...]:
        """Commit a change over all workers; all that stands refused afterwards, whichever change brought it.

        Raises NotApplied.
        """
        ...

    def vitals(self) -> Vitals:
        """How this instance is."""
        ...

    async def connected(self, credentials: Credentials, address: str) -> None:
        """A stream stands, over this address."""
        ...

    async def delivered(self, ending: Ending) -> None:
        """A queued sign-out has reached control."""
        ...

    def drain(self) -> None:
        """Control wants us to end."""
        ...


class DirectoryHolder(Protocol):
    """Who holds users and groups, where the outpost serves them."""

    @property
    def position(self) -> Position | None:
        """How far control's feed is held; None where there is none of it yet."""
        ...

    def apply(self, change: DirectoryChange) -> None:
        """Make a change. Raises LinkBroken where that is too much to hold."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Spans in seconds. `admission` is as long as control waits for a whole Hello."""

    beat: float = 10.0
    connect: float = 10.0
    admission: float = 60.0
    pace: Pace = field(default_factory=Pace)


@dataclass(slots=True, kw_only=True)
class Context:
    """What the streams of one outpost share. `refused`: key to digest of resources that control knows are refused.

    `news` is set when the vitals have changed so that control should know at once.
    """

    instance: Instance
    keeper: Keeper
    receiver: Receiver
    world: World
    timing: Timing = field(default_factory=Timing)
    transport: Transport = USUAL
    endings: Endings = field(default_factory=Endings)
    refused: dict[str, str] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    directory: DirectoryHolder | None = None
    tokens: Tokens = field(default_factory=Tokens)
    reporter: Reporter | None = None

    @property
    def standing(self) -> Standing:
        """What a Hello says beside the resources."""
        return Standing(
            directory=self.directory.position if self.directory else None,
            environment_token=self.tokens.environment,
            held_token=self.tokens.stored,
        )


class Stream:
    """One connection. `stood`: its channel did; `since` is when control let it in, None before."""

    def __init__(self, context: Context, credentials: Credentials, address: str) -> None:
        self._context = context
        self._credentials = credentials
        self.address = address
        self.successor: Stream | None = None
        self.stood = False
        self.since: float | None = None
        self._channel = open_stream_channel(credentials, address, context.transport)
        self._admitted = asyncio.Event()
        self._ended = asyncio.Event()
        # None ends it.
        self._outbox: asyncio.Queue[link_pb2.WatchRequest | None] = asyncio.Queue()
        self._gate = gate_stub(self._channel)
        # Parts of Digests that are not whole yet.
        self._wanted: dict[str, str] = {}
        self._directory = DirectoryAssembly()
        # What control knows to lie in the state.
        self._token_told = ""

    @property
    def lasted(self) -> float:
        """For how long control has served it; 0 when it never did."""
        return 0.0 if self.since is None else self._context.world.monotonic() - self.since

    async def ready(self) -> None:
        """Wait until the channel stands."""
        await self._channel.channel_ready()
        self.stood = True

    async def farewell(self) -> None:
        """Say how we are, and nothing more; wait until control has heard all that was said."""
        if self._admitted.is_set():
            self._say_health()
        self._outbox.put_nowait(None)
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._ended.wait()

    async def serve(self) -> None:
        """Serve until there is a successor. Raises LinkLost."""
        call = link_stub(self._channel).Watch(self._send())
        work = (self._beat(), self._forward_endings(), self._acknowledge_tokens(), self._renew(), self._announce(call))
        await first_of(self._read(call), self._report(), *work)

    async def close(self) -> None:
        """Give up the channel."""
        await self._channel.close(None)

    async def _announce(self, call: Call) -> None:
        timing = self._context.timing
        try:
            # Not wait_for, here and elsewhere: it swallows a cancellation that comes with what it waits for.
            async with asyncio.timeout(timing.connect):
                await self.ready()
        except TimeoutError:
            raise LinkLost(f"the link at {self.address} did not answer within {timing.connect:g} s") from None
        try:
            async with asyncio.timeout(timing.admission):
                await _admission(call)
        except TimeoutError:
            raise LinkLost(f"the link at {self.address} let nobody in within {timing.admission:g} s") from None
        self.since = self._context.world.monotonic()
        self._admitted.set()
        await self._context.receiver.connected(self._credentials, self.address)
        await asyncio.Event().wait()

    async def _read(self, call: Call) -> None:
        self._say_hello()
        assembly = Assembly()
        try:
            async for message in call:
                await self._take(translate.pushed(message), assembly)
        except grpc.aio.AioRpcError as error:
            raise _explained(error, self.address) from error
        except LinkBroken as error:
            raise LinkLost(f"control broke the protocol of the link: {error}") from error
        finally:
            self._ended.set()
            # Lets go whoever waits for something to send: gRPC itself doesn't, once the stream has ended.
            self._outbox.put_nowait(None)
        raise LinkLost("control closed the stream")

    async def _send(self) -> AsyncIterator[link_pb2.WatchRequest]:
        while message := await self._outbox.get():
            log.log(TRACE, "told control", extra={"what": message.WhichOneof("message")})
            yield message

    def _say_hello(self) -> None:
        context = self._context
        now = context.world.clock()
        self._token_told = context.standing.held_token
        for message in translate.hello(context.instance, context.receiver.held, now, context.standing):
            self._outbox.put_nowait(message)

    async def _take(self, message: Pushed, assembly: Assembly) -> None:
        log.log(TRACE, "control says", extra={"what": type(message).__name__})
        match message:
            case ConfigPart():
                change = assembly.add(message)
                if change:
                    await self._apply(change)
            case Wanted():
                self._compare(message)
            case Drain():
                self._context.receiver.drain()
            case DirectoryPart():
                self._take_directory(message)
            case NewToken():
                self._context.tokens.take(message.secret)
            case Unknown():
                log.info("control sent something that this version doesn't know")

    def _take_directory(self, part: DirectoryPart) -> None:
        directory = self._context.directory
        if directory is None:
            log.warning("control sent users or groups, which an outpost of this type has no use for")
            return
        change = self._directory.add(part, directory.position)
        if change:
            directory.apply(change)
        self._outbox.put_nowait(translate.directory_applied(directory.position))

    def _compare(self, part: Wanted) -> None:
        self._wanted.update(part.digests)
        if part.continued:
            return
        wanted, self._wanted = self._wanted, {}
        if drifted(self._context.receiver.held, wanted, self._context.refused):
            self._say_hello()

    async def _apply(self, change: Change) -> None:
        # Shielded: a change that has begun is finished, even when the stream is given up meanwhile.
        try:
            rejections = await asyncio.shield(self._context.receiver.apply(change))
        except NotApplied as error:
            # Said as a broken stream: the Hello of the next one has control send again whatever is lacking.
            raise LinkLost(f"revision {change.revision} could not be applied: {error}") from error
        before = self._context.refused
        self._context.refused = {each.key: each.digest for each in rejections}
        self._outbox.put_nowait(translate.applied(change.revision, rejections))
        if before.keys() - self._context.refused.keys() - change.changed.keys() - change.removed:
            # What was refused is served now, without having been sent again: only a Hello can say so.
            self._say_hello()

    async def _beat(self) -> None:
        context = self._context
        # A write that meets the end of the stream hides control's reason behind INTERNAL (grpc/grpc#36066), so
        # nothing follows the Hello while it may still be refused.
        await self._admitted.wait()
        while True:
            context.news.clear()
            self._say_health()
            await first_of(context.world.sleep(context.timing.beat), is_set(context.news))

    def _say_health(self) -> None:
        context = self._context
        self._outbox.put_nowait(translate.health(context.receiver.vitals(), context.world.clock()))

    async def _acknowledge_tokens(self) -> None:
        while True:
            self._token_told = await self._context.tokens.stored_other_than(self._token_told)
            self._outbox.put_nowait(translate.token_held(self._token_told))

    async def _report(self) -> None:
        await self._admitted.wait()
        if self._context.reporter:
            await self._context.reporter.run(self._gate)
        await asyncio.Event().wait()

    async def _forward_endings(self) -> None:
        context = self._context
        while True:
            ending = await context.endings.first()
            if await self._forward(ending):
                context.endings.remove(ending)
                await context.receiver.delivered(ending)
            else:
                context.endings.postpone(ending)
                await context.world.sleep(context.timing.pace.first)

    async def _forward(self, ending: Ending) -> bool:
        request = questions.end_request(ending.provider, ending.session)
        try:
            await self._gate.EndSession(request, timeout=_CALL_DEADLINE, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            fields = {"session": ending.session, "status": error.code().name, "reason": error.details()}
            if error.code() in _FINAL:
                # Here the session is over; its sign-in, and what else that opened, is not.
                log.error("control never will take a sign-out", extra=fields)  # noqa: TRY400 - a trace says no more
                return True
            log.warning("control did not take a sign-out yet", extra=fields)
            return False
        return True

    async def _renew(self) -> None:
        """Returns once a successor stands; a channel that won't stand leaves this one in service."""
        while True:
            credentials = await self._context.keeper.renewed()
            address = self.address if self.address in credentials.addresses else credentials.addresses[0]
            successor = Stream(self._context, credentials, address)
            try:
                async with asyncio.timeout(self._context.timing.connect):
                    await successor.ready()
            except TimeoutError:
                await successor.close()
                log.warning("the link doesn't take the renewed certificate", extra={"link": address})
                continue
            self.successor = successor
            return


async def _admission(call: Call) -> None:
    """Wait until control lets the stream in: for ever where it refuses it, which whoever reads is told."""
    if ADMITTED not in await call.initial_metadata():
        await asyncio.Event().wait()


def _explained(error: grpc.aio.AioRpcError, address: str) -> LinkLost:
    details = error.details() or "no reason given"
    match error.code():
        case grpc.StatusCode.UNAUTHENTICATED:
            return LinkLost(f"control no longer accepts our certificate: {details}", Trust.REFUSED)
        case grpc.StatusCode.FAILED_PRECONDITION:
            return LinkLost(f"control does not serve this outpost: {details}", unsupported=True)
        case grpc.StatusCode.UNAVAILABLE:
            doubtful = any(sign in details.lower() for sign in _TLS_SIGNS)
            trust = Trust.DOUBTED if doubtful else Trust.UNTOUCHED
            return LinkLost(f"the link at {address} is unavailable: {details}", trust)
        case code:
            return LinkLost(f"the link at {address} broke: {code.name}: {details}")

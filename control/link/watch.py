"""Link.Watch: one stream per instance. It says Hello, we send what differs, it says Applied and how it is.

Who may stay is asked at the start and on each new state, so a revoked outpost is cut at once. One task writes, one
reads, and whatever ends the stream (`Ending`) comes from outside of both.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import aclosing, contextmanager
from datetime import datetime
from typing import Any, NoReturn

import grpc

from control.domain.outpost import Outpost
from control.fleet.authority import Client
from control.fleet.directory import NOWHERE, exposes_directory
from control.link import translate
from control.link.caller import CallRefused, Objection, find_objection, get_client, peer_address, refused, unanswered
from control.link.directory import PROTOCOL, Subscription
from control.link.hearing import Hearing, Requests, Said
from control.link.ledger import Key
from control.link.messages import Hello
from control.link.stream import Fleet, Stream, check_hello, introduced
from protos.outpost.v1 import link_pb2

# Digests wait for a push that is in flight, unless its answer seems to have been lost.
LOST_SECONDS = 60.0
# Ends that belong to a normal day: a restart, a renewed certificate.
ORDINARY = frozenset({"stopping", "replaced", Objection.EXPIRED_CERTIFICATE})
# Refusals after which an instance is listed all the same, with the reason: somebody has to do something about it.
LISTED = frozenset({"protocol", "wrong_type"})

# A wall clock that was set is noticed so soon.
CLOCK_SECONDS = 60.0

# What an outpost knows by that it is let in: a stream that is refused ends without initial metadata.
ADMITTED = "garrison-admitted"

Context = grpc.aio.ServicerContext[bytes, link_pb2.WatchResponse]
log = logging.getLogger("control.link")


class WatchService:
    """The service; holds the streams that are open, one per instance."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._streams: dict[Key, Stream] = {}
        self._stopping = False

    def handlers(self) -> "grpc.GenericRpcHandler[Any, Any]":
        """The service for a server. What outposts say comes as bytes: `control.link.hearing` reads it."""
        watch = grpc.stream_stream_rpc_method_handler(
            self.watch, request_deserializer=None, response_serializer=link_pb2.WatchResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler("outpost.v1.Link", {"Watch": watch})

    async def watch(self, requests: Requests, context: Context) -> None:
        """Serve one stream until it ends."""
        try:
            client = get_client(context.auth_context())
            with self._room(client):
                key = (client.outpost, client.instance)
                hearing = Hearing(requests, key, self._fleet.pace, self._most_held(client))
                async with aclosing(hearing.said()) as said:
                    stream = await self._admit(client, said, context)
                    await self._serve(stream, said, context)
        except Exception as error:  # noqa: BLE001 - `unanswered` logs it
            refusal = unanswered(error)
        else:
            return
        await self._refuse(refusal, context)

    def end_older(self, keys: Iterable[Key]) -> None:
        """End the streams of instances that have newer ones, here or at another link process."""
        for key in keys:
            older = self._streams.get(key)
            if older is not None:
                message = "a newer stream of this instance took its place"
                older.end(CallRefused(grpc.StatusCode.ABORTED, "replaced", message))

    def stop(self) -> None:
        """End every stream: the process ends."""
        self._stopping = True
        for stream in tuple(self._streams.values()):
            stream.end(_stopping())

    @contextmanager
    def _room(self, client: Client) -> Iterator[None]:
        """Count the stream, from before its Hello. Raises CallRefused where there are too many."""
        crowd, limits = self._fleet.crowd, self._fleet.limits
        instance = (client.outpost, client.instance)
        with (
            crowd.entered(client.outpost, limits.streams_of_outpost, "too_many_streams_of_outpost"),
            crowd.entered(instance, limits.streams_of_instance, "too_many_streams_of_instance"),
        ):
            yield

    def _most_held(self, client: Client) -> int:
        part = self._fleet.part(client)
        return self._fleet.limits.most_held(len(part.wanted.resources) if part else 0)

    async def _admit(self, client: Client, said: AsyncIterator[Said], context: Context) -> Stream:
        # Whoever is refused before that is still writing it, which hides why (grpc/grpc#36066).
        hello = await _first_hello(said)
        self._fleet.count_hello((client.outpost, client.instance))
        outpost = self._find_known(client) or await self._fleet.identify(client)
        self._fleet.count_newcomer((client.outpost, client.instance))
        address = peer_address(context.peer())
        try:
            check_hello(hello, client, outpost)
        except CallRefused as error:
            if error.reason in LISTED:
                self._fleet.roster.refuse(client, hello, address, str(error))
            raise
        hello = introduced(hello, self._fleet.revisions.state.facts.tokens.get(client.token))
        stream = Stream(self._fleet, client, self._fleet.roster.join(client, hello, address))
        stream.begin(hello)
        if exposes_directory(outpost) and hello.protocol >= PROTOCOL:
            stream.directory = Subscription(client.outpost, hello.directory, stream.dirty)
        return stream

    def _find_known(self, client: Client) -> Outpost | None:
        """The outpost, as far as memory tells: when all come back at once, the database is not asked for each."""
        facts = self._fleet.revisions.state.facts
        objection = find_objection(facts, client, self._fleet.clock())
        return facts.outposts[client.outpost] if objection is None else None

    async def _serve(self, stream: Stream, said: AsyncIterator[Said], context: Context) -> None:
        self._replace(stream)
        why = ""
        try:
            with self._fleet.revisions.listening(stream.on_state), self._fleet.metrics.streams.track_inprogress():
                log.info("an outpost connected", extra=_fields(stream))
                # By itself: a stream that ends while these go with its first message would not be told why, nor that.
                await context.send_initial_metadata(((ADMITTED, ""),))
                # The state may have moved on between the look at the token and now.
                stream.on_state(self._fleet.revisions.state)
                work: list[Coroutine[Any, Any, None]]
                work = [self._write(stream, context), _read(stream, said), _ended(stream), self._outlive(stream)]
                if stream.directory is not None:
                    work.append(self._serve_directory(stream, stream.directory))
                await _first_of(*work)
        except CallRefused as error:
            why = str(error)
            raise
        finally:
            self._gone(stream, why)

    def _replace(self, stream: Stream) -> None:
        if self._stopping:
            raise _stopping()
        self.end_older([stream.key])
        self._streams[stream.key] = stream

    def _gone(self, stream: Stream, why: str) -> None:
        log.info("an outpost disconnected", extra={**_fields(stream), "reason": why})
        if self._streams.get(stream.key) is stream:
            del self._streams[stream.key]
            stream.gone(why)

    async def _write(self, stream: Stream, context: Context) -> NoReturn:
        loop = asyncio.get_running_loop()
        compared_at = loop.time()
        while True:
            # Looked up each time, as the interval may have been changed meanwhile.
            await _set_within(stream.dirty, compared_at + self._refresh_seconds(stream) - loop.time())
            await self._drain(stream, context)
            await self._hand_token(stream, context)
            await self._push(stream, context)
            await self._send_directory(stream, context)
            if loop.time() >= compared_at + self._refresh_seconds(stream):
                await self._send_digests(stream, context)
                compared_at = loop.time()

    async def _drain(self, stream: Stream, context: Context) -> None:
        drain = stream.next_drain()
        if drain is None:
            return
        log.info("an outpost is asked to drain", extra=_fields(stream))
        await context.write(translate.drain())
        stream.told_to_drain(drain)

    async def _hand_token(self, stream: Stream, context: Context) -> None:
        token = stream.next_token()
        if token is None:
            return
        log.info("an outpost is sent its new token", extra=_fields(stream))
        stream.sent_token = token.fingerprint
        await context.write(translate.new_token(token.secret))

    async def _push(self, stream: Stream, context: Context) -> None:
        stream.check()
        part = self._fleet.part(stream.client)
        if part is None:
            return
        push = stream.sync.next_push(part.wanted)
        stream.tell(part, urgent=push is not None)
        if push is None:
            return
        stream.pushed_at = time.monotonic()
        for message in translate.config_parts(push):
            await context.write(message)

    async def _send_directory(self, stream: Stream, context: Context) -> None:
        """One part at a time: a config that comes meanwhile goes before the next."""
        stream.check()
        message = stream.directory.take() if stream.directory is not None else None
        if message is not None:
            await context.write(message)

    async def _send_digests(self, stream: Stream, context: Context) -> None:
        part = self._fleet.part(stream.client)
        busy = stream.sync.in_flight is not None and time.monotonic() - stream.pushed_at < LOST_SECONDS
        if part is not None and not busy:
            for message in translate.digests(part.wanted.revision, stream.sync.expected(part.wanted)):
                await context.write(message)

    async def _serve_directory(self, stream: Stream, subscription: Subscription) -> NoReturn:
        """The feed, while the outpost serves a provider that shows it: who serves none is left with nothing."""
        is_empty = subscription.held in (None, NOWHERE)
        while True:
            if not stream.serving.is_set():
                for message in () if is_empty else translate.directory_emptied(NOWHERE):
                    await subscription.send(message)
                subscription.held = NOWHERE
                await stream.serving.wait()
            is_empty = False
            await _first_of(self._fleet.feed.serve(subscription), _set(stream.idle))

    async def _outlive(self, stream: Stream) -> NoReturn:
        """Nothing else would notice that the certificate has run out, where nobody commits anything."""
        while (left := _seconds_left(stream.client, self._fleet.clock())) > 0:  # noqa: ASYNC110 - it is a clock
            await asyncio.sleep(min(left, CLOCK_SECONDS))
        raise refused(Objection.EXPIRED_CERTIFICATE)

    def _refresh_seconds(self, stream: Stream) -> float:
        part = self._fleet.part(stream.client)
        return part.refresh_seconds if part else LOST_SECONDS

    async def _refuse(self, error: CallRefused, context: Context) -> NoReturn:
        self._fleet.metrics.refused.labels(error.reason).inc()
        level = logging.INFO if error.reason in ORDINARY else logging.WARNING
        log.log(level, "refused a stream", extra={"reason": error.reason, "address": peer_address(context.peer())})
        await context.abort(error.code, str(error))


async def _first_hello(said: AsyncIterator[Said]) -> Hello:
    first = await anext(said, None)
    if not isinstance(first, Hello):
        raise CallRefused(grpc.StatusCode.INVALID_ARGUMENT, "no_hello", "expected Hello first")
    return first


async def _read(stream: Stream, said: AsyncIterator[Said]) -> None:
    async for message in said:
        stream.take(message)


async def _ended(stream: Stream) -> NoReturn:
    raise await stream.ending


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(seconds, 0)):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()


async def _first_of(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until the first ends, cancel the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _seconds_left(client: Client, now: datetime) -> float:
    return (client.expires - now).total_seconds() if client.expires is not None else 0.0


def _stopping() -> CallRefused:
    return CallRefused(grpc.StatusCode.UNAVAILABLE, "stopping", "control is stopping")


def _fields(stream: Stream) -> dict[str, str]:
    return {"outpost": str(stream.client.outpost), "instance": stream.key[1]}

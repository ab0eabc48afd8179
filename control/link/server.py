"""The process: puts the services together, listens, keeps house, and ends well on SIGTERM.

`run` is what the command line starts; `serving` is the same for whoever has a loop already.
"""

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import grpc
from prometheus_client.registry import Collector

from control.domain.outpost import Outpost
from control.fleet.authority import Client
from control.link.caller import get_outpost
from control.link.credentials import ServerCredentials
from control.link.directory import Feed
from control.link.gate import CREDENTIALS_THREADS, Desk, Desks, Gatekeeper, GateService
from control.link.hearing import Pace
from control.link.housekeeping import authorities, keep_house
from control.link.limits import Allowance, Limits
from control.link.metrics import FleetCollector, Metrics, metrics_socket
from control.link.presence import Presence, Round, read_seat
from control.link.reporting import Reporter
from control.link.retention import keep_short
from control.link.revisions import Revisions
from control.link.roster import Roster
from control.link.state import State
from control.link.stream import Fleet
from control.link.transport import Transport
from control.link.wake import wake_socket
from control.link.watch import WatchService
from control.store import Store
from protos.outpost.v1 import gate_pb2_grpc

STOP_SECONDS = 3.0

log = logging.getLogger("control.link")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """Where the link listens; `url` is control's public address, which outposts send browsers to.

    `audit_kept` is for how long the audit trail is kept; None is for ever. `counted` is told beside the link's metrics.
    """

    address: str
    wake_socket: Path
    metrics_socket: Path
    url: str
    transport: Transport = field(default_factory=Transport)
    limits: Limits = field(default_factory=Limits)
    audit_kept: timedelta | None = None
    counted: tuple[Collector, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The running link. `failed` ends when one of its tasks does, which none should."""

    port: int
    parts: "Parts"
    credentials: ServerCredentials
    failed: asyncio.Future[None]


class CannotListen(Exception):
    """The address is taken, or is none of this host's."""

    def __init__(self, address: str) -> None:
        super().__init__(f"the link can't listen on {address}: it is taken or not this host's")


def run(store: Store, gatekeeper: Gatekeeper, settings: LinkSettings) -> int:
    """Serve until SIGTERM or SIGINT."""
    try:
        return asyncio.run(_run(store, gatekeeper, settings))
    except CannotListen as error:
        log.error(str(error))  # noqa: TRY400 - the words say it, a trace says no more
        return 1


async def _run(store: Store, gatekeeper: Gatekeeper, settings: LinkSettings) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(store, gatekeeper, settings) as link:
        settle()
        log.info("the link listens", extra={"address": settings.address, "port": link.port})
        stopped = asyncio.ensure_future(stop.wait())
        either: list[asyncio.Future[Any]] = [stopped, link.failed]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            stopped.cancel()
            link.failed.result()
    return 0


def settle() -> None:
    """Have the garbage collector pass over what there is by now and stays: looking at it all stops everything for long.

    While a directory of 100,000 is read that is some 15 times for a tenth of a second.
    """
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def serving(
    store: Store, gatekeeper: Gatekeeper, settings: LinkSettings, clock: Callable[[], datetime] | None = None
) -> AsyncIterator[Link]:
    """The link, listening, until the block ends."""
    parts = Parts(store, settings, clock or _utc_now)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(parts.close)
        credentials = await parts.load()
        stack.enter_context(parts.revisions.listening(lambda state: _on_state(state, parts, credentials)))
        stack.enter_context(parts.revisions.listening(lambda _: parts.feed.wake()))
        parts.metrics.faulty.set(len(parts.revisions.state.faulty))
        await stack.enter_async_context(wake_socket(settings.wake_socket, parts.revisions.wake))
        await stack.enter_async_context(metrics_socket(settings.metrics_socket, parts.metrics.registry))
        housekeeping = keep_house(store, parts.revisions, parts.roster, credentials)
        listening = store.listen(parts.revisions.wake, parts.metrics.listens.set)
        presence = parts.presence.keep(parts.on_round)
        work = [parts.revisions.follow(), listening, presence, parts.feed.follow(), parts.roster.keep(), housekeeping]
        work.append(keep_short(store, settings.audit_kept))
        failed = await stack.enter_async_context(_background(work))
        server, port = _server(settings, credentials)
        parts.add_services(server, gatekeeper)
        await server.start()
        stack.push_async_callback(server.stop, STOP_SECONDS)
        stack.callback(parts.watch.stop)
        yield Link(port=port, parts=parts, credentials=credentials, failed=failed)


class Parts:
    """What the link is made of."""

    def __init__(self, store: Store, settings: LinkSettings, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self.metrics = Metrics()
        for each in settings.counted:
            self.metrics.registry.register(each)
        self.revisions = Revisions(store, settings.url, clock)
        self.feed = Feed(store, self.metrics)
        self.presence = Presence(store, clock, read_seat(settings.wake_socket.with_name("link.id")))
        self.roster = Roster(store, clock, self.presence.id)
        self.desk = Desk(store, self.revisions, settings.limits)
        credentials = Desk(store, self.revisions, settings.limits, threads=CREDENTIALS_THREADS)
        self.desks = Desks(sessions=self.desk, credentials=credentials)
        few = replace(settings.limits, calls_of_outpost=settings.limits.reports)
        reports = Desk(store, self.revisions, few, threads=1)
        self.reporter = Reporter(store, reports, settings.limits, self.metrics, settings.audit_kept)
        self.watch = WatchService(
            Fleet(
                revisions=self.revisions,
                roster=self.roster,
                metrics=self.metrics,
                clock=clock,
                identify=self._identify,
                feed=self.feed,
                limits=settings.limits,
                hellos=Allowance(settings.limits.hellos, settings.limits.hello_seconds),
                newcomers=Allowance(settings.limits.newcomers, settings.limits.newcomer_seconds),
                pace=Pace(settings.limits),
            )
        )
        collector = FleetCollector(
            lambda: (*self.roster.instances.values(),), lambda: self.revisions.state.facts.outposts
        )
        self.metrics.registry.register(collector)

    async def load(self) -> ServerCredentials:
        """Read what there is before anyone may call."""
        await self.presence.enter()
        await self.roster.load()
        await self.feed.begin()
        # Before the first state is read, which then knows whose certificates count.
        credentials = ServerCredentials(await self.desk.run(lambda: authorities(self._store)), self._clock)
        await self.revisions.load()
        return credentials

    def add_services(self, server: grpc.aio.Server, gatekeeper: Gatekeeper) -> None:
        """Let the server serve them."""
        gate = GateService(gatekeeper, self.desks, self.reporter, self.metrics)
        server.add_generic_rpc_handlers((self.watch.handlers(),))
        gate_pb2_grpc.add_GateServicer_to_server(gate, server)  # type: ignore[no-untyped-call]  # no annotations

    def on_round(self, found: Round) -> None:
        """What a look at the other link processes came to."""
        if found.was_struck:
            self.roster.reclaim()
        self.watch.end_older(self.roster.taken(found.elsewhere, found.begun))

    async def close(self) -> None:
        """Write what is not written and let the threads go."""
        await self.roster.close()
        await self.presence.leave()
        self.feed.close()
        self.revisions.close()
        self.desk.close()
        self.desks.credentials.close()
        self.reporter.close()

    async def _identify(self, client: Client) -> Outpost:
        return await self.desk.run(lambda: self._identified(client))

    def _identified(self, client: Client) -> Outpost:
        with self._store.read() as unit:
            return get_outpost(unit, client)


def _on_state(state: State, parts: Parts, credentials: ServerCredentials) -> None:
    parts.roster.drop_outposts(state.facts.outposts)
    parts.metrics.faulty.set(len(state.faulty))
    # Whoever enrols may be the first to get a certificate of a new authority.
    if credentials.renew(state.facts.authorities):
        log.info("the link has a new certificate")


def _server(settings: LinkSettings, credentials: ServerCredentials) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(options=settings.transport.options())
    try:
        return server, server.add_secure_port(settings.address, credentials.channel_credentials())
    except RuntimeError as error:
        raise CannotListen(settings.address) from error


@asynccontextmanager
async def _background(work: Iterable[Coroutine[Any, Any, NoReturn]]) -> AsyncIterator[asyncio.Future[None]]:
    """Run work that never ends; the future tells when some has failed."""
    tasks = [asyncio.ensure_future(each) for each in work]
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for task in tasks:
        task.add_done_callback(lambda done: _pass_on(done, failed))
    try:
        yield failed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        failed.cancel()


def _pass_on(done: asyncio.Future[Any], failed: asyncio.Future[None]) -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None and not failed.done():
        failed.set_exception(error)


def _utc_now() -> datetime:
    return datetime.now(UTC)

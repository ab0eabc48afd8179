"""The outpost's supervisor: sockets, workers, the link, the last good state and the metrics port, in one asyncio.

It starts from the last good state at once if there is one, so that control may be away; otherwise connections wait in
their queues for the first configuration, but not for long: a clear refusal is better than none. A front door
accepts at once and passes everything on. It is the link's Receiver. SIGTERM, SIGINT and control's drain end it the same
way: nothing new is accepted, what is in flight is finished within ten seconds.
"""

import asyncio
import datetime as dt
import logging
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from dataplane.config import Options
from dataplane.io.self_signed import self_signed
from dataplane.link import reading
from dataplane.link.backoff import Pace
from dataplane.link.endings import Ending, Endings
from dataplane.link.enrol import Enrolled, enrol
from dataplane.link.events import EventJournal
from dataplane.link.held import Change, Held, Rejection
from dataplane.link.journal import Journal
from dataplane.link.keeper import Keeper
from dataplane.link.messages import Vitals
from dataplane.link.reporting import Reporter
from dataplane.link.state import DirectoryKey, Saved, StateFolder
from dataplane.link.stream import Context, Timing
from dataplane.link.target import Credentials, Target
from dataplane.link.tokens import Tokens, enrol_with
from dataplane.link.trail import Trail
from dataplane.link.watch import Watcher
from dataplane.link.world import World
from dataplane.runtime import logs
from dataplane.runtime.condition import Condition
from dataplane.runtime.configuration import Configuration
from dataplane.runtime.descriptors import make_room
from dataplane.runtime.directory import HeldDirectory
from dataplane.runtime.feed import DirectoryFeed
from dataplane.runtime.http import Responder
from dataplane.runtime.listeners import open_single, open_slots
from dataplane.runtime.messages import News, SessionEnded, Setup
from dataplane.runtime.plan import Plan
from dataplane.runtime.saving import Saver
from dataplane.runtime.workers import Workers

DRAIN_SECONDS = 8.5
# Those that serve users and groups.
DIRECTORY_TYPES = frozenset({"ldap"})
_RESTART_LOOP = 5.0
_RETRY = 60.0
_LOOK = 1.0
# A container's state folder may go with it: what can be told is. So long at least, and as long as a drain may take.
_LAST_EVENTS = 0.5
# For the first configuration: enrolment and a push take less, where there is somebody to give it.
_FIRST_CONFIG = 5.0
# A front door starts with its control and is the only one to call it over the socket: it need not hold back.
_BESIDE_CONTROL = Pace(first=0.25, longest=2.0)
log = logging.getLogger("dataplane.supervisor")


class Supervisor:
    """One outpost process. Raises StateBusy or ListenFailed when it can't be what the plan says."""

    def __init__(self, plan: Plan, world: World) -> None:
        self._plan = plan
        self._world = world
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder = StateFolder(plan.state, world.token)
        self._saver = Saver(self._folder, self._current, world, self._is_saved)
        saved = self._folder.load(plan.target.token) if plan.target else None
        self._saved = saved or Saved(revision=0, resources=())
        self._instance = plan.introduce(self._folder.instance, socket.gethostname(), world.clock())
        self._workers = self._open_workers()
        self._configuration = Configuration(self._workers, world.clock, self._saved.held)
        self._endings = Endings(self._saved.endings)
        self._tokens = Tokens(plan.target.token if plan.target else "", self._saved.tokens, self._saver.touch)
        self._directory_key = self._saved.directory_key or DirectoryKey(world.token(32))
        self._directory = self._load_directory() if plan.type in DIRECTORY_TYPES else None
        self._feed = self._feed_workers(self._directory) if self._directory else None
        self._trail = self._load_trail() if plan.target else None
        self._keeper = self._make_keeper(plan.target) if plan.target else None
        self._watcher = self._make_watcher(self._keeper) if self._keeper else None
        self._condition = self._make_condition()
        self._responder = Responder(self._condition.routes())

    async def run(self) -> None:
        """Serve until told to stop."""
        self._catch_signals()
        make_room(self._plan.type)
        for address in self._plan.metrics:
            await self._responder.serve(open_single(address, "metrics listener"))
        self._workers.start()
        self._begin(self._restore)
        self._begin(self._open)
        self._begin(self._configuration.follow_endings)
        self._begin(self._retry)
        self._begin(self._saver.run)
        if self._directory:
            self._begin(self._directory.keep)
        if self._trail:
            self._begin(self._trail.keep)
        if self._watcher:
            self._begin(self._watcher.run)
            self._begin(partial(self._tell_of_trouble, self._watcher))
        log.info("the outpost is up", extra=self._described())
        if self._plan.target and self._plan.target.insecure:
            log.warning("AUTHENTIK_INSECURE is set: enrolment takes any certificate for control's")
        await self._stop.wait()
        await self._end()

    # The link's Receiver.

    @property
    def held(self) -> Held:
        """What is committed now."""
        return self._configuration.held

    async def apply(self, change: Change) -> tuple[Rejection, ...]:
        """Commit a change over all workers; all that stands refused afterwards."""
        rejections = await self._configuration.apply(change)
        self._follow_options()
        fields = {"revision": change.revision, "changed": len(change.changed), "removed": len(change.removed)}
        log.info("a configuration is in force", extra=fields)
        for rejection in rejections:
            log.warning("a resource is refused", extra={"key": rejection.key, "reason": rejection.reason})
        self._saver.touch()
        return rejections

    def vitals(self) -> Vitals:
        """How this instance is."""
        return self._condition.vitals()

    async def connected(self, credentials: Credentials, address: str) -> None:
        """A stream stands: workers call over the same address first."""
        if self._watcher:
            self._watcher.arrived()
        others = tuple(each for each in credentials.addresses if each != address)
        ahead = self._keeper.ahead if self._keeper else None
        self._workers.connect(replace(credentials, addresses=(address, *others)), ahead)
        log.info("connected to control", extra={"link": address})
        self._saver.touch()

    async def delivered(self, ending: Ending) -> None:
        """A queued sign-out has reached control."""
        log.info("control has a sign-out", extra={"session": ending.session})
        self._saver.touch()

    def drain(self) -> None:
        """Control wants us to end."""
        log.info("control asks for a drain")
        self._stop.set()

    # Set-up.

    def _open_workers(self) -> Workers:
        plan = self._plan
        setup = Setup(
            slot=0,
            type=plan.type,
            version=plan.version,
            listeners=(),
            control_socket=plan.control_socket,
            trusted_cidrs=plan.trusted_cidrs,
            service_hosts=plan.service_hosts,
            browser_url=plan.browser_url,
            log_level=plan.log_level,
            passage=plan.passage,
            tell_every=plan.tell_every,
            verifier_key=secrets.token_bytes(32),
            certificate=self_signed(dt.datetime.now(dt.UTC)),
        )
        opened = open_slots(plan.listeners, plan.workers)
        tls = [listener.tls for listener in plan.listeners]
        return Workers(setup, [list(zip(slot, tls, strict=True)) for slot in opened], self._hear)

    def _load_directory(self) -> HeldDirectory:
        journal = Journal(self._plan.state / "directory", self._directory_key.secret, self._world.token)
        return HeldDirectory(journal, self._world)

    def _feed_workers(self, directory: HeldDirectory) -> DirectoryFeed:
        feed = DirectoryFeed(directory)
        self._workers.attend(feed)
        return feed

    def _load_trail(self) -> Trail:
        key, most = self._directory_key.secret, self._plan.event_bytes
        trail = Trail(EventJournal(self._plan.state, key, self._world.token, most), self._world)
        # What no state can open isn't worth writing: a new key has to be saved first.
        if self._saved.directory_key:
            trail.seal()
        return trail

    def _make_condition(self) -> Condition:
        return Condition(
            instance=self._instance,
            clock=self._world.clock,
            stopping=self._stop.is_set,
            workers=self._workers,
            configuration=self._configuration,
            endings=self._endings,
            folder=self._folder,
            directory=self._directory,
            feed=self._feed,
            trail=self._trail,
            keeper=self._keeper,
            watcher=self._watcher,
        )

    def _make_keeper(self, target: Target) -> Keeper:
        keeper = Keeper(partial(enrol_with, self._tokens, target, self._enrol), self._world, self._saved.credentials)
        self._renew_if_older(keeper)
        return keeper

    async def _enrol(self, target: Target) -> Enrolled:
        """As the environment says, or else the options."""
        options = self._find_options()
        if target.insecure is None and options is not None:
            target = replace(target, insecure=options.insecure)
            if options.insecure:
                log.warning("authentik_host_insecure is set: enrolment takes any certificate for control's")
        enrolled = await enrol(target, self._instance, self._world.clock, self._world.token)
        if self._keeper and self._keeper.refused:
            # What workers have is good for nothing any more, so no stream has to stand first.
            self._workers.connect(enrolled.credentials, self._keeper.ahead)
        return enrolled

    def _renew_if_older(self, keeper: Keeper) -> None:
        """Have a certificate of the newest token, so that retiring those before cuts nothing."""
        if keeper.credentials and keeper.credentials.token != self._tokens.newest:
            keeper.hurry(self._tokens.newest)

    def _make_watcher(self, keeper: Keeper) -> Watcher:
        context = Context(
            instance=self._instance,
            keeper=keeper,
            receiver=self,
            world=self._world,
            endings=self._endings,
            directory=self._directory,
            tokens=self._tokens,
            reporter=Reporter(self._trail, self._world) if self._trail else None,
        )
        if self._plan.control_socket:
            context.timing = Timing(pace=_BESIDE_CONTROL)
        return Watcher(context)

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            log.warning("told to stop twice: ending at once", extra={"signal": number.name})
            self._workers.kill()
        log.info("told to stop", extra={"signal": number.name})
        self._stop.set()

    def _begin(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """A bug in one of our loops is logged and the loop begins anew: the workers serve on meanwhile."""
        while True:
            try:
                return await work()
            except Exception:  # Whatever it is, serving goes on.
                log.exception("a loop of the supervisor broke")
                await asyncio.sleep(_RESTART_LOOP)

    # While it runs.

    async def _restore(self) -> None:
        saved = self._saved
        if saved.credentials:
            self._workers.connect(saved.credentials, None)
        if saved.resources:
            await self._configuration.restore(saved.endings)
            self._saver.begin()
            self._follow_options()
            fields = {"revision": saved.revision, "resources": len(saved.resources)}
            log.info("serving from the last good state", extra=fields)

    async def _open(self) -> None:
        """Accept without a configuration, where none is to be had or it takes too long."""
        if self._saved.resources:
            return
        if not self._plan.control_socket:
            await self._world.sleep(_FIRST_CONFIG)
        self._workers.serve()

    async def _retry(self) -> None:
        while True:
            await self._world.sleep(_RETRY)
            await self._configuration.retry()

    async def _tell_of_trouble(self, watcher: Watcher) -> None:
        """Control need not wait for the next beat to know what is wrong, or that it isn't any more."""
        told = ""
        while True:
            await self._world.sleep(_LOOK)
            error = self._condition.last_error()
            if error != told:
                told = error
                watcher.tell_news()

    def _hear(self, news: News) -> None:
        """What happened at a worker."""
        if isinstance(news, SessionEnded):
            self._session_ended(news)
        elif self._trail:
            self._trail.add(news.events)

    def _session_ended(self, message: SessionEnded) -> None:
        ending = Ending(provider=message.provider, session=message.session, at=self._world.clock())
        # The same sign-out again, as often as anybody likes, costs nothing.
        if self._configuration.end(ending):
            self._endings.add(ending)
            self._saver.touch()

    def _find_options(self) -> Options | None:
        """The outpost's options, where there are any yet."""
        held = self._configuration.find("options")
        options = reading.resource(held.data) if held else None
        return options if isinstance(options, Options) else None

    def _follow_options(self) -> None:
        """Log as the outpost's options say; workers do so by themselves. A front door logs as control does."""
        options = self._find_options()
        if options and not self._plan.control_socket:
            logs.set_level(options.log_level)

    def _current(self) -> tuple[Saved, tuple[str, ...]] | None:
        """The last good state, as it is to lie on the disk."""
        if not self._plan.target or (self._configuration.updated is None and not self._tokens.unsaved):
            return None
        held = self._configuration.held
        saved = Saved(
            revision=held.revision,
            resources=tuple(held.resources.values()),
            credentials=self._keeper.credentials if self._keeper else None,
            endings=self._endings.waiting,
            directory_key=self._directory_key,
            tokens=self._tokens.sent,
        )
        return saved, self._tokens.all

    def _is_saved(self, saved: Saved) -> None:
        if self._trail and saved.directory_key:
            self._trail.seal()
        if self._tokens.kept(saved.tokens) and self._keeper:
            self._renew_if_older(self._keeper)

    async def _end(self) -> None:
        if self._watcher:
            self._watcher.tell_news()
        until = self._world.monotonic() + DRAIN_SECONDS
        await self._workers.drain(DRAIN_SECONDS)
        if self._watcher:
            if self._trail and self._watcher.status.connected:
                # A front door's folder stays, and its control ends with it.
                left = 0.0 if self._plan.control_socket else until - self._world.monotonic()
                await self._trail.clear_within(max(_LAST_EVENTS, left))
            await self._watcher.farewell()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._saver.behind:
            await self._saver.save()
        if self._directory:
            await self._directory.finish()
        if self._trail:
            await self._trail.finish()
        self._responder.close()
        self._folder.close()
        log.info("the outpost has ended")

    def _described(self) -> dict[str, object]:
        plan = self._plan
        return {
            "instance": self._instance.uid,
            "type": plan.type,
            "version": plan.version,
            "workers": plan.workers,
            "listeners": [str(listener.address) for listener in plan.listeners],
            "metrics": [str(address) for address in plan.metrics],
            "control": plan.target.url if plan.target else None,
        }

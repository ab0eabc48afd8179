"""What a worker does: serve the listeners it inherited, by the configuration that the supervisor hands it.

Plain blocking code, made cooperative by `worker`, which patches before it imports this. Configuration is taken in
two steps; the worker never decides by itself what to serve, and ends when the supervisor's end of the pipe closes.
"""

import ctypes
import logging
import os
import secrets
import signal
import socket
import threading
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import msgspec

from dataplane.config import ConfigRefused, DirectoryEdit, DirectoryEntry, Edit, Options, Resource
from dataplane.io.stream import give_way
from dataplane.link import reading
from dataplane.link.calls import ControlGate
from dataplane.link.clock import ControlClock
from dataplane.runtime import logs
from dataplane.runtime.builders import Surroundings, get_builder
from dataplane.runtime.messages import (
    Commit,
    Committed,
    Connect,
    DirectoryTaken,
    DirectoryWanted,
    Drain,
    Draining,
    Happened,
    Learned,
    Message,
    Ping,
    Pong,
    Prepare,
    Prepared,
    PrepareFailed,
    Ready,
    Scrape,
    Scraped,
    Serve,
    SessionEnded,
    Setup,
    TakeDirectory,
)
from dataplane.runtime.pipe import Frames, encode
from dataplane.runtime.server import DirectoryServer, ProtocolServer, Sample, Snapshot
from dataplane.verifier import Sharing

_PR_SET_PDEATHSIG = 1
log = logging.getLogger("dataplane.worker")


class Pipe:
    """The worker's end. Handlers send from their own greenlets, so a frame is sent under a lock."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lock = threading.Lock()
        self.frames = Frames()

    def send(self, message: Message) -> None:
        """Send one message whole."""
        with self._lock:
            self._end.sendall(encode(message))

    def receive(self) -> bool:
        """Take more bytes; False at the end."""
        data = self._end.recv(1024 * 1024)
        self.frames.receive(data)
        return bool(data)


@dataclass(slots=True, kw_only=True)
class Pending:
    """What was prepared and awaits its commit; `options` where they are part of it."""

    prepared: object
    options: Options | None


@dataclass(slots=True, kw_only=True)
class Serving:
    """The worker's state between messages."""

    pipe: Pipe
    gate: ControlGate
    clock: ControlClock
    setup: Setup
    server: ProtocolServer[Any]
    listeners: list[socket.socket]
    pending: Pending | None = None
    accepting: bool = False

    def take(self, message: Message) -> None:
        """Do what the supervisor says."""
        match message:
            case Prepare():
                self.pipe.send(self._prepare(message))
            case Commit():
                self._commit()
                self.pipe.send(Committed(serial=message.serial))
            case Serve():
                self._accept()
            case Scrape():
                self.pipe.send(Scraped(serial=message.serial, snapshot=self._snapshot()))
            case Connect():
                self._connect(message)
            case Learned():
                self.server.learn(message.lesson)
            case TakeDirectory():
                # Beside all else, for it may take a while.
                threading.Thread(target=self._take_directory, args=(message,), daemon=True).start()
            case Ping():
                self.pipe.send(Pong(serial=message.serial))
            case Drain():
                self.pipe.send(Draining(serial=message.serial))
                threading.Thread(target=self._drain, args=(message.seconds,), daemon=True).start()
            case _:
                log.error("the supervisor sent what is not for a worker", extra={"kind": type(message).__name__})

    def _connect(self, message: Connect) -> None:
        self.gate.use(message.credentials)
        if message.ahead is not None:
            now = self.clock.monotonic()
            self.clock.heard(now + message.ahead, now)

    def _prepare(self, message: Prepare) -> Prepared | PrepareFailed:
        fresh, refused = self._translated(message)
        # Whatever was prepared before is given up.
        self.pending = None
        try:
            prepared, more = self.server.prepare(Edit(changed=fresh, removed=frozenset(message.removed)))
        except Exception as error:  # Whatever it is, no other worker may commit either.
            log.exception("a configuration could not be prepared")
            return PrepareFailed(serial=message.serial, reason=f"the outpost failed on it: {error!r}")
        options = next((each for each in fresh.values() if isinstance(each, Options)), None)
        self.pending = Pending(prepared=prepared, options=options)
        return Prepared(serial=message.serial, refused={**more, **refused})

    def _translated(self, message: Prepare) -> tuple[dict[str, Resource], dict[str, str]]:
        fresh: dict[str, Resource] = {}
        refused: dict[str, str] = {}
        for held in message.changed:
            try:
                fresh[held.key] = self._localised(reading.resource(held.data))
            except ConfigRefused as error:
                refused[held.key] = str(error)
        return fresh, refused

    def _localised(self, resource: Resource) -> Resource:
        """AUTHENTIK_HOST_BROWSER of this one process wins over what control thinks."""
        if isinstance(resource, Options) and self.setup.browser_url:
            return replace(resource, browser_url=self.setup.browser_url)
        return resource

    def _commit(self) -> None:
        pending, self.pending = self.pending, None
        if pending is None:
            raise RuntimeError("commit without prepare")
        self.server.commit(pending.prepared)
        # A front door logs as control does.
        if pending.options and not self.setup.control_socket:
            logs.set_level(pending.options.log_level)

    def _accept(self) -> None:
        if not self.accepting:
            self.accepting = True
            for listener, each in zip(self.listeners, self.setup.listeners, strict=True):
                self.server.serve(listener, tls=each.tls)

    def _take_directory(self, message: TakeDirectory) -> None:
        reason = ""
        try:
            if isinstance(self.server, DirectoryServer):
                self.server.apply_directory(_edit(message), _pause)
        except Exception as error:  # Whatever it is, what was served before still is.
            log.exception("a part of the directory could not be taken")
            reason = f"the outpost failed on it: {error!r}"
        self.pipe.send(DirectoryTaken(serial=message.serial, reason=reason))

    def _snapshot(self) -> Snapshot:
        snapshot = msgspec.convert(self.server.metrics(), Snapshot)
        own = (*call_counters(self.gate), lost_lines())
        return Snapshot(histograms=snapshot.histograms, counters=snapshot.counters + own, gauges=snapshot.gauges)

    def _drain(self, seconds: float) -> None:
        # Where there was nothing to serve yet, whoever waited for it is told so.
        self._accept()
        # Now, for whoever is not done in time is ended; and what comes yet.
        self._tell_events(last=False)
        self.server.drain(seconds)
        self._tell_events(last=True)
        logging.shutdown()
        os._exit(0)

    def keep_telling(self) -> None:
        """Say what happened once a while. Never returns."""
        while True:
            time.sleep(self.setup.tell_every)
            try:
                self._tell_events(last=False)
            except Exception:  # Whatever it is, the next time may go well.
                log.exception("what happened could not be told")

    def _tell_events(self, *, last: bool) -> None:
        events = self.server.take_events(last=last)
        if events:
            self.pipe.send(Happened(events=events))


def _edit(message: TakeDirectory) -> DirectoryEdit:
    changed: dict[str, DirectoryEntry] = {}
    for data in message.entries:
        try:
            key, entry = reading.directory_entry(data)
        except ConfigRefused as error:
            log.warning("an entry of the directory is left out", extra={"reason": str(error)})
        else:
            changed[key] = entry
    return DirectoryEdit(
        changed=changed, removed=frozenset(message.removed), begins=message.begins, complete=message.complete
    )


def _pause() -> None:
    """Let others run first, who wait for a socket too."""
    give_way()


def log_crash(
    context: object,
    kind: type[BaseException] | None,
    error: BaseException | str | None,
    trace: TracebackType | None,
) -> None:
    """What gevent is to do with an exception that nobody caught: one line of the log, like all else."""
    caught = error if isinstance(error, BaseException) else None
    info = (kind, caught, trace) if kind and caught else None
    log.error("a greenlet crashed", extra={"greenlet": str(context), "error": str(error)}, exc_info=info)


def call_counters(gate: ControlGate) -> tuple[Sample, ...]:
    """What the gate counted."""
    text = "Calls from workers to control, by outcome"
    name = "garrison_outpost_control_calls_total"
    calls = tuple(
        Sample(name=name, help=text, labels={"call": call, "outcome": outcome}, value=count)
        for (call, outcome), count in gate.outcomes.items()
    )
    opened = Sample(
        name="garrison_outpost_breaker_opened_total",
        help="How often calls to control were suspended after two failures",
        labels={},
        value=gate.breaker.opened + gate.credentials_breaker.opened,
    )
    return (*calls, opened)


def lost_lines() -> Sample:
    """How many ordinary lines this process has lost; the supervisor has its own under the same name."""
    return Sample(name=logs.LOST, help=logs.LOST_HELP, labels={}, value=logs.dropped())


def run(descriptor: int, supervisor: int) -> None:
    """Serve until the pipe closes."""
    _die_with(supervisor)
    pipe = Pipe(socket.socket(fileno=descriptor))
    serving: Serving | None = None
    while pipe.receive():
        for message in pipe.frames.messages():
            if serving:
                serving.take(message)
            elif isinstance(message, Setup):
                serving = _begin(message, pipe)
                threading.Thread(target=serving.keep_telling, daemon=True).start()


def _begin(setup: Setup, pipe: Pipe) -> Serving:
    logs.set_up(setup.log_level, {"worker": setup.slot})
    clock = ControlClock(time.time, time.monotonic)
    gate = ControlGate(lambda provider, session: pipe.send(SessionEnded(provider=provider, session=session)), clock)
    sharing = Sharing(key=setup.verifier_key, tell=lambda lesson: pipe.send(Learned(lesson=lesson)))
    surroundings = Surroundings(
        gate=gate,
        clock=clock,
        random=secrets.token_bytes,
        sharing=sharing,
        want_directory=lambda: pipe.send(DirectoryWanted()),
    )
    server = get_builder(setup.type)(setup, surroundings)
    listeners = [socket.socket(fileno=each.descriptor) for each in setup.listeners]
    pipe.send(Ready())
    return Serving(pipe=pipe, gate=gate, clock=clock, setup=setup, server=server, listeners=listeners)


def _die_with(supervisor: int) -> None:
    """End with the supervisor, however it ends; and leave signals to it, since service managers send them to all."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)

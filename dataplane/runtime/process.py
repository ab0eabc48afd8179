"""One worker process, as its supervisor holds it: start, ask, tell, kill. Its death shows as WorkerGone."""

import asyncio
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Protocol

from dataplane.runtime.messages import Answer, InheritedListener, Message, Question, Ready, Said, Setup
from dataplane.runtime.pipe import Frames, PipeBroken, encode
from dataplane.runtime.vitals import processor_seconds

LENIENCY = 12
"""Deadlines that a worker has while it is at work."""
_AT_WORK = 0.1
"""Of the time, on a processor: others may take most of it."""
_LAST_WORDS = 1.0
"""Seconds; what a worker said before its end lies in a buffer of this machine."""
log = logging.getLogger("dataplane.workers")


class WorkerGone(Exception):
    """The worker has ended, or does not answer."""


class Worker(Protocol):
    """One worker, as all of them are led."""

    @property
    def slot(self) -> int:
        """Which sockets it serves."""
        ...

    @property
    def pid(self) -> int:
        """Its process."""
        ...

    async def ready(self, deadline: float) -> None:
        """Wait until it can take a configuration. Raises WorkerGone."""
        ...

    def tell(self, message: Message) -> None:
        """Send without waiting."""
        ...

    async def ask(self, question: Callable[[int], Question], deadline: float, *, lenient: bool = True) -> Answer:
        """Send a question and wait for its answer; several deadlines while it is at work. Raises WorkerGone."""
        ...

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


Start = Callable[[int, Setup, Iterable[socket.socket], Callable[[Said], None]], Awaitable[Worker]]
"""Starts the worker of a slot; the last argument is told what happens there: sign-outs, and what is to be audited."""


class WorkerProcess:
    """A running worker. `on_news` is told what happens there: sign-outs, and what is to be audited."""

    def __init__(self, process: Process, slot: int, on_news: Callable[[Said], None]) -> None:
        self.slot = slot
        self.pid = process.pid
        self._process = process
        self._on_news = on_news
        self._serial = 0
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def attach(self, end: socket.socket) -> None:
        """Talk over our end of the pipe from now on."""
        reader, self._writer = await asyncio.open_unix_connection(sock=end)
        self._reading = asyncio.create_task(self._read(reader))

    async def ready(self, deadline: float) -> None:
        """Wait until it can take a configuration. Raises WorkerGone."""
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), deadline)
        except TimeoutError as error:
            raise WorkerGone(f"worker {self.slot} is not ready after {deadline:g} s") from error

    def tell(self, message: Message) -> None:
        """Send without waiting; a worker that has gone doesn't mind."""
        if self._writer and not self._writer.is_closing():
            self._writer.write(encode(message))

    async def ask(self, question: Callable[[int], Question], deadline: float, *, lenient: bool = True) -> Answer:
        """Send a question under a fresh serial and wait for its answer. Raises WorkerGone.

        One that is at work all the time is no dead one: to replace it would end all its connections, and what it is at
        would come again. It has `LENIENCY` deadlines, unless whoever asks has less time.
        """
        self._serial += 1
        serial = self._serial
        future = self._waiting[serial] = asyncio.get_running_loop().create_future()
        self.tell(question(serial))
        try:
            if self._reading and self._reading.done():
                raise WorkerGone(f"worker {self.slot} has ended")
            return await self._answered(future, deadline, LENIENCY if lenient else 1)
        finally:
            self._waiting.pop(serial, None)

    async def _answered(self, future: asyncio.Future[Answer], deadline: float, times: int) -> Answer:
        for waited in range(1, times + 1):
            before = processor_seconds(self.pid)
            done, _ = await asyncio.wait({future}, timeout=deadline)
            if done:
                return future.result()
            if waited == times or processor_seconds(self.pid) - before < _AT_WORK * deadline:
                break
        raise WorkerGone(f"worker {self.slot} gave no answer within {waited * deadline:g} s")

    async def wait(self) -> int:
        """Its exit status, once it has ended and all that it said was heard."""
        status = await self._process.wait()
        if self._reading:
            # Nobody else holds the other end, so there is an end to read.
            await asyncio.wait({self._reading}, timeout=_LAST_WORDS)
        if self._writer:
            self._writer.close()
        if self._reading:
            await self._reading
        return status

    def kill(self) -> None:
        """End it at once."""
        # Not by the process's own kill(): it looks whether there is one to kill, and so takes from asyncio what one
        # that is just dying died of.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = Frames()
        try:
            while data := await reader.read(1024 * 1024):
                frames.receive(data)
                for message in frames.messages():
                    self._take(message)
        except (OSError, PipeBroken) as error:
            log.warning("the pipe of a worker broke", extra={"worker": self.slot, "error": str(error)})
            self.kill()
        finally:
            self._fail_all()

    def _take(self, message: Message) -> None:
        match message:
            case Ready():
                if not self._ready.done():
                    self._ready.set_result(None)
            case _ if isinstance(message, Said):
                self._on_news(message)
            case _ if isinstance(message, Answer):
                waiting = self._waiting.get(message.serial)
                if waiting and not waiting.done():
                    waiting.set_result(message)
            case _:
                raise PipeBroken(f"a worker sent {type(message).__name__}")

    def _fail_all(self) -> None:
        gone = WorkerGone(f"worker {self.slot} has ended")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(gone)
        if not self._ready.done():
            self._ready.set_exception(gone)
            # Marks it as seen: nobody may be waiting.
            self._ready.exception()


async def start_worker(
    slot: int, setup: Setup, listening: Iterable[socket.socket], on_news: Callable[[Said], None]
) -> WorkerProcess:
    """Start a worker that inherits the sockets, and tell it what it is."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    descriptors = [each.fileno() for each in listening]
    with theirs:
        process = await create_subprocess_exec(
            sys.executable,
            "-m",
            "dataplane.runtime.worker",
            str(theirs.fileno()),
            str(os.getpid()),
            stdin=DEVNULL,
            pass_fds=(theirs.fileno(), *descriptors),
            env=environment_of_worker(os.environ),
        )
    worker = WorkerProcess(process, slot, on_news)
    await worker.attach(ours)
    worker.tell(setup)
    return worker


def inherited(listening: Iterable[tuple[socket.socket, bool]]) -> tuple[InheritedListener, ...]:
    """How a Setup names the sockets that a worker inherits."""
    return tuple(InheritedListener(descriptor=each.fileno(), tls=tls) for each, tls in listening)


_MALLOC = {"MALLOC_TRIM_THRESHOLD_": str(16 << 20), "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
"""glibc (mallopt(3)) gives memory back to the kernel whenever 128 KiB of it are free. Bodies pass in pieces of 64 KiB,
so that it gave and took all the time, which was a third of what an answer of 100 kB costs."""


def environment_of_worker(ours: Mapping[str, str]) -> dict[str, str]:
    """Ours without the settings, and what they name as env://NAME: a worker faces the network and needs no token."""
    settings = {name: value for name, value in ours.items() if name.startswith(("AUTHENTIK_", "GARRISON_"))}
    named = {
        value.removeprefix("env://").partition("?")[0] for value in settings.values() if value.startswith("env://")
    }
    kept = {name: value for name, value in ours.items() if name not in settings and name not in named}
    # libuv makes every request dearer by half or more (docs/benchmarks.md).
    return {**_MALLOC, **kept, "GEVENT_LOOP": "libev-cext"}

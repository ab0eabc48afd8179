"""Keeps programs running: starts them, waits, starts again with backoff, and ends them stage by stage.

Children get a session of their own, so that Ctrl-C reaches the parent alone, and end with it (`tether`).
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from control.serve.backoff import next_delay
from control.serve.programs import ProcessState, Program, Stage, Status, describe_exit, tethered

log = logging.getLogger("control.serve")

# How long what the front is still sending keeps the rest waiting: it may go on for a while without the back.
FRONT_SECONDS = 6.0
# After this whoever is left is killed; all is to have ended within ten seconds.
STOP_SECONDS = 9.5

Report = Callable[[Sequence[Status]], None]


class Child:
    """One program with its process, if it has one now."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: asyncio.subprocess.Process | None = None
        self.task: asyncio.Task[None] | None = None
        self.status = Status(
            name=program.name, state=ProcessState.STOPPED, pid=None, restarts=0, since=_now(), last_exit=None
        )
        self.renewing = False

    def send(self, number: signal.Signals) -> None:
        """Signal the process, if it runs."""
        if self.process is not None and self.process.returncode is None:
            # Not by the process's own send_signal(): it looks whether there is one to tell, and so takes from asyncio
            # what one that is just ending ended with.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


class Supervisor:
    """The children of one `garrison serve`. `report` hears of every change."""

    def __init__(self, programs: Iterable[Program], report: Report) -> None:
        self._children = {program.name: Child(program) for program in programs}
        self._report = report
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Start every program."""
        for child in self._children.values():
            child.task = asyncio.create_task(self._keep(child), name=child.program.name)

    def renew(self, name: str) -> None:
        """Start a program anew with its environment of now, without counting it as a failure."""
        child = self._children[name]
        child.renewing = True
        child.send(signal.SIGTERM)

    async def stop(self) -> None:
        """End all programs, those that face clients first. Returns when none is left."""
        self._stopping.set()
        deadline = asyncio.get_running_loop().time() + STOP_SECONDS
        front, back = self._of(Stage.FRONT), self._of(Stage.BACK)
        await self._end(front, FRONT_SECONDS)
        await self._end(back, 0)
        await self._reap([*front, *back], deadline)

    def kill(self) -> None:
        """End all programs at once."""
        self._stopping.set()
        for child in self._children.values():
            child.send(signal.SIGKILL)

    async def _keep(self, child: Child) -> None:
        delay: float | None = None
        while not self._stopping.is_set():
            started = asyncio.get_running_loop().time()
            said = await self._run(child)
            if self._stopping.is_set():
                break
            delay = next_delay(delay, asyncio.get_running_loop().time() - started)
            await self._back_off(child, said, delay)
        self._note(child, ProcessState.STOPPED, None)

    async def _run(self, child: Child) -> str:
        """Run the program once; how it ended, in words."""
        child.renewing = False
        try:
            child.process = await self._spawn(child.program)
        except Exception:
            log.exception("a process could not be started", extra={"child": child.program.name})
            return "could not be started"
        if self._stopping.is_set() or child.renewing:  # told so while there was no process to tell
            child.send(signal.SIGTERM)
        self._note(child, ProcessState.RUNNING, child.process.pid)
        return describe_exit(await child.process.wait())

    async def _spawn(self, program: Program) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *tethered(os.getpid(), program.arguments),
            env=dict(program.environment()),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=program.descriptors,
        )

    async def _back_off(self, child: Child, said: str, delay: float) -> None:
        if child.renewing:
            return
        log.error(
            "process ended; it starts again",
            extra={"child": child.program.name, "exit": said, "after_seconds": delay},
        )
        self._note(child, ProcessState.BACKOFF, None, said)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay)

    def _of(self, stage: Stage) -> list[Child]:
        return [child for child in self._children.values() if child.program.stage is stage]

    async def _end(self, children: list[Child], seconds: float) -> None:
        """Tell the children to end and wait for it, but no longer than this."""
        for child in children:
            child.send(signal.SIGTERM)
        await _finished(children, seconds)

    async def _reap(self, children: list[Child], deadline: float) -> None:
        """Wait for all until the deadline, and kill who is left then."""
        late = await _finished(children, deadline - asyncio.get_running_loop().time())
        if late:
            log.error("processes did not end in time and are killed", extra={"children": late})
        for child in children:
            child.send(signal.SIGKILL)
        await _finished(children, None)

    def _note(self, child: Child, state: ProcessState, pid: int | None, said: str | None = None) -> None:
        before = child.status
        child.status = Status(
            name=before.name,
            state=state,
            pid=pid,
            restarts=before.restarts + (state is ProcessState.BACKOFF),
            since=_now(),
            last_exit=said if said is not None else before.last_exit,
        )
        self._report([each.status for each in self._children.values()])


async def _finished(children: Iterable[Child], seconds: float | None) -> list[str]:
    """Wait for the children to be gone; the names of those that aren't after `seconds`."""
    tasks = [child.task for child in children if child.task is not None]
    late = (await asyncio.wait(tasks, timeout=seconds))[1] if tasks else set()
    return sorted(task.get_name() for task in late)


def _now() -> datetime:
    return datetime.now(UTC)

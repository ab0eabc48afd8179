"""The supervisor with real processes: restarts, the order of ending, and that nobody is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from control.serve.programs import ProcessState, Program, Stage, Status, describe_exit, python, tethered
from control.serve.supervisor import Supervisor
from tests.support.loops import until

DEADLINE = 20.0
# Blocked and waited for: a handler of Python's would not be called when the signal comes just before a sleep begins.
BLOCKS = "import os, pathlib, signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})"
TELLS = "pathlib.Path(os.environ['FOLDER'], str(os.getpid())).touch()"
WAITED = "signal.sigtimedwait({signal.SIGTERM}, 60)"
WAITS = f"{BLOCKS}; {WAITED}"
TELLS_AND_WAITS = f"{BLOCKS}; {TELLS}; {WAITED}"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


class Reports:
    """Every status reported, by program."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, ProcessState]] = []
        self.latest: dict[str, Status] = {}

    def __call__(self, statuses: Sequence[Status]) -> None:
        for status in statuses:
            if self.latest.get(status.name) != status:
                self.seen.append((status.name, status.state))
        self.latest = {status.name: status for status in statuses}

    def are(self, state: ProcessState, *names: str) -> bool:
        """Whether that is what was last reported of all of these."""
        return all(name in self.latest and self.latest[name].state is state for name in names)


def program(code: str, name: str = "child", stage: Stage = Stage.BACK, folder: Path | None = None) -> Program:
    environment = {**os.environ, "FOLDER": str(folder)}
    arguments = python("-c", code)
    return Program(name=name, arguments=arguments, environment=lambda: environment, metrics=None, stage=stage)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(_run(scenario))


async def _run(scenario: Callable[[], Awaitable[None]]) -> None:
    await scenario()


def test_a_process_that_ends_is_started_again_and_says_how_it_ended() -> None:
    reports = Reports()

    async def scenario() -> None:
        supervisor = Supervisor([program(WAITS)], reports)
        supervisor.start()
        await until(lambda: reports.latest.get("child", None) is not None and reports.latest["child"].pid is not None)
        first = reports.latest["child"].pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: reports.latest["child"].pid not in {None, first})
        status = reports.latest["child"]
        assert (status.state, status.restarts, status.last_exit) == (ProcessState.RUNNING, 1, "killed by SIGKILL")
        await supervisor.stop()
        assert reports.latest["child"].state is ProcessState.STOPPED

    run(scenario)
    assert ("child", ProcessState.BACKOFF) in reports.seen


def test_a_renewal_is_no_failure(tmp_path: Path) -> None:
    reports = Reports()

    async def scenario() -> None:
        supervisor = Supervisor([program(TELLS_AND_WAITS, folder=tmp_path)], reports)
        supervisor.start()
        await until(lambda: len(list(tmp_path.iterdir())) == 1)
        supervisor.renew("child")
        await until(lambda: len(list(tmp_path.iterdir())) == 2)
        assert (reports.latest["child"].restarts, reports.latest["child"].last_exit) == (0, None)
        await supervisor.stop()

    run(scenario)


def test_a_renewal_while_it_starts_is_not_lost_and_done_once() -> None:
    reports = Reports()
    asked: list[int] = []

    async def scenario() -> None:
        def environment() -> dict[str, str]:
            asked.append(len(asked))
            if asked == [0]:
                supervisor.renew("child")
            return {**os.environ}

        code = python("-c", WAITS)
        child = Program(name="child", arguments=code, environment=environment, metrics=None, stage=Stage.BACK)
        supervisor = Supervisor([child], reports)
        supervisor.start()
        await until(lambda: len(asked) == 2)
        await until(lambda: reports.latest["child"].state is ProcessState.RUNNING and reports.latest["child"].pid)
        assert (reports.latest["child"].restarts, reports.latest["child"].last_exit) == (0, None)
        supervisor._children["child"].send(signal.SIGKILL)
        await until(lambda: reports.latest["child"].restarts == 1)
        await supervisor.stop()

    run(scenario)


def test_the_front_ends_before_the_back(tmp_path: Path) -> None:
    reports = Reports()

    async def scenario() -> None:
        programs = [
            program(TELLS_AND_WAITS, name="back", stage=Stage.BACK, folder=tmp_path),
            program(TELLS_AND_WAITS, name="front", stage=Stage.FRONT, folder=tmp_path),
        ]
        supervisor = Supervisor(programs, reports)
        supervisor.start()
        await until(lambda: len(list(tmp_path.iterdir())) == 2)
        await supervisor.stop()

    run(scenario)
    stopped = [name for name, state in reports.seen if state is ProcessState.STOPPED]
    assert stopped[-2:] == ["front", "back"]


def test_who_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("control.serve.supervisor.FRONT_SECONDS", 0.1)
    monkeypatch.setattr("control.serve.supervisor.STOP_SECONDS", 0.2)
    reports = Reports()
    code = STUBBORN.replace("print", "import os, pathlib; pathlib.Path(os.environ['FOLDER'], 'up').touch(); print")

    async def scenario() -> None:
        supervisor = Supervisor([program(code, folder=tmp_path)], reports)
        supervisor.start()
        await until(lambda: "child" in reports.latest and (tmp_path / "up").exists())
        pid = reports.latest["child"].pid
        assert pid is not None
        await supervisor.stop()
        assert not _is_alive(pid)

    run(scenario)


def test_the_back_is_told_while_the_front_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A long download keeps nobody but itself."""
    monkeypatch.setattr("control.serve.supervisor.FRONT_SECONDS", 0.1)
    monkeypatch.setattr("control.serve.supervisor.STOP_SECONDS", DEADLINE)
    reports = Reports()
    folder, go = tmp_path / "up", tmp_path / "go"
    folder.mkdir()
    # Not for ever: should the test fail, nobody else ends it.
    end = f"def end():\n    for _ in range(3000): pathlib.Path({str(go)!r}).exists() and exit(0); time.sleep(0.01)\n"
    lasting = f"{end}{TELLS_AND_WAITS}; end()"

    async def scenario() -> None:
        programs = [
            program(TELLS_AND_WAITS, name="back", stage=Stage.BACK, folder=folder),
            program(lasting, name="front", stage=Stage.FRONT, folder=folder),
        ]
        supervisor = Supervisor(programs, reports)
        supervisor.start()
        await until(lambda: len(list(folder.iterdir())) == 2)
        await until(lambda: reports.are(ProcessState.RUNNING, "back", "front"))
        stopping = asyncio.create_task(supervisor.stop())
        await until(lambda: reports.are(ProcessState.STOPPED, "back"))
        go.touch()
        await stopping

    run(scenario)
    stopped = [name for name, state in reports.seen if state is ProcessState.STOPPED]
    assert stopped[-2:] == ["back", "front"]


def test_a_program_that_cannot_start_backs_off() -> None:
    reports = Reports()

    async def scenario() -> None:
        missing = Program(
            name="child", arguments=("/nonexistent",), environment=lambda: os.environ, metrics=None, stage=Stage.BACK
        )
        supervisor = Supervisor([missing], reports)
        supervisor.start()
        await until(lambda: "child" in reports.latest and reports.latest["child"].restarts > 0)
        assert reports.latest["child"].last_exit == "exit code 1"
        await supervisor.stop()

    run(scenario)


def test_an_environment_that_fails_backs_off() -> None:
    reports = Reports()
    asked: list[float] = []

    def environment() -> dict[str, str]:
        asked.append(time.monotonic())
        if len(asked) == 1:
            raise OSError("the database is away")
        return dict(os.environ)

    async def scenario() -> None:
        failing = Program(
            name="child", arguments=python("-c", WAITS), environment=environment, metrics=None, stage=Stage.BACK
        )
        supervisor = Supervisor([failing], reports)
        supervisor.start()
        await until(lambda: "child" in reports.latest and reports.latest["child"].pid is not None)
        assert (reports.latest["child"].restarts, reports.latest["child"].last_exit) == (1, "could not be started")
        await supervisor.stop()

    run(scenario)


def test_children_end_with_their_parent(tmp_path: Path) -> None:
    """A parent that is killed leaves nobody behind."""
    up = tmp_path / "up"
    child = f"import pathlib, os, time; pathlib.Path({str(up)!r}).write_text(str(os.getpid())); time.sleep(60)"
    code = f"""
import os, subprocess, sys
sys.path[:0] = {sys.path!r}
from control.serve.programs import tethered
subprocess.Popen(tethered(os.getpid(), (sys.executable, "-c", {child!r}))).wait()
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    pid = _wait_for(lambda: up.read_text() if up.exists() else "")
    parent.kill()
    parent.wait()
    _wait_for(lambda: "" if _is_alive(int(pid)) else "gone")


def test_a_child_of_a_dead_parent_does_not_start() -> None:
    done = subprocess.run(tethered(1 << 22, (sys.executable, "-c", "print('ran')")), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize(
    ("code", "said"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "killed by SIGKILL"), (-63, "killed by signal 63")]
)
def test_exits_in_words(code: int, said: str) -> None:
    assert describe_exit(code) == said


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _wait_for(found: Callable[[], str]) -> str:
    deadline = time.monotonic() + DEADLINE
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value

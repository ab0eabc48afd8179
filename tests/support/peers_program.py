"""Programs of other people (and our own) as processes of a test: started, awaited, ended, their output kept.

Nothing here sleeps for a fixed time: `eventually` looks until a deadline. What programs write goes to the report of a
failed test through `recent_logs`.
"""

import atexit
import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")
WORKERS = 8
"""More than a run has (scripts/test.py)."""

_running: list["Program"] = []
_killed: deque["Program"] = deque(maxlen=4)
_numbers = itertools.count()
_logs = tempfile.TemporaryDirectory(prefix="garrison-logs-")
_taken: set[int] = set()


def _ports(worker: str) -> range:
    """What one worker of a run chooses from ("gw1" is pytest-xdist's second; none has them all).

    A port is chosen some time before anybody listens on it, so no two workers may choose from the same.
    """
    every = range(10_000, 32_000)
    return every[int(worker.removeprefix("gw")) % WORKERS :: WORKERS] if worker else every


_PORTS = _ports(os.environ.get("PYTEST_XDIST_WORKER", ""))


class MissingPeer(AssertionError):
    """A program from Debian's packages that this machine lacks: the test run fails, it does not skip."""


def require(program: str, package: str) -> str:
    """The path of a program, or the line that says what to install."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        raise MissingPeer(f"{program} is not installed (Debian package {package}; scripts/peers.txt)")
    return path


def free_port() -> int:
    """A TCP port that nobody listens on, below the range from which connections take theirs."""
    for _ in range(200):
        port = random.choice(_PORTS)
        if port not in _taken and _is_free(port):
            _taken.add(port)
            return port
    raise AssertionError("no free port found in 200 tries")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def eventually(
    look: Callable[[], Value | None], what: str, within: float = 30.0, alive: "Program | None" = None
) -> Value:
    """The first true value of `look`, which may raise OSError or AssertionError while it isn't yet so.

    Gives up at once when `alive` has ended.
    """
    deadline = time.monotonic() + within
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = look()
        except (OSError, AssertionError) as error:
            last = error
        else:
            if last:
                return last
        if alive is not None and alive.ended():
            raise AssertionError(f"{alive.name} ended with {alive.process.returncode} before {what}\n{alive.tail()}")
        time.sleep(0.01)
    raise AssertionError(f"not within {within:g} s: {what}; last seen: {last!r}")


class Program:
    """One process in its own process group. Its output outlives its folder, for the report of a failed test."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._log = Path(_logs.name) / f"{next(_numbers)}-{name.replace(' ', '-')}.log"
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=plain_environment() | dict(environment or {}),
                start_new_session=True,
            )
        _running.append(self)

    def ended(self) -> bool:
        """Whether it is no longer there."""
        return self.process.poll() is not None

    def output(self) -> str:
        """All it has written."""
        return self._log.read_text(errors="replace")

    def lines(self) -> list[str]:
        """The same, line by line, without one that is half written."""
        return self.output().rpartition("\n")[0].splitlines()

    def tail(self, lines: int = 60) -> str:
        """The end of what it has written."""
        return "\n".join(self.output().splitlines()[-lines:])

    def stop(self, within: float = 10.0) -> int:
        """End it by SIGTERM and return its exit code; one that does not end in time is killed and named."""
        if not self.ended():
            self.process.terminate()
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {within:g} s of SIGTERM\n{self.tail()}") from None
        if self in _running:
            _running.remove(self)
        return code

    def kill(self) -> None:
        """End it and its children at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        if self in _running:
            _running.remove(self)
            _killed.append(self)


@contextlib.contextmanager
def killing_on_failure() -> Iterator[None]:
    """End whatever was started in the block and still runs, where that fails; what others have running stays."""
    before = list(_running)
    try:
        yield
    except BaseException:
        kill_all([program for program in _running if program not in before])
        raise


def kill_all(programs: Sequence[Program] = _running) -> None:
    """End these, or whatever still runs."""
    for program in tuple(programs):
        program.kill()


atexit.register(kill_all)


def plain_environment() -> dict[str, str]:
    """What any program needs; nothing of ours, so that a test says all it depends on."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "USER")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONUNBUFFERED": "1"}


def recent_logs() -> list[tuple[str, str]]:
    """The ends of the logs of all that runs now or was killed lately, for the report of a failed test."""
    return [(program.name, program.tail()) for program in (*_killed, *_running)]


def keep_logs(folder: Path) -> None:
    """Copy all that any program wrote."""
    shutil.copytree(_logs.name, folder)


def peak_memory(session: int) -> int:
    """Sum of the peak resident sizes, in bytes, of all processes of a session (a Program's pid names it)."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError, ValueError):
            if os.getsid(int(status.parent.name)) == session:
                total += _peak(status.read_text())
    return total


def _peak(status: str) -> int:
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0

"""wrk against one server, both pinned, and the processor time the server spent on it."""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.peers_program import require

CONNECTIONS = 32
SECONDS = 4
SERVER_CORE, LOAD_CORE = 0, 1
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of wrk; latencies in milliseconds, `cpu` in microseconds of the server a request."""

    rate: float
    p50: float
    p99: float
    cpu: float

    @property
    def busy(self) -> float:
        """The share of its core that the server used: well below 1, the load or the machine was the limit."""
        return self.rate * self.cpu / 1e6


def pinned(core: int) -> list[str]:
    """The start of a command line that stays on one core."""
    return [require("taskset", "util-linux"), "--cpu-list", str(core)]


def wrk(port: int, script: Path, session: int) -> Run:
    """Load a server with the requests of a script for a while; `session` names the server's processes."""
    command = [
        *pinned(LOAD_CORE), require("wrk", "wrk"), "--threads", "1", "--connections", str(CONNECTIONS),
        "--duration", f"{SECONDS}s", "--latency", "--script", str(script), f"http://127.0.0.1:{port}/",
    ]  # fmt: skip
    before = processor_time(session)
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS + 30)
    return read_wrk(done.stdout, processor_time(session) - before)


def write_script(path: Path, questions: Sequence[tuple[str, str]]) -> Path:
    """A script for wrk that asks the questions in turn; what stands between the two parts of each is a number that
    counts up, or nothing where there is but one question.
    """
    parts = ",\n".join(f"{{ {_lua(before)}, {_lua(after)} }}" for before, after in questions)
    number = "counter" if len(questions) > 1 else "''"
    path.write_text(
        f"local questions = {{\n{parts}\n}}\nlocal counter = 0\n"
        "request = function()\n  counter = counter + 1\n  local question = questions[counter % #questions + 1]\n"
        f"  return question[1] .. {number} .. question[2]\nend\n"
    )
    return path


def _lua(text: str) -> str:
    """A Lua string of these characters."""
    return "'" + "".join(char if char.isalnum() else f"\\{ord(char):03}" for char in text) + "'"


def read_wrk(report: str, seconds: float) -> Run:
    """The figures of a report; one with refused or failed requests is no measurement."""
    assert "Non-2xx" not in report, f"not every answer was a 200:\n{report}"
    assert "Socket errors" not in report, f"connections failed:\n{report}"
    requests = int(_find(r"(\d+) requests in", report))
    return Run(
        rate=float(_find(r"Requests/sec:\s+([\d.]+)", report)),
        p50=_latency("50", report),
        p99=_latency("99", report),
        cpu=seconds / requests * 1e6,
    )


def _latency(share: str, report: str) -> float:
    match = re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s) *$", report, re.MULTILINE)
    assert match is not None, report
    return float(match[1]) * _UNITS[match[2]]


def _find(pattern: str, report: str) -> str:
    match = re.search(pattern, report)
    assert match is not None, f"no {pattern!r} in:\n{report}"
    return match[1]


def processor_time(session: int) -> float:
    """User and system seconds of all processes of a session."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        fields = _fields(process)
        if fields and int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def _fields(process: Path) -> Sequence[str]:
    """What follows the name in /proc/PID/stat: state, ppid, pgrp, session, ..."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ()

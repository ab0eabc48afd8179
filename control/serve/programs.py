"""What the supervisor runs: programs, and how each child of one fares. Values only; `supervisor` acts on them."""

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from pathlib import Path

TETHER = Path(__file__).with_name("tether.py")


class Stage(IntEnum):
    """The order in which programs are ended: what faces clients drains before what it needs."""

    FRONT = 0
    BACK = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program to keep running. `environment` is asked at each start; `metrics` is where it answers Prometheus.

    It inherits `descriptors` under their numbers.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Callable[[], Mapping[str, str]]
    metrics: Path | None
    stage: Stage
    descriptors: tuple[int, ...] = ()


class ProcessState(StrEnum):
    """How a child is."""

    RUNNING = "running"
    BACKOFF = "backoff"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How one child fares, for the pages and the metrics."""

    name: str
    state: ProcessState
    pid: int | None
    restarts: int
    since: datetime
    last_exit: str | None

    def to_json(self) -> dict[str, object]:
        """As it stands in `processes.json`."""
        return {
            "name": self.name,
            "pid": self.pid,
            "state": self.state,
            "restarts": self.restarts,
            "since": self.since.isoformat(),
            "last_exit": self.last_exit,
        }


def tethered(parent: int, arguments: tuple[str, ...]) -> list[str]:
    """The command that runs `arguments` as a process which ends with `parent`."""
    return [sys.executable, "-I", "-S", str(TETHER), str(parent), *arguments]


def python(*arguments: str) -> tuple[str, ...]:
    """A command of this Python and this installation."""
    return (sys.executable, *arguments)


def describe_exit(code: int) -> str:
    """A return code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"

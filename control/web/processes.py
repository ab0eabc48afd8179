"""The processes of `garrison serve` as their supervisor describes them in processes.json."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One child process."""

    name: str
    state: str
    restarts: int
    pid: int | None = None
    since: datetime | None = None
    last_exit: str = ""


def read_processes(path: Path | None) -> tuple[Process, ...]:
    """What the file says; nothing where there is none or it can't be read."""
    try:
        found = json.loads(path.read_text()) if path is not None else []
        return tuple(_process(each) for each in found)
    except (OSError, ValueError, TypeError, KeyError):
        return ()


def _process(each: dict[str, Any]) -> Process:
    return Process(
        name=str(each["name"]),
        state=str(each["state"]),
        restarts=int(each.get("restarts", 0)),
        pid=each.get("pid"),
        since=_moment(each.get("since")),
        last_exit=str(each.get("last_exit") or ""),
    )


def _moment(value: object) -> datetime | None:
    match value:
        case str():
            return datetime.fromisoformat(value).astimezone()
        case int() | float():
            return datetime.fromtimestamp(value).astimezone()
        case _:
            return None

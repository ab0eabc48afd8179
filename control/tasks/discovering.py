"""Look for engines of this machine: a socket that control may use becomes an integration, unless one has its URL.

Several control machines that share a database each have an engine of their own under the same path: there discovery
is better switched off, and engines are named by addresses that mean the same everywhere.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from control.domain.task import Cause, LineLevel, TaskKind
from control.fleet.integrations import create_integration, find_integration_at
from control.store import Unit
from control.tasks import trail
from control.tasks.context import Work

NAME = "Local Docker connection"
CODES = ("no_socket", "socket_refused", "engine_known", "engine_found")


def run(work: Work) -> Mapping[str, object] | None:
    """Make an integration of the best socket there is."""
    for path in work.sockets:
        if not _is_socket(path):
            continue
        if not os.access(path, os.R_OK | os.W_OK):
            work.say("socket_refused", LineLevel.WARNING, path=path)
            continue
        return {"created": _found(work, f"unix://{path}")}
    work.say("no_socket")
    return {"created": False}


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _found(work: Work, url: str) -> bool:
    with work.store.write(trail.actor_of(work.run)) as unit:
        is_new = find_integration_at(unit, url) is None
        if is_new:
            made = create_integration(unit, {"name": _name(unit), "url": url}, local=True)
            unit.runs.submit(TaskKind.CHECK, Cause.CHANGE, made.id, made.name)
    work.say("engine_found" if is_new else "engine_known", url=url)
    return is_new


def _name(unit: Unit) -> str:
    taken = {each.name for each in unit.integrations.all()}
    names = (NAME, *(f"{NAME} {number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)

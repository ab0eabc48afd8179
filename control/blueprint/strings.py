"""`env://NAME` and `file://PATH` in place of any text: read once, before anything else looks at the value.

A default may follow a `?`, as authentik has it. What they gave counts as secret: it is never shown.
"""

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from control.domain.errors import Problem
from control.fleet.fields import problem

MOST_BYTES = 1024 * 1024
ENVIRONMENT, FILE = "env://", "file://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What texts may refer to: variables, and files below a folder (absolute paths stand for themselves)."""

    folder: Path
    environment: Mapping[str, str]


class Unresolved(Exception):
    """A reference leads nowhere."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def resolve(value: object, around: Surroundings, path: str) -> object:
    """The value with every reference in it replaced. Raises Unresolved naming `path`."""
    match value:
        case str():
            return _text(value, around, path)
        case list():
            return [resolve(item, around, f"{path}[{place}]") for place, item in enumerate(value)]
        case dict():
            return {key: resolve(item, around, f"{path}.{key}") for key, item in value.items()}
        case _:
            return value


def refers(value: object) -> bool:
    """Whether there is a reference anywhere in the value."""
    match value:
        case str():
            return value.startswith((ENVIRONMENT, FILE))
        case list():
            return any(map(refers, value))
        case dict():
            return any(map(refers, value.values()))
        case _:
            return False


def read_file(reference: str, around: Surroundings, path: str) -> str:
    """The text of a file, without the line end that editors leave. Raises Unresolved."""
    name, has_default, default = reference.partition("?")
    try:
        data = _read_bytes(around.folder / name)
        if len(data) > MOST_BYTES:
            raise Unresolved(problem(path, "file_too_long", name, f"at most {MOST_BYTES} bytes"))
        return data.decode().rstrip("\r\n")
    except (OSError, ValueError) as error:
        if has_default:
            return default
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise Unresolved(problem(path, "file_unreadable", name, f"a file that can be read ({reason})")) from error


def _read_bytes(path: Path) -> bytes:
    """A file's content, MOST_BYTES and one more at most. Raises OSError, also for a pipe, which would wait."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(MOST_BYTES + 1)


def _text(text: str, around: Surroundings, path: str) -> str:
    if text.startswith(FILE):
        return read_file(text.removeprefix(FILE), around, path)
    if not text.startswith(ENVIRONMENT):
        return text
    name, has_default, default = text.removeprefix(ENVIRONMENT).partition("?")
    value = around.environment.get(name, default if has_default else None)
    if value is None:
        raise Unresolved(problem(path, "variable_not_set", name, "the name of an environment variable that is set"))
    return value

"""The `garrison` command: reads the command line, builds what the parts need, and hands over.

Commands import what they need when they run: `garrison outpost` and `--help` load no database and no web framework.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from control.main.arguments import Arguments, parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["outpost"]:
        become_outpost(given[1:])
    parsed = parse(given)
    # Whatever we write, the database first of all, is for nobody else, also in a folder that others made.
    os.umask(0o077)
    return _guarded(_COMMANDS[parsed.command], parsed)


def become_outpost(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the data plane's."""
    command = [sys.executable, "-m", "dataplane.main", *arguments]
    os.execv(command[0], command)  # noqa: S606 - our own interpreter, and no shell wanted


def _guarded(command: Callable[[Arguments], int], arguments: Arguments) -> int:
    """Run a command; what the person at the keyboard can mend is one line, not a traceback."""
    from control.main.failures import MENDABLE, explained

    try:
        return command(arguments)
    except MENDABLE as error:
        sys.stderr.writelines(f"garrison: {line}\n" for line in explained(error))
        return 1


def _serve(arguments: Arguments) -> int:
    from control.main.serving import serve

    return serve(arguments)


def _apply(arguments: Arguments) -> int:
    from control.main.commands import apply

    return apply(arguments)


def _token(arguments: Arguments) -> int:
    from control.main.commands import token

    return token(arguments)


def _rotate_authority(arguments: Arguments) -> int:
    from control.main.commands import authority

    return authority(arguments)


def _outposts(arguments: Arguments) -> int:
    from control.main.commands import outposts

    return outposts(arguments)


def _audit(arguments: Arguments) -> int:
    from control.main.auditing import audit

    return audit(arguments)


def _healthcheck(arguments: Arguments) -> int:
    from control.main.healthcheck import healthcheck

    return healthcheck(arguments)


def _web(arguments: Arguments) -> int:
    from control.main.children import web

    return web(arguments)


def _link(arguments: Arguments) -> int:
    from control.main.children import link

    return link(arguments)


def _tasks(arguments: Arguments) -> int:
    from control.main.children import tasks

    return tasks(arguments)


_COMMANDS: dict[str, Callable[[Arguments], int]] = {
    "serve": _serve,
    "apply": _apply,
    "token": _token,
    "rotate-authority": _rotate_authority,
    "outposts": _outposts,
    "audit": _audit,
    "healthcheck": _healthcheck,
    "_web": _web,
    "_link": _link,
    "_tasks": _tasks,
}

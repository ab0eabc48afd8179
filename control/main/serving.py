"""`garrison serve`: prepare the database, then run the processes of this machine until told to stop."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry

from control.blueprint import Run, apply_files
from control.main.arguments import Arguments
from control.main.processes import loopback, metrics_socket, outpost_tokens, programs_of
from control.serve import logs
from control.serve.board import Board
from control.serve.demo.setup import BLUEPRINT, Demo, make_demo
from control.serve.descriptors import raise_limit
from control.serve.first_start import FirstAdmin, prepare
from control.serve.lines import Lines
from control.serve.lock import FolderLock
from control.serve.observatory import Observatory, Sources
from control.serve.ports import expect_free
from control.serve.running import Plan, run
from control.serve.web import listen
from control.settings import BadSetting, Given, Listen, Settings, read_settings, remember_url
from control.settings.opening import make_folders, wait_for_store
from control.store import Actor, Store

_STANDARD_OUTPUT = 1


def serve(arguments: Arguments) -> int:
    """Serve until SIGTERM."""
    settings = read_settings(_given(arguments), os.environ)
    raise_limit()
    make_folders(settings)
    lock = FolderLock(settings.data)
    expect_free(_listeners(settings))
    logs.configure("serve", settings.log_level)
    store = wait_for_store(settings)
    admin = say_admin(settings, store)
    remember_url(settings)
    demo = make_demo(settings.data, settings.http.port) if arguments.demo else None
    _apply_blueprints(settings, store, arguments.blueprints, demo)
    lines = demo.lines(settings.url, _admin_words(admin)) if demo is not None else ()
    _observe_and_run(settings, store, demo, lines)
    lock.release()
    return 0


def _listeners(settings: Settings) -> Mapping[str, tuple[str, int]]:
    listens = {"http": settings.http, "https": settings.https, "link": settings.link, "metrics": settings.metrics}
    return {f"--{name}": (listen.host, listen.port) for name, listen in listens.items()}


def _given(arguments: Arguments) -> Given:
    return Given(
        data=arguments.data,
        url=arguments.url,
        http=arguments.http,
        https=arguments.https,
        link=arguments.link,
        metrics=arguments.metrics,
        embedded=arguments.embedded,
    )


def _apply_blueprints(settings: Settings, store: Store, files: tuple[Path, ...], demo: Demo | None) -> None:
    """Apply the files given, and the demo's own."""
    environment = {**os.environ, **(demo.environment if demo is not None else {})}
    wanted = (*files, BLUEPRINT) if demo is not None else files
    if wanted:
        run = Run(files=wanted, own_url=settings.url, actor=Actor(name="cli"), environment=environment)
        for outcome in apply_files(store, run):
            _say(str(outcome))


def say_admin(settings: Settings, store: Store) -> FirstAdmin | None:
    """Make what a new database needs, and tell the first administrator's password where nobody chose it."""
    admin = prepare(store, settings.bootstrap_password)
    if admin is not None and admin.password is not None:
        _say(f"First administrator: {admin.username}, initial password: {admin.password}")
    return admin


def _admin_words(admin: FirstAdmin | None) -> str:
    """What the demo says of the administrator's password, which may be known to nobody but its owner by now."""
    if admin is None:
        return "(its password was set or printed at the first start)"
    return admin.password or "(the password of GARRISON_BOOTSTRAP_PASSWORD)"


def _observe_and_run(settings: Settings, store: Store, demo: Demo | None, lines: Sequence[str]) -> None:
    board = Board(settings.run / "processes.json")
    own = CollectorRegistry()
    own.register(board)
    own.register(logs.Losses())
    web = listen(settings.run / "web.sock")
    tokens = outpost_tokens(settings, store, demo)
    programs = programs_of(settings, tokens, demo, web.fileno())
    metrics = {program.name: program.metrics for program in programs if program.metrics is not None}
    observatory = Observatory(Sources(own=own, metrics=metrics, ready=_ready_sockets(settings, tokens)))
    _listen(observatory, settings.metrics)
    plan = Plan(
        programs=programs,
        report=board.show,
        is_ready=lambda: observatory.ready() and _front_door_answers(settings.http),
        announce=lambda: _announce(settings, lines),
        versions={name: token.version for name, token in tokens.items()},
    )
    asyncio.run(run(plan))


def _listen(observatory: Observatory, metrics: Listen) -> None:
    try:
        observatory.listen(metrics.host, metrics.port)
    except OSError as error:
        raise BadSetting("--metrics", str(metrics), f"an address that is free ({error.strerror})") from error


def _ready_sockets(settings: Settings, outposts: Iterable[str]) -> tuple[Path, ...]:
    """The web process knows of the database; outposts of their configuration, where they get one."""
    return (settings.run / "web.sock", *(metrics_socket(settings, name) for name in outposts))


def _front_door_answers(http: Listen) -> bool:
    host, port = loopback(http).rsplit(":", 1)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), 1):
            return True
    except OSError:
        return False


def _announce(settings: Settings, lines: Sequence[str]) -> None:
    """The processes run by now, and what they say may have filled the pipe: nobody waits for it."""
    said = "\n".join([f"Garrison {version('garrison')} is ready at {settings.url}", *lines])
    Lines(_STANDARD_OUTPUT, lambda _: b"").write(f"{said}\n".encode())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()

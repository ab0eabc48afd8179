"""`garrison serve`: prepare the database, then run the processes of this machine until told to stop."""

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry

from control.blueprint import Run, apply_files
from control.fleet.tokens import find_token
from control.main.arguments import Arguments
from control.serve import logs
from control.serve.board import Board
from control.serve.demo.setup import BLUEPRINT, Demo, make_demo
from control.serve.first_start import prepare
from control.serve.lock import FolderLock
from control.serve.observatory import Observatory, Sources
from control.serve.programs import Program, Stage, python
from control.serve.running import Plan, run
from control.settings import BadSetting, Given, Listen, Settings, make_folders, open_store, read_settings, remember_url
from control.store import Actor, Store

PRIVATE = ("GARRISON_BOOTSTRAP_PASSWORD",)
# What the front door has no business to know.
OF_CONTROL = (*PRIVATE, "GARRISON_SECRET_KEY", "GARRISON_DATABASE_URL", "AUTHENTIK_TOKEN")


def serve(arguments: Arguments) -> int:
    """Serve until SIGTERM."""
    settings = read_settings(_given(arguments), os.environ)
    make_folders(settings)
    lock = FolderLock(settings.data)
    logs.configure("serve", settings.log_level)
    store = open_store(settings, migrate=True)
    say_admin(settings, store)
    remember_url(settings)
    demo = make_demo(settings.data) if arguments.demo else None
    _apply_blueprints(settings, store, arguments.blueprints, demo)
    _observe_and_run(settings, store, demo)
    lock.release()
    return 0


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


def say_admin(settings: Settings, store: Store) -> None:
    """Make what a new database needs, and tell the first administrator's password where nobody chose it."""
    admin = prepare(store, settings.bootstrap_password)
    if admin is not None and admin.password is not None:
        _say(f"First administrator: {admin.username}, one-time password: {admin.password}")


def _observe_and_run(settings: Settings, store: Store, demo: Demo | None) -> None:
    board = Board(settings.run / "processes.json")
    own = CollectorRegistry()
    own.register(board)
    programs = _programs(settings, store, demo)
    metrics = {program.name: program.metrics for program in programs if program.metrics is not None}
    observatory = Observatory(Sources(own=own, metrics=metrics, ready=_ready_sockets(settings)))
    _listen(observatory, settings.metrics)
    plan = Plan(
        programs=programs,
        report=board.show,
        is_ready=lambda: observatory.ready() and _front_door_answers(settings.http),
        announce=lambda: _announce(settings, demo),
        versions={"proxy": partial(_token_fingerprint, store)} if settings.embedded else {},
    )
    asyncio.run(run(plan))


def _listen(observatory: Observatory, metrics: Listen) -> None:
    try:
        observatory.listen(metrics.host, metrics.port)
    except OSError as error:
        raise BadSetting("--metrics", str(metrics), f"an address that is free ({error.strerror})") from error


def _programs(settings: Settings, store: Store, demo: Demo | None) -> tuple[Program, ...]:
    run_folder = settings.run
    control = partial(_control_environment, settings)
    programs = [
        Program(
            name="web",
            arguments=python("-m", "control.main", "_web", "--link", str(settings.link)),
            environment=control,
            metrics=run_folder / "web.metrics.sock",
            stage=Stage.BACK,
        ),
        Program(
            name="link",
            arguments=python("-m", "control.main", "_link", "--link", str(settings.link)),
            environment=control,
            metrics=run_folder / "link.metrics.sock",
            stage=Stage.BACK,
        ),
        Program(
            name="proxy",
            arguments=_front_door(settings),
            environment=partial(_front_door_environment, settings, store),
            metrics=run_folder / "proxy.metrics.sock",
            stage=Stage.FRONT,
        ),
    ]
    return (*programs, demo.program(_loopback(settings.http))) if demo is not None else tuple(programs)


def _front_door(settings: Settings) -> tuple[str, ...]:
    state = settings.data / "outposts" / "embedded"
    listeners = ("--http", str(settings.http), "--https", str(settings.https))
    metrics = ("--metrics", f"unix:{settings.run / 'proxy.metrics.sock'}")
    return python("-m", "dataplane.main", "proxy", "--state", str(state), *listeners, *metrics)


def _control_environment(settings: Settings) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    return {**kept, "GARRISON_DATA": str(settings.data), "GARRISON_URL": settings.url}


def _front_door_environment(settings: Settings, store: Store) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in OF_CONTROL}
    with store.read() as unit:
        embedded = unit.outposts.find_embedded() if settings.embedded else None
        token = find_token(unit, embedded) if embedded is not None else None
    return {
        **kept,
        **({"AUTHENTIK_TOKEN": token.secret} if token is not None else {}),
        "AUTHENTIK_HOST": settings.url,
        "GARRISON_CONTROL_SOCKET": str(settings.run / "web.sock"),
        "GARRISON_LINK": _loopback(settings.link),
    }


def _token_fingerprint(store: Store) -> str:
    with store.read() as unit:
        embedded = unit.outposts.find_embedded()
        token = find_token(unit, embedded) if embedded is not None else None
        return token.fingerprint if token is not None else ""


def _ready_sockets(settings: Settings) -> tuple[Path, ...]:
    """The web process knows of the database; the front door of its configuration, where it gets one."""
    web = settings.run / "web.sock"
    return (web, settings.run / "proxy.metrics.sock") if settings.embedded else (web,)


def _front_door_answers(http: Listen) -> bool:
    host, port = _loopback(http).rsplit(":", 1)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), 1):
            return True
    except OSError:
        return False


def _loopback(listen: Listen) -> str:
    """The address at which this machine itself reaches a listener."""
    loopback = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
    return str(Listen(host=loopback.get(listen.host, listen.host), port=listen.port))


def _announce(settings: Settings, demo: Demo | None) -> None:
    _say(f"Garrison {version('garrison')} is ready at {settings.url}")
    if demo is not None:
        for line in demo.lines():
            _say(line)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()

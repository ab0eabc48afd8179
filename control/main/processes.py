"""Which programs `garrison serve` keeps running, with which command lines and which environment.

Each is told what it needs and no more: an outpost faces the network and gets neither key nor database.
"""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from control.main.outpost_token import OutpostToken, find_embedded
from control.serve.demo.setup import LDAP_OUTPOST, Demo
from control.serve.programs import Program, Stage, python
from control.settings import Listen, Settings
from control.store import Store

PRIVATE = ("GARRISON_BOOTSTRAP_PASSWORD",)
PROXY, LDAP = "proxy", "ldap"
# What outposts have no business to know.
OF_CONTROL = (*PRIVATE, "GARRISON_SECRET_KEY", "GARRISON_DATABASE_URL", "AUTHENTIK_TOKEN")


def outpost_tokens(settings: Settings, store: Store, demo: Demo | None) -> Mapping[str, OutpostToken]:
    """The token of each outpost of this machine, by the name of its program."""
    tokens = {PROXY: OutpostToken(store, front_door_state(settings), find_embedded)} if settings.embedded else {}
    if demo is not None:
        tokens[LDAP] = OutpostToken(store, _ldap_state(settings), lambda unit: unit.outposts.find_named(LDAP_OUTPOST))
    return tokens


def programs_of(
    settings: Settings, tokens: Mapping[str, OutpostToken], demo: Demo | None, web: int
) -> tuple[Program, ...]:
    """The programs of this machine; `web` is the descriptor of the web process's socket."""
    run_folder = settings.run
    control = partial(_control_environment, settings)
    ports = ("--http", str(settings.http), "--https", str(settings.https), "--link", str(settings.link))
    programs = [
        Program(
            name="web",
            arguments=python("-m", "control.main", "_web", *ports, "--socket", str(web)),
            descriptors=(web,),
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
            name="tasks",
            arguments=python("-m", "control.main", "_tasks"),
            environment=control,
            metrics=run_folder / "tasks.metrics.sock",
            # Told to end first, as it takes the longest: work in the middle may be done in a moment.
            stage=Stage.FRONT,
        ),
        _front_door(settings, tokens.get(PROXY)),
    ]
    if demo is not None:
        programs += [_ldap(settings, tokens[LDAP], demo), demo.program(loopback(settings.http))]
    return tuple(programs)


def metrics_socket(settings: Settings, program: str) -> Path:
    """Where a program answers for its metrics, and whether it is ready."""
    return settings.run / f"{program}.metrics.sock"


def _front_door(settings: Settings, token: OutpostToken | None) -> Program:
    listeners = ("--http", str(settings.http), "--https", str(settings.https))
    return _outpost(settings, PROXY, token, ("--state", str(front_door_state(settings)), *listeners))


def _ldap(settings: Settings, token: OutpostToken, demo: Demo) -> Program:
    listeners = ("--ldap", f"127.0.0.1:{demo.ldap}", "--ldaps", f"127.0.0.1:{demo.ldaps}")
    return _outpost(settings, LDAP, token, ("--state", str(_ldap_state(settings)), *listeners))


def _outpost(settings: Settings, kind: str, token: OutpostToken | None, flags: tuple[str, ...]) -> Program:
    """An outpost; its program is called like its type."""
    metrics = metrics_socket(settings, kind)
    return Program(
        name=kind,
        arguments=python("-m", "dataplane.main", kind, *flags, "--metrics", f"unix:{metrics}"),
        environment=partial(_outpost_environment, settings, token),
        metrics=metrics,
        stage=Stage.FRONT,
    )


def front_door_state(settings: Settings) -> Path:
    """Its state folder."""
    return settings.data / "outposts" / "embedded"


def _ldap_state(settings: Settings) -> Path:
    return settings.data / "outposts" / "demo-ldap"


def _control_environment(settings: Settings) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    return {**kept, "GARRISON_DATA": str(settings.data), "GARRISON_URL": settings.url}


def _outpost_environment(settings: Settings, token: OutpostToken | None) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in OF_CONTROL}
    secret = token.take() if token is not None else None
    return {
        **kept,
        **({"AUTHENTIK_TOKEN": secret} if secret is not None else {}),
        "AUTHENTIK_HOST": settings.url,
        "GARRISON_CONTROL_SOCKET": str(settings.run / "web.sock"),
        "GARRISON_LINK": loopback(settings.link),
    }


def loopback(listen: Listen) -> str:
    """The address at which this machine itself reaches a listener."""
    loopback = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
    return str(Listen(host=loopback.get(listen.host, listen.host), port=listen.port))

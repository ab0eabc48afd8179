"""Which programs `garrison serve` keeps running, with which command lines and which environment.

Each is told what it needs and no more: the front door faces the network and gets neither key nor database.
"""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from control.main.front_door import FrontDoorToken
from control.serve.demo.setup import Demo
from control.serve.programs import Program, Stage, python
from control.settings import Listen, Settings

PRIVATE = ("GARRISON_BOOTSTRAP_PASSWORD",)
# What the front door has no business to know.
OF_CONTROL = (*PRIVATE, "GARRISON_SECRET_KEY", "GARRISON_DATABASE_URL", "AUTHENTIK_TOKEN")


def programs_of(settings: Settings, token: FrontDoorToken, demo: Demo | None, web: int) -> tuple[Program, ...]:
    """The programs of this machine; `web` is the descriptor of the web process's socket."""
    run_folder = settings.run
    control = partial(_control_environment, settings)
    ports = ("--https", str(settings.https), "--link", str(settings.link))
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
            name="proxy",
            arguments=_front_door(settings),
            environment=partial(_front_door_environment, settings, token),
            metrics=run_folder / "proxy.metrics.sock",
            stage=Stage.FRONT,
        ),
    ]
    return (*programs, demo.program(loopback(settings.http))) if demo is not None else tuple(programs)


def _front_door(settings: Settings) -> tuple[str, ...]:
    listeners = ("--http", str(settings.http), "--https", str(settings.https))
    metrics = ("--metrics", f"unix:{settings.run / 'proxy.metrics.sock'}")
    return python("-m", "dataplane.main", "proxy", "--state", str(front_door_state(settings)), *listeners, *metrics)


def front_door_state(settings: Settings) -> Path:
    """Its state folder."""
    return settings.data / "outposts" / "embedded"


def _control_environment(settings: Settings) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    return {**kept, "GARRISON_DATA": str(settings.data), "GARRISON_URL": settings.url}


def _front_door_environment(settings: Settings, token: FrontDoorToken) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in OF_CONTROL}
    secret = token.take() if settings.embedded else None
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

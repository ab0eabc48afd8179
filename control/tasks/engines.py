"""Engines by type: how each is reached, asked, and what is rendered for it. Another type is another row of KINDS.

What is stored of an integration becomes a connection here; the SSH host key that is shown first is pinned here too.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from uuid import UUID

from control.domain.integration import Integration, IntegrationHealth, IntegrationType
from control.fleet.integrations import access_of
from control.fleet.launch import Launch, Sites
from control.integrations.docker.connect import Connection, connect
from control.integrations.docker.events import follow
from control.integrations.docker.preflight import preflight
from control.integrations.docker.render import render
from control.integrations.docker.target import DockerTarget
from control.integrations.model import Checked, Target, TargetAway, Wanted
from control.store import SYSTEM, Store, Unit

HOST_KEY_CHANGED = "host_key_changed"

IsReady = Callable[[str], bool]
"""Whether control's own link knows the object of that id as an instance that is up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that answers. `host_key` is what its SSH server showed.

    `follow` yields the owners of what changes there, until its event is set and, from another thread, `cut` called.
    """

    target: Target
    host_key: str
    preflight: Callable[[], Checked]
    follow: Callable[[Event], Iterator[UUID]]
    cut: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKind:
    """What is particular to a type of engines. `open` raises TargetAway, as does all that is done there."""

    open: Callable[[Connection, IsReady], AbstractContextManager[Engine]]
    render: Callable[[Launch, Sites, frozenset[str]], tuple[Wanted, ...]]


@contextmanager
def _open_docker(connection: Connection, is_ready: IsReady) -> Iterator[Engine]:
    with connect(connection) as engine:
        yield Engine(
            target=DockerTarget(engine, is_ready),
            host_key=engine.host_key,
            preflight=partial(preflight, engine),
            follow=partial(follow, engine),
            cut=engine.cut,
        )


KINDS: dict[IntegrationType, EngineKind] = {
    IntegrationType.DOCKER: EngineKind(open=_open_docker, render=render),
}


def nobody_is_ready(_key: str) -> bool:
    """For work that starts nothing."""
    return False


@contextmanager
def open_engine(
    store: Store,
    integration: Integration,
    ssh_config: Path | None,
    is_ready: IsReady = nobody_is_ready,
) -> Iterator[Engine]:
    """Reach an integration, with the certificates that are stored just now. Raises TargetAway.

    An SSH host key that is seen for the first time is kept, and any other one refused from then on.
    """
    with store.read() as unit:
        connection = connection_of(unit, integration, ssh_config)
    with KINDS[integration.type].open(connection, is_ready) as engine:
        if engine.host_key and not connection.host_key:
            _pin(store, integration, engine.host_key)
        yield engine


def connection_of(unit: Unit, integration: Integration, ssh_config: Path | None) -> Connection:
    """All that it takes to reach an integration. The file of the user is asked where nothing was chosen to show."""
    access = access_of(unit, integration)
    return Connection(
        url=str(access.url),
        ca=access.ca,
        certificate=access.certificate,
        key=access.key,
        host_key=access.host_key,
        ssh_config=ssh_config if integration.tls_authentication is None else None,
    )


def _pin(store: Store, integration: Integration, shown: str) -> None:
    """Keep the first host key. Raises TargetAway where somebody else was first, and was shown another one."""
    with store.write(SYSTEM) as unit:
        if unit.integrations.find(integration.id) is None:
            return
        known = unit.integration_healths.find(integration.id)
        fresh = IntegrationHealth(id=integration.id, healthy=False, checked=unit.now, since=unit.now)
        pinned = known.host_key if known is not None else ""
        if not pinned:
            unit.integration_healths.save([replace(known or fresh, host_key=shown)])
    if pinned not in ("", shown):
        raise TargetAway(HOST_KEY_CHANGED, shown)

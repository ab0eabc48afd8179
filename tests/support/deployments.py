"""Engines, and what lies on them, as looks at them leave it: for pages that tell of them."""

from base64 import b64encode
from dataclasses import replace
from uuid import uuid4

from control.domain.integration import Deployment, DeploymentState, Integration, IntegrationHealth
from control.domain.outpost import Outpost
from control.domain.task import TaskKind
from control.fleet.integrations import create_integration
from control.store import Store
from tests.support.stores import ADMIN


def host_key(letter: str) -> str:
    """An SSH host key as known_hosts has it."""
    return "ssh-ed25519 " + b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + letter.encode() * 32).decode()


def make_integration(store: Store, name: str = "rack", **fields: object) -> Integration:
    """A stored integration of a local socket."""
    with store.write(ADMIN) as unit:
        return create_integration(unit, {"name": name, "url": f"unix:///run/{uuid4().hex}.sock", **fields})


def set_health(store: Store, integration: Integration, **fields: object) -> IntegrationHealth:
    """What the last look has shown: all well unless told otherwise."""
    with store.write(ADMIN) as unit:
        usual = {"healthy": True, "checked": unit.now, "since": unit.now, "version": "28.5.1"}
        health = IntegrationHealth(id=integration.id, **{**usual, **fields})  # type: ignore[arg-type] # by keyword
        unit.integration_healths.save([health])
    return health


def place(store: Store, outpost: Outpost, integration: Integration) -> Outpost:
    """The outpost, to be deployed there."""
    with store.write(ADMIN) as unit:
        return unit.outposts.update(replace(unit.outposts.get(outpost.id), integration=integration.id))


def deploy(store: Store, outpost: Outpost, integration: Integration, **fields: object) -> Deployment:
    """That it lies there, well unless told otherwise."""
    with store.write(ADMIN) as unit:
        usual = {"name": outpost.name, "state": DeploymentState.DEPLOYED, "image": "sha256:" + "ab" * 32}
        times = {"created": unit.now, "checked": unit.now, "changed": unit.now}
        values = {**usual, **times, **fields}
        made = Deployment(id=uuid4(), integration=integration.id, outpost=outpost.id, **values)  # type: ignore[arg-type]  # of any kind
        return unit.deployments.add(made)


def fill_engine(store: Store, outpost: Outpost, name: str = "rack") -> Integration:
    """An engine in trouble with the outpost on it, and another where it is left; `name` is in all free text."""
    made = make_integration(store, name, url=f"ssh://{uuid4().hex[:12]}.example.com")
    before = make_integration(store, f"{name} before")
    keys = {"host_key": host_key("a"), "offered_key": host_key("b")}
    set_health(store, made, healthy=False, error="host_key_changed", detail=name, **keys)
    set_health(store, before, healthy=False, error=name, detail=name, version=name, missing=("containers kill",))
    deploy(store, place(store, outpost, made), made, state=DeploymentState.FAILED, error="no_image", detail=name)
    deploy(store, outpost, before, state=DeploymentState.LEAVING, error=name)
    with store.write(ADMIN) as unit:
        unit.runs.submit(TaskKind.CHECK, name, made.id, name)
    return made

"""From the commit of an outpost to its container at work, beside Docker's own command; and what a look at an engine
with a hundred outposts costs when there is nothing to do, beside Docker's own look at the same containers.

The engine is a real one, Debian's dockerd. The outposts of the first part are real, with the image that we build; those
of the second part are containers that sleep.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from control.domain.integration import DeploymentState, Integration
from control.domain.outpost import InstanceState
from control.domain.task import Cause, TaskKind, TaskRun
from control.fleet.integrations import create_integration
from control.fleet.launch import Home
from control.fleet.outposts import create_outpost
from control.integrations.docker.connect import Connection, connect
from control.integrations.docker.spec import creation
from control.settings import Given, read_settings
from control.settings.opening import open_store
from control.store import Actor, Store
from control.tasks import places, surveying
from control.tasks.context import Hand, Means, Work
from control.tasks.wanted import desires
from control.tasks.watching import Watcher
from tests.bench.samples import median, spread
from tests.support.engine import GATEWAY, Engine, import_base, running_engine
from tests.support.engine_images import import_images
from tests.support.garrison import Garrison, short_folder
from tests.support.garrison_docs import ROOT
from tests.support.networks import new_network
from tests.support.peers_program import eventually, free_port
from tests.support.stores import make_store

OUTPOSTS, PASSES, CREATED = 100, 10, 7
IMAGE, IDLE = "garrison-outpost:0.1.0", "idle:1"
BENCH = Actor(name="bench")
MEANS = Means(home=Home(url="https://garrison.test", version="1.0"))
CONFIG = {"container_image": IDLE, "docker_map_ports": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployments:
    """Lists of milliseconds."""

    created: list[float]
    """From the commit to an instance that is connected, its container's row written."""
    bare: list[float]
    """`docker run` of the same image until it runs."""
    passes: list[float]
    inspected: list[float]
    """Docker's own command on the same containers: all of them listed, and inspected."""
    looks: list[float]
    """The watcher's look after a change of one outpost."""


def measure() -> Deployments:
    """Everything, on one engine."""
    with (
        short_folder() as folder,
        new_network() as network,
        network.entered(),
        running_engine(folder, network) as engine,
    ):
        import_images(engine, folder)
        with many(engine, folder) as (store, integration):
            passes = [_timed(lambda: _survey(store, integration)) for _ in range(PASSES)]
            inspected = [_timed(lambda: _inspect(engine)) for _ in range(PASSES)]
            looks = _looks(store)
        import_base(engine, folder / "base.tar")
        engine.run("make", "image", f"ARGS=--quiet {engine.build_arguments()}", folder=ROOT)
        return Deployments(
            created=_created(engine, folder),
            bare=[_timed(lambda: _run_bare(engine)) for _ in range(CREATED)],
            passes=passes,
            inspected=inspected,
            looks=looks,
        )


def _timed(call: Callable[[], None]) -> float:
    began = time.monotonic()
    call()
    return (time.monotonic() - began) * 1000


@contextmanager
def many(engine: Engine, folder: Path) -> Iterator[tuple[Store, Integration]]:
    """A database with outposts that all lie on the engine as wanted."""
    # What comes behind it, the outpost's type, is no argument of `sleep`.
    lines = 'FROM plain:1\\nENTRYPOINT ["/bin/sh", "-c", "sleep 86400"]'
    engine.run("sh", "-euc", f"printf '{lines}' | docker build --quiet --tag {IDLE} -")
    store = make_store(folder / "many.db", lambda: datetime.now(UTC), lambda: None)
    url = engine.environment["DOCKER_HOST"]
    with store.write(BENCH) as unit:
        integration = create_integration(unit, {"name": "bench", "url": url})
        made = [
            create_outpost(unit, {"name": f"edge-{at:03}", "type": "proxy", "integration": "bench", "config": CONFIG})
            for at in range(OUTPOSTS)
        ]
        wanted = desires(unit, MEANS.home, made)
        for key, desire in wanted.items():
            places.settle(unit, key, desire)
    with connect(Connection(url=url)) as connected:
        for desire in wanted.values():
            for each in desire.wanted:
                connected.start(connected.create(creation(each), each.name))
    _survey(store, integration)
    yield store, integration
    engine.run("sh", "-euc", "docker rm --force $(docker ps --quiet --all) > /dev/null")


def _survey(store: Store, integration: Integration) -> None:
    now = datetime.now(UTC)
    run = TaskRun(id=uuid4(), kind=TaskKind.SURVEY, subject=integration.id, cause=Cause.SCHEDULE, created=now, due=now)
    hand = Hand(run, lambda: datetime.now(UTC))
    work = Work(run=run, store=store, means=MEANS, now=lambda: datetime.now(UTC), hand=hand)
    result = surveying.run(work)
    assert result == {"outposts": OUTPOSTS, "deploys": 0}, result


def _inspect(engine: Engine) -> None:
    engine.run("sh", "-euc", "docker inspect $(docker ps --quiet --all --filter label=io.goauthentik.outpost-uuid)")


def _looks(store: Store) -> list[float]:
    watcher = Watcher(store, MEANS.home)
    watcher.look()
    found = []
    for at in range(PASSES):
        with store.write(BENCH) as unit:
            create_outpost(unit, {"name": f"another-{at}", "type": "proxy"})
        found.append(_timed(watcher.look))
    return found


def _created(engine: Engine, folder: Path) -> list[float]:
    http, link = free_port(), free_port()
    own = {"AUTHENTIK_OUTPOSTS__CONTAINER_IMAGE_BASE": IMAGE}
    flags = ("--http", f":{http}", "--link", f":{link}")
    garrison = Garrison(folder / "g", flags=flags, environment=own, http=http, link=link).start()
    url = engine.environment["DOCKER_HOST"]
    garrison.apply({"integrations": [{"name": "bench", "type": "docker", "url": url}]})
    store = open_store(read_settings(Given(data=str(garrison.data)), {}), migrate=False)
    try:
        return [_timed(partial(_create, store, garrison, f"edge-{at}")) for at in range(CREATED)]
    finally:
        garrison.stop()
        store.close()
        engine.run("sh", "-euc", "docker rm --force $(docker ps --quiet --all) > /dev/null")


def _create(store: Store, garrison: Garrison, name: str) -> None:
    config = {"authentik_host": f"http://{GATEWAY}:{garrison.http}", "docker_map_ports": False}
    with store.write(BENCH) as unit:
        made = create_outpost(unit, {"name": name, "type": "proxy", "integration": "bench", "config": config})
    eventually(lambda: _is_at_work(store, made.id), f"{name} is at work", within=120)


def _is_at_work(store: Store, outpost: UUID) -> bool:
    with store.read() as unit:
        rows, instances = unit.deployments.of_outpost(outpost), unit.instances.of_outpost(outpost)
    return [row.state for row in rows] == [DeploymentState.DEPLOYED] and [each.state for each in instances] == [
        InstanceState.CONNECTED
    ]


def _run_bare(engine: Engine) -> None:
    engine.run("docker", "run", "--detach", "--entrypoint", "/bin/sleep", IDLE, "86400")


def section(measured: Deployments) -> list[str]:
    """What the page says of it."""
    created = f"median **{median(measured.created) / 1000:.2f} s**, longest {max(measured.created) / 1000:.2f} s"
    survey = f"median **{median(measured.passes):,.0f} ms**, {spread(measured.passes)} ms"
    inspected = f"median {median(measured.inspected):,.0f} ms, {spread(measured.inspected)} ms"
    return [
        "## Deployments",
        "",
        "From the commit of a new outpost to its container at work, its instance connected and the deployment known as",
        f"healthy, {len(measured.created)} times on Docker with the image at hand: {created}.",
        f"`docker run` of a container that only sleeps takes {median(measured.bare):,.0f} ms on the same engine.",
        "",
        f"One survey of an engine with {OUTPOSTS} outposts and nothing to do: {survey}.",
        f"`docker ps` and `docker inspect` of the same containers by Docker's own command: {inspected}.",
        f"A look for changes after a commit that concerns outposts: median {median(measured.looks):,.1f} ms.",
        "",
    ]

"""Faults that nothing tells of: only keepalive finds out, on both ends, in time. As each takes long, all run at once.

Two are of a relay's making (acknowledged and not delivered; half-open), two happen below TCP, on machines of their own:
every packet is lost, and control has another address.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.interop.faults.stage import Healing, Stage, Trial, staged
from tests.support.garrison import Garrison, Outpost, short_folder
from tests.support.namespaces import machine
from tests.support.networks import new_network
from tests.support.peers_program import free_port
from tests.support.relay import Forward, HalfOpen, Hold, Line, Relay

pytestmark = pytest.mark.interop
Act = Callable[[], None]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """An installation that other machines reach, in a network of its own: the machine's own gets none of the cables."""
    http, link = free_port(), free_port()
    flags = ("--http", f"0.0.0.0:{http}", "--link", f"0.0.0.0:{link}")
    with (
        new_network() as network,
        network.entered(),
        short_folder() as folder,
        staged(folder, Garrison(folder / "garrison", flags=flags, http=http, link=link)) as stage,
    ):
        yield stage


@dataclass
class Fault:
    """One at its own edge, with what begins and what ends it."""

    trial: Trial
    begin: Act
    end: Act

    def run(self) -> Healing:
        """Have it, until both ends know."""
        began = time.monotonic()
        self.begin()
        with ThreadPoolExecutor() as pool:
            noticed = pool.submit(self.trial.notices, began)
            self.trial.disturb()
            self.trial.is_explained(self.trial.tries_to_sign_in())
            noticed.result()
        assert not self.trial.is_locked_out()
        self.end()
        return self.trial.heals(time.monotonic())


def of_relay(stage: Stage, name: str, line: Line) -> Fault:
    edge = stage.edge(name.replace(" ", "-"))
    return Fault(Trial(stage, edge, name), lambda: edge.relay.become(line), lambda: edge.relay.become(Forward()))


def below_tcp(stage: Stage, stack: ExitStack) -> list[Fault]:
    lost, moved = stack.enter_context(machine(stage.folder)), stack.enter_context(machine(stage.folder))
    edges = []
    for name, where in (("lost", lost), ("moved", moved)):
        control = f"http://{where.CONTROL}:{stage.garrison.http}"
        environment = {"AUTHENTIK_HOST": control, "AUTHENTIK_HOST_BROWSER": stage.garrison.url}
        outpost = Outpost(
            stage.garrison, name, stage.folder / name, pinned=where.prefix, listen="0.0.0.0", environment=environment
        )
        for port in (outpost.http, outpost.metrics):
            # People and tests find it at the same port of our own machine.
            stack.enter_context(Relay((where.address, port), port))
        edges.append(stage.with_application(outpost))
    ports = (stage.garrison.http, stage.garrison.https, stage.garrison.link)
    return [
        Fault(Trial(stage, edges[0], "every packet lost"), lambda: lost.lose(ports), lost.find_again),
        Fault(Trial(stage, edges[1], "control has another address"), moved.move_control, moved.name_control),
    ]


def test_faults_that_nothing_tells_of(stage: Stage, healings: list[Healing]) -> None:
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        faults = [
            of_relay(stage, "black-holed", Hold()),
            of_relay(stage, "half-open", HalfOpen()),
            *below_tcp(stage, stack),
        ]
        healings += pool.map(Fault.run, faults)

"""Below TCP: every packet is lost, and control has another address. Both are run at once, on machines of their own."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.interop.faults.stage import Edge, Healing, Stage, Trial, staged
from tests.support.garrison import Garrison, Outpost, short_folder
from tests.support.namespaces import Machine, machine
from tests.support.peers_program import free_port
from tests.support.relay import Relay

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """An installation that other machines reach."""
    http, link = free_port(), free_port()
    flags = ("--http", f"0.0.0.0:{http}", "--link", f"0.0.0.0:{link}")
    with (
        short_folder() as folder,
        staged(folder, Garrison(folder / "garrison", flags=flags, http=http, link=link)) as stage,
    ):
        yield stage


@dataclass
class Away:
    """An outpost on a machine of its own."""

    machine: Machine
    edge: Edge


def away(stage: Stage, stack: ExitStack, name: str) -> Away:
    made = stack.enter_context(machine(stage.folder))
    environment = {
        "AUTHENTIK_HOST": f"http://{made.CONTROL}:{stage.garrison.http}",
        "AUTHENTIK_HOST_BROWSER": stage.garrison.url,
    }
    outpost = Outpost(
        stage.garrison, name, stage.folder / name, pinned=made.prefix, listen="0.0.0.0", environment=environment
    )
    for port in (outpost.http, outpost.metrics):
        # People and tests find it at the same port of our own machine.
        stack.enter_context(Relay((made.address, port), port))
    return Away(machine=made, edge=stage.with_application(outpost))


def test_packets_are_lost_and_control_has_moved(stage: Stage, healings: list[Healing]) -> None:
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        lost, moved = away(stage, stack, "lost"), away(stage, stack, "moved")
        ports = (stage.garrison.http, stage.garrison.link)
        faults: list[tuple[Trial, Callable[[], None], Callable[[], None]]] = [
            (
                Trial(stage, lost.edge, "every packet lost"),
                lambda: lost.machine.lose(ports),
                lost.machine.find_again,
            ),
            (
                Trial(stage, moved.edge, "control has another address"),
                moved.machine.move_control,
                moved.machine.name_control,
            ),
        ]

        def run(fault: tuple[Trial, Callable[[], None], Callable[[], None]]) -> Healing:
            trial, begin, end = fault
            began = time.monotonic()
            begin()
            noticed = pool.submit(trial.notices, began)
            trial.disturb()
            trial.is_explained(trial.tries_to_sign_in())
            noticed.result()
            assert not trial.is_locked_out()
            end()
            return trial.heals(time.monotonic())

        healings += pool.map(run, faults)

"""Control or the line dies in the middle of a push: an outpost has the whole of it or nothing, and gets it again."""

import json
import os
import signal
import time

import pytest

from tests.interop.faults.stage import Edge, Healing, Stage, Trial, metric
from tests.support.browser_http import Visitor
from tests.support.chaos import seconds_until, stays
from tests.support.peers_program import eventually
from tests.support.relay import CutAfter, Forward, HoldAfter

pytestmark = pytest.mark.interop
MANY = 200
SOME_OF_IT = 20_000  # bytes


@pytest.fixture(scope="module")
def edge(stage: Stage) -> Edge:
    """An outpost, and many applications that it doesn't serve yet."""
    names = [f"many{number}" for number in range(MANY)]
    hosts = {name: f"https://{name}.example.test" for name in names}
    stage.garrison.apply(
        {
            "providers": [
                {"name": name, "type": "proxy", "mode": "forward_single", "external_host": hosts[name]}
                for name in names
            ],
            "applications": [{"slug": name, "name": name, "provider": name} for name in names],
        }
    )
    return stage.edge("push")


def serve(stage: Stage, edge: Edge, count: int) -> None:
    """Have the edge serve its own application and so many more."""
    served = [edge.name, *(f"many{number}" for number in range(count))]
    stage.garrison.apply({"outposts": [{"name": edge.name, "type": "proxy", "providers": served}]})


def held(edge: Edge) -> int:
    return int(metric(edge.outpost.metrics, "garrison_outpost_resources"))


def has_all(edge: Edge) -> bool:
    return held(edge) > MANY


def has_none(edge: Edge) -> bool:
    # Its own application, its options, and what became of people.
    return held(edge) < 20


def in_the_middle_of_a_push(stage: Stage, edge: Edge) -> None:
    """A large push is on its way, has not arrived, and gets no further."""
    delivered = edge.relay.delivered
    edge.relay.become(HoldAfter(size=SOME_OF_IT))
    serve(stage, edge, MANY)
    eventually(lambda: edge.relay.delivered >= delivered + SOME_OF_IT, "the push is on its way")
    assert has_none(edge)


def test_the_line_is_cut_in_the_middle_of_a_push(stage: Stage, edge: Edge) -> None:
    edge.relay.become(CutAfter(size=30_000))
    serve(stage, edge, MANY)
    eventually(lambda: edge.relay.accepted > 1 and edge.is_connected(), "the outpost calls again")
    eventually(lambda: has_all(edge), "all of it is there")
    take_away(stage, edge)


@pytest.mark.parametrize("whom", ["link", "control"])
def test_sigkill_in_the_middle_of_a_push(stage: Stage, edge: Edge, healings: list[Healing], whom: str) -> None:
    trial = Trial(stage, edge, f"{whom} SIGKILLed in the middle of a push")
    in_the_middle_of_a_push(stage, edge)
    trial.disturb()
    if whom == "link":
        os.kill(process(stage, "link"), signal.SIGKILL)
        began = time.monotonic()
        lose_what_is_on_its_way(edge)
    else:
        stage.garrison.program.kill()
        lose_what_is_on_its_way(edge)
        eventually(lambda: not edge.is_connected(), "the outpost knows")
        eventually(lambda: Visitor().get(edge.site.url + "/").status == 503, "nobody is sent where nobody is")
        trial.is_explained(Visitor().get(edge.site.url + "/"))
        stays(lambda: has_none(edge) and not trial.is_locked_out(), "none of it is in force", 1.0)
        began = time.monotonic()
        stage.garrison.start()
    seconds_until(lambda: has_all(edge), "all of it is there", 30, began)
    healings.append(trial.heals(began))
    take_away(stage, edge)


def lose_what_is_on_its_way(edge: Edge) -> None:
    edge.relay.reset()
    edge.relay.become(Forward())


def take_away(stage: Stage, edge: Edge) -> None:
    serve(stage, edge, 0)
    eventually(lambda: has_none(edge), "as before")


def process(stage: Stage, name: str) -> int:
    """The pid of one of control's processes."""
    rows = json.loads((stage.garrison.data / "run" / "processes.json").read_text())
    return next(int(row["pid"]) for row in rows if row["name"] == name)

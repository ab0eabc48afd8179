"""Clocks ten minutes off: an outpost's, ahead and behind, and control's, which is set back while all run."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.interop.faults.stage import Edge, Stage, staged
from tests.interop.world import PASSWORD
from tests.support.browser_http import Visitor
from tests.support.chaos import seconds_until, stays
from tests.support.clocks import Clock
from tests.support.garrison import ADMIN, ADMIN_PASSWORD, Garrison, Outpost, short_folder
from tests.support.peers_program import eventually

pytestmark = pytest.mark.interop
TEN_MINUTES = 600.0
VALIDITY = 12
SOON = 10.0
"""Seconds; before the session would end by itself."""


def edge_with(stage: Stage, name: str, ahead: float, validity: str) -> Edge:
    """An outpost whose clock is off."""
    clock = Clock(stage.folder / f"clock-{name}", ahead)
    environment = {"AUTHENTIK_HOST_BROWSER": stage.garrison.url, **clock.environment}
    outpost = Outpost(stage.garrison, name, stage.folder / name, environment=environment)
    return stage.with_application(outpost, validity)


def test_sessions_end_when_they_should_at_outposts_whose_clocks_are_off(stage: Stage) -> None:
    clocks, began = {"ahead": TEN_MINUTES, "behind": -TEN_MINUTES}, time.monotonic()
    edges = [edge_with(stage, name, ahead, f"seconds={VALIDITY}") for name, ahead in clocks.items()]
    # Between the two readings of a clock lies how long a message is on its way.
    slack = 1 + time.monotonic() - began
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda edge: sessions_end_when_they_should(stage, edge), edges))
    for edge, way in zip(edges, ("ahead of", "behind"), strict=True):
        told = re.search(rf"(\d+) s {way} control's", edge.outpost.program.output())
        assert told
        assert int(told[1]) == pytest.approx(TEN_MINUTES, abs=slack)
        assert skew_shown(stage, edge.name) == pytest.approx(TEN_MINUTES, abs=slack)


def sessions_end_when_they_should(stage: Stage, edge: Edge) -> None:
    steady, leaver = stage.people(2)
    began = time.monotonic()
    probe = edge.probe(steady)
    locked_out = edge.probe(leaver)
    stage.garrison.apply({"users": [{"username": leaver, "active": False}]})
    seconds_until(lambda: locked_out.last.status == 401, "locked out", SOON)
    # Not ten minutes late.
    eventually(lambda: probe.last.status == 401, "the session ends", within=60)
    ended = probe.refused_at() or 0.0
    # Times are stored in whole seconds.
    assert ended - began > VALIDITY - 1
    assert not probe.let_in_after(ended)
    assert not [seen for seen in (*probe.answers, *locked_out.answers) if seen.status not in (200, 401)]
    probe.close()
    locked_out.close()


def skew_shown(stage: Stage, name: str) -> int:
    """What the admin interface says of the outpost's clock."""
    admin = Visitor()
    page = admin.sign_in(f"{stage.garrison.url}/admin/outposts/", ADMIN, ADMIN_PASSWORD)
    address = re.search(rf'href="(/admin/outposts/[^"]+)"[^>]*>\s*{name}', page.text)
    assert address, page.text
    found = re.search(r"clock off by (\d+) s", admin.get(stage.garrison.url + address[1]).text)
    assert found
    return int(found[1])


def test_an_outpost_whose_clock_is_too_far_off_is_told_to_set_it(stage: Stage) -> None:
    stage.garrison.apply({"outposts": [{"name": "lost", "type": "proxy", "providers": []}]})
    clock = Clock(stage.folder / "clock-lost", 3600)
    outpost = Outpost(stage.garrison, "lost", stage.folder / "lost", environment=clock.environment)
    program = outpost.launch()
    eventually(lambda: "set the clock" in program.output(), "it is said", alive=program)
    assert "the clocks differ by more than" in program.output()
    assert not outpost.is_ready()
    clock.set(0)
    eventually(outpost.is_ready, "it enrols once the clock is right", within=30)
    outpost.stop()


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[tuple[Stage, Clock]]:
    """An installation whose clock is ten minutes ahead, until it is set."""
    clock = Clock(tmp_path / "clock", TEN_MINUTES)
    with short_folder() as folder, staged(folder, Garrison(folder / "garrison", clock=clock.environment)) as stage:
        yield stage, clock


def test_controls_clock_is_set_back(moving: tuple[Stage, Clock]) -> None:
    """Who is locked out then had signed in "in the future", and is out all the same; whoever signs in anew stays in."""
    stage, clock = moving
    edge = stage.edge("edge")
    steady, leaver, returning = stage.people(3)
    probe, locked_out = edge.probe(steady), edge.probe(leaver)
    clock.set(0)
    stage.garrison.apply({"users": [{"username": leaver, "active": False}, {"username": returning, "name": "Back"}]})
    seconds_until(lambda: locked_out.last.status == 401, "locked out", SOON)
    stage.garrison.apply({"users": [{"username": leaver, "active": True}]})
    again = edge.probe(leaver)
    stays(lambda: again.last.status == 200, "the new session holds", 1.0)
    assert Visitor().sign_in(edge.site.url + "/", returning, PASSWORD).status == 200
    for each in (probe, again, locked_out):
        each.close()
    assert not probe.errors()
    assert not again.errors()
    assert not locked_out.let_in_after(locked_out.refused_at() or 0.0)
    assert edge.is_connected()
    assert edge.is_listed()

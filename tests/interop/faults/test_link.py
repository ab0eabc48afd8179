"""The link cut, slow, silent and half-open: people who are signed in notice nothing, and nothing is lost."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.interop.faults.stage import Healing, Stage, Trial
from tests.support.relay import Cut, Delay, Forward, HalfOpen, Hold, Line

pytestmark = pytest.mark.interop


def test_the_link_is_cut(stage: Stage, healings: list[Healing]) -> None:
    edge = stage.edge("cut")
    trial = Trial(stage, edge, "cut")
    edge.relay.become(Cut())
    trial.notices(time.monotonic(), within=2)
    trial.disturb()
    trial.is_explained(trial.tries_to_sign_in())
    assert not trial.is_locked_out()
    edge.relay.become(Forward())
    healings.append(trial.heals(time.monotonic()))


def test_the_link_is_slow(stage: Stage, healings: list[Healing]) -> None:
    """Half a second each way: all goes on, and a change is there after one way and not much more."""
    edge = stage.edge("slow")
    trial = Trial(stage, edge, "500 ms each way")
    edge.relay.become(Delay(seconds=0.5))
    began = time.monotonic()
    trial.disturb()
    healings.append(trial.heals(began, within=10))
    assert edge.is_connected()
    assert edge.relay.accepted <= 3


def test_the_link_is_silent(stage: Stage, healings: list[Healing]) -> None:
    """Black-holed above TCP, and half-open: no reset tells of it, only keepalive does."""
    lines: dict[str, Line] = {"black": Hold(), "half": HalfOpen()}
    faults = {"black": "black-holed", "half": "half-open"}
    trials = [Trial(stage, stage.edge(name), faults[name]) for name in lines]

    def run(trial: Trial) -> Healing:
        began = time.monotonic()
        trial.edge.relay.become(lines[trial.edge.name])
        noticed = pool.submit(trial.notices, began)
        trial.disturb()
        trial.is_explained(trial.tries_to_sign_in())
        noticed.result()
        assert not trial.is_locked_out()
        trial.edge.relay.become(Forward())
        return trial.heals(time.monotonic())

    with ThreadPoolExecutor() as pool:
        healings += pool.map(run, trials)

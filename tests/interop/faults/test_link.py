"""The link cut and slow: people who are signed in notice nothing, and nothing is lost."""

import time

import pytest

from tests.interop.faults.stage import Healing, Stage, Trial
from tests.support.relay import Cut, Delay, Forward

pytestmark = pytest.mark.interop


def test_the_link_is_cut(stage: Stage, healings: list[Healing]) -> None:
    edge = stage.edge("cut")
    trial = Trial(stage, edge, "cut")
    edge.relay.become(Cut())
    trial.notices(time.monotonic(), within=5)
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
    assert edge.outpost.program.output().count("connected to control") == 1

"""Old runs are forgotten, a part at a time."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from control.domain.task import RunFilter, TaskKind, TaskState
from control.integrations.model import Cancelled
from control.store import SYSTEM, Store
from control.tasks import cleaning
from control.tasks.context import Hand, Stop, Work
from tests.support.stores import Clock
from tests.support.tasks import MEANS


def clean(store: Store, clock: Clock) -> Hand:
    with store.write(SYSTEM) as unit:
        hand = Hand(unit.runs.submit(TaskKind.CLEAN_UP, "schedule"), clock)
    work = Work(run=hand.run, store=store, means=MEANS, now=clock, hand=hand)
    assert set(cleaning.run(work)) == {"forgotten"}
    return hand


def test_a_week_is_kept_and_of_routine_the_newest(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "PART", 3)
    for kind in [TaskKind.DEPLOY] * 25 + [TaskKind.CHECK] * 25:
        with store.write(SYSTEM) as unit:
            unit.runs.submit(kind, "schedule")
            run = unit.runs.claim({kind}, uuid4(), timedelta(seconds=30))
            assert run is not None
            unit.runs.end(replace(run, state=TaskState.DONE))
    assert said(clean(store, clock)) == [("runs_forgotten", {"count": "5"})]
    clock.advance(days=7)
    assert said(clean(store, clock)) == []
    clock.advance(seconds=1)
    assert said(clean(store, clock)) == [("runs_forgotten", {"count": "45"})]
    with store.read() as unit:
        assert unit.runs.page(RunFilter(state=TaskState.DONE), 0, 1)[1] == 0


def test_it_can_be_cancelled(store: Store, clock: Clock) -> None:
    with store.write(SYSTEM) as unit:
        hand = Hand(unit.runs.submit(TaskKind.CLEAN_UP, "schedule"), clock)
    hand.stop = Stop.ASKED
    with pytest.raises(Cancelled):
        cleaning.run(Work(run=hand.run, store=store, means=MEANS, now=clock, hand=hand))


def said(hand: Hand) -> list[tuple[str, Mapping[str, str]]]:
    return [(line.code, line.values) for line in hand.lines]

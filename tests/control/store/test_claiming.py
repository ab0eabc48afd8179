"""No integration takes all hands: a few runs go on at each, fewer where it is away, and checks go free."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from control.domain.integration import Integration, IntegrationHealth
from control.domain.outpost import Outpost
from control.domain.task import TaskKind, TaskRun, TaskState
from control.fleet.outposts import create_outpost, remove_outpost
from control.store import Store
from control.store.claiming import MOST_AWAY, MOST_THERE
from tests.support import builders
from tests.support.stores import ADMIN, Clock

KINDS = frozenset(TaskKind)


@pytest.fixture
def slow(store: Store) -> Integration:
    return integration(store, "slow")


@pytest.fixture
def quick(store: Store) -> Integration:
    return integration(store, "quick")


def integration(store: Store, name: str) -> Integration:
    with store.write(ADMIN) as unit:
        return unit.integrations.add(builders.integration(name))


def outposts(store: Store, at: Integration, count: int) -> list[Outpost]:
    with store.write(ADMIN) as unit:
        return [
            create_outpost(unit, {"name": f"{at.name}-{number}", "type": "proxy", "integration": at.name})
            for number in range(count)
        ]


def submit(store: Store, kind: TaskKind, *subjects: UUID | None) -> None:
    with store.write(ADMIN) as unit:
        for subject in subjects:
            unit.runs.submit(kind, "change", subject)


def claims(store: Store) -> list[TaskRun]:
    """All that may be done at once."""
    with store.write(ADMIN) as unit:
        return [*iter(lambda: unit.runs.claim(KINDS, uuid4(), timedelta(seconds=30)), None)]


def be_away(store: Store, at: Integration) -> None:
    with store.write(ADMIN) as unit:
        health = IntegrationHealth(id=at.id, healthy=False, checked=unit.now, since=unit.now, error="engine_away")
        unit.integration_healths.save([health])


def test_what_hangs_at_one_integration_holds_up_no_other(
    store: Store, clock: Clock, slow: Integration, quick: Integration
) -> None:
    hanging = outposts(store, slow, 10)
    submit(store, TaskKind.DEPLOY, *(each.id for each in hanging))
    submit(store, TaskKind.SURVEY, slow.id)
    clock.advance(seconds=1)
    [other] = outposts(store, quick, 1)
    submit(store, TaskKind.DEPLOY, other.id, uuid4())
    submit(store, TaskKind.CLEAN_UP, None)
    begun = claims(store)
    assert [run.kind for run in begun] == [TaskKind.DEPLOY] * (MOST_THERE + 2) + [TaskKind.CLEAN_UP]
    assert other.id in {run.subject for run in begun}
    with store.write(ADMIN) as unit:
        unit.runs.end(replace(begun[0], state=TaskState.DONE))
    assert len(claims(store)) == 1


def test_where_an_integration_is_away_one_finds_out_for_all(store: Store, slow: Integration) -> None:
    be_away(store, slow)
    submit(store, TaskKind.DEPLOY, *(each.id for each in outposts(store, slow, 5)))
    assert len(claims(store)) == MOST_AWAY


def test_a_check_goes_free_since_it_tells_whether_all_others_are_in_vain(store: Store, slow: Integration) -> None:
    submit(store, TaskKind.DEPLOY, *(each.id for each in outposts(store, slow, MOST_THERE)))
    assert len(claims(store)) == MOST_THERE
    submit(store, TaskKind.CHECK, slow.id)
    submit(store, TaskKind.SURVEY, slow.id)
    assert [run.kind for run in claims(store)] == [TaskKind.CHECK]


def test_what_was_left_behind_counts_where_it_lies(store: Store, slow: Integration) -> None:
    leaving = outposts(store, slow, MOST_THERE + 1)
    with store.write(ADMIN) as unit:
        for each in leaving:
            unit.deployments.add(builders.deployment(each, slow))
            remove_outpost(unit, each)
    submit(store, TaskKind.DEPLOY, *(each.id for each in leaving))
    assert len(claims(store)) == MOST_THERE


def test_a_run_that_was_left_waits_for_nothing(store: Store, clock: Clock, slow: Integration) -> None:
    submit(store, TaskKind.DEPLOY, *(each.id for each in outposts(store, slow, MOST_THERE)))
    first = claims(store)
    be_away(store, slow)
    clock.advance(seconds=31)
    assert {run.id for run in claims(store)} == {run.id for run in first}


def test_a_clock_that_goes_back_leaves_nothing_for_later(store: Store, clock: Clock) -> None:
    queued, retried, left = uuid4(), uuid4(), uuid4()
    submit(store, TaskKind.DEPLOY, retried, left)
    first, _ = claims(store)
    with store.write(ADMIN) as unit:
        unit.runs.end(replace(first, state=TaskState.RETRYING, due=unit.now + timedelta(minutes=5)))
        unit.runs.submit(TaskKind.DEPLOY, "event", queued, due=unit.now + timedelta(seconds=5))
    assert claims(store) == []
    clock.advance(days=-2)
    assert {run.subject for run in claims(store)} == {queued, retried, left}
    assert claims(store) == []

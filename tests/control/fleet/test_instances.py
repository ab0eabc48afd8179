"""What pages say about instances, and how long history is kept."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from control.domain.outpost import Instance, InstanceState, Outpost, Rejection
from control.fleet.instances import fleet_health, forget_old, health, judge, mark_all_disconnected
from control.store import Store
from tests.support.fleet import deploy
from tests.support.stores import ADMIN, Clock


def instance(outpost: Outpost, seen: datetime, **fields: Any) -> Instance:
    usual = Instance(
        id=uuid4(),
        outpost=outpost.id,
        uid=uuid4().hex,
        state=InstanceState.CONNECTED,
        hostname="edge-1",
        version="1.0.0",
        last_seen=seen,
        applied_revision=5,
        wanted_revision=5,
    )
    return replace(usual, **fields)


@pytest.mark.parametrize(
    ("fields", "marks"),
    [
        ({}, {"healthy"}),
        ({"applied_revision": 4}, {"healthy", "behind"}),
        ({"version": "0.9.0"}, {"healthy", "outdated"}),
        ({"clock_skew": -61.0}, {"healthy", "skewed"}),
        ({"clock_skew": 59.0}, {"healthy"}),
        ({"last_error": "out of memory"}, set()),
        ({"rejections": (Rejection(key="provider/1", reason="no"),)}, set()),
        ({"state": InstanceState.DISCONNECTED, "applied_revision": 4}, set()),
    ],
)
def test_what_to_think_of_an_instance(store: Store, clock: Clock, fields: dict[str, Any], marks: set[str]) -> None:
    edge = deploy(store).outpost
    found = judge(edge, [instance(edge, clock.now, **fields)], "1.0.0", clock.now)
    (view,) = found.instances
    assert {name for name in ("healthy", "behind", "outdated", "skewed") if getattr(view, name)} == marks
    assert (found.healthy, found.unhealthy) == (int("healthy" in marks), int("healthy" not in marks))


def test_options_that_cannot_be_used_are_an_error_of_every_instance(store: Store, clock: Clock) -> None:
    edge = replace(deploy(store).outpost, config={"log_level": "shout"})
    found = judge(edge, [instance(edge, clock.now)], "1.0.0", clock.now)
    (view,) = found.instances
    assert "it gets no updates" in view.instance.last_error
    assert "log_level" in view.instance.last_error
    assert found.unhealthy == 1


@pytest.mark.parametrize(("silent", "state"), [(149, InstanceState.CONNECTED), (151, InstanceState.DISCONNECTED)])
def test_a_connected_instance_that_is_silent_is_gone(
    store: Store, clock: Clock, silent: int, state: InstanceState
) -> None:
    edge = deploy(store).outpost
    last_seen = clock.now - timedelta(seconds=silent)
    (view,) = judge(edge, [instance(edge, last_seen)], "1.0.0", clock.now).instances
    assert view.instance.state is state


def test_an_outpost_is_told_with_its_instances_the_connected_first(store: Store, clock: Clock) -> None:
    edge, idle = deploy(store).outpost, deploy(store, "idle", ()).outpost
    gone = instance(edge, clock.now - timedelta(days=1), hostname="a", state=InstanceState.DISCONNECTED)
    here = instance(edge, clock.now, hostname="b")
    with store.write(ADMIN) as unit:
        unit.instances.save([gone, here])
    with store.read() as unit:
        assert [view.instance for view in health(unit, edge, "1.0.0").instances] == [here, gone]
        assert [(each.outpost.name, each.last_seen) for each in fleet_health(unit, "1.0.0")] == [
            ("edge", clock.now),
            ("idle", None),
        ]
        assert health(unit, idle, "1.0.0").instances == ()


def test_history_is_kept_for_a_week(store: Store, clock: Clock) -> None:
    edge = deploy(store).outpost
    old = instance(edge, clock.now - timedelta(days=7, seconds=1), state=InstanceState.DISCONNECTED)
    recent = instance(edge, clock.now - timedelta(days=6), state=InstanceState.DISCONNECTED)
    here = instance(edge, clock.now - timedelta(days=30))
    with store.write(ADMIN) as unit:
        unit.instances.save([old, recent, here])
        forget_old(unit)
    with store.read() as unit:
        assert {each.id for each in unit.instances.all()} == {recent.id, here.id}


def test_after_a_crash_nobody_is_connected(store: Store, clock: Clock) -> None:
    edge = deploy(store).outpost
    here = instance(edge, clock.now, connected_since=clock.now, last_error="why")
    with store.write(ADMIN) as unit:
        unit.instances.save([here])
        mark_all_disconnected(unit)
    with store.read() as unit:
        expected = replace(here, state=InstanceState.DISCONNECTED, connected_since=None)
        assert unit.instances.all() == [expected]

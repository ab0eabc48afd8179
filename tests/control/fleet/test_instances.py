"""What pages say about instances, and how long history is kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from control.domain.errors import Invalid, NotFound
from control.domain.outpost import Instance, InstanceEvent, InstanceEventKind, InstanceState, Outpost, Rejection
from control.fleet.instances import (
    MOST_GONE,
    ask_drain,
    find_objection_to_protocol,
    fleet_health,
    forget_instance,
    forget_old,
    health,
    history,
    judge,
    mark_abandoned,
)
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
        ({"version": "1.0.0rc1"}, {"healthy", "outdated"}),
        ({"version": "1.10.0"}, {"healthy", "outdated", "newer"}),
        ({"version": "mine"}, {"healthy", "outdated"}),
        ({"protocol": 0}, {"healthy", "unsupported"}),
        ({"protocol": 3}, {"healthy", "unsupported"}),
        ({"protocol": 2}, {"healthy"}),
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
    names = ("healthy", "behind", "outdated", "newer", "unsupported", "skewed")
    assert {name for name in names if getattr(view, name)} == marks
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
        mark_abandoned(unit, ())
    with store.read() as unit:
        expected = replace(here, state=InstanceState.DISCONNECTED, connected_since=None)
        assert unit.instances.all() == [expected]
        (event,) = history(unit, edge, here.uid)
        assert (event.kind, event.detail) == (InstanceEventKind.DISCONNECTED, "control ended without a word")


def test_who_is_to_be_upgraded_is_said() -> None:
    served = "this control serves 1 to 2"
    assert find_objection_to_protocol(0) == f"speaks version 0 of the link's protocol; {served}: upgrade the outpost"
    assert find_objection_to_protocol(3) == f"speaks version 3 of the link's protocol; {served}: upgrade control"
    assert [find_objection_to_protocol(version) for version in (1, 2)] == ["", ""]


def test_a_drain_is_asked_for_once(store: Store, clock: Clock) -> None:
    edge = deploy(store).outpost
    here = instance(edge, clock.now)
    with store.write(ADMIN) as unit:
        unit.instances.save([here])
    with store.write(ADMIN) as unit:
        before = unit.revision()
        first = ask_drain(unit, edge, here.uid)
    assert (first.outpost, first.uid, first.asked) == (edge.id, here.uid, clock.now)
    clock.advance(minutes=2)
    with store.write(ADMIN) as unit:
        assert unit.revision() == before + 1
        assert ask_drain(unit, edge, here.uid) == first
    with store.read() as unit:
        assert unit.drains.all() == [first]
        assert unit.audit.latest(1)[0].kind == "drain"


def test_a_drain_that_nobody_carried_out_can_be_asked_for_anew(store: Store, clock: Clock) -> None:
    edge = deploy(store).outpost
    here = instance(edge, clock.now)
    with store.write(ADMIN) as unit:
        unit.instances.save([here])
        first = ask_drain(unit, edge, here.uid)
    clock.advance(minutes=11)
    with store.write(ADMIN) as unit:
        unit.instances.save([replace(here, last_seen=clock.now)])
        second = ask_drain(unit, edge, here.uid)
        assert second.id != first.id
        assert unit.drains.all() == [second]


@pytest.mark.parametrize(
    ("fields", "embedded", "code"),
    [
        ({"state": InstanceState.DISCONNECTED}, False, "not_connected"),
        ({"last_seen": datetime(2026, 11, 22, 11, tzinfo=UTC)}, False, "not_connected"),
        ({}, True, "embedded"),
    ],
)
def test_who_cannot_be_drained(
    store: Store, clock: Clock, fields: dict[str, Any], code: str, *, embedded: bool
) -> None:
    edge, west = deploy(store, embedded=embedded).outpost, deploy(store, "west", ("blog",)).outpost
    here = replace(instance(edge, clock.now), **fields)
    with store.write(ADMIN) as unit:
        unit.instances.save([here])
        with pytest.raises(Invalid) as error:
            ask_drain(unit, edge, here.uid)
        assert [problem.code for problem in error.value.problems] == [code]
        with pytest.raises(NotFound):
            ask_drain(unit, west, here.uid)


def test_an_instance_that_is_gone_can_be_forgotten(store: Store, clock: Clock) -> None:
    edge = deploy(store).outpost
    here, gone = instance(edge, clock.now), instance(edge, clock.now, state=InstanceState.DISCONNECTED)
    with store.write(ADMIN) as unit:
        unit.instances.save([here, gone])
        forget_instance(unit, edge, gone.uid)
        with pytest.raises(Invalid) as error:
            forget_instance(unit, edge, here.uid)
        with pytest.raises(NotFound):
            forget_instance(unit, edge, gone.uid)
    assert [problem.code for problem in error.value.problems] == ["still_connected"]
    with store.read() as unit:
        assert unit.instances.all() == [here]
        assert (unit.audit.latest(1)[0].action, unit.audit.latest(1)[0].target) == ("removed", gone.uid)


def happened(edge: Outpost, uid: str, at: datetime, detail: str) -> InstanceEvent:
    return InstanceEvent(id=uuid4(), outpost=edge.id, uid=uid, at=at, kind=InstanceEventKind.CONNECTED, detail=detail)


def test_history_is_told_the_newest_first_and_for_one_instance(store: Store, clock: Clock) -> None:
    edge = deploy(store).outpost
    events = [happened(edge, "u1", clock.now + timedelta(seconds=number), str(number)) for number in range(120)]
    with store.write(ADMIN) as unit:
        unit.instance_events.record([*events, happened(edge, "u2", clock.now, "another")])
    with store.read() as unit:
        assert history(unit, edge, "u1") == tuple(reversed(events))[:100]


def test_what_happened_a_week_ago_is_forgotten_and_so_are_old_wishes(store: Store, clock: Clock) -> None:
    edge = deploy(store).outpost
    here = instance(edge, clock.now)
    with store.write(ADMIN) as unit:
        unit.instances.save([here])
        ask_drain(unit, edge, here.uid)
        unit.instance_events.record([happened(edge, here.uid, clock.now, "long ago")])
    clock.advance(days=7, seconds=1)
    recent = happened(edge, here.uid, clock.now - timedelta(days=6), "lately")
    with store.write(ADMIN) as unit:
        unit.instance_events.record([recent])
        forget_old(unit)
    with store.read() as unit:
        assert history(unit, edge, here.uid) == (recent,)
        assert unit.drains.all() == []


def test_replicas_that_come_and_go_do_not_fill_the_list(store: Store, clock: Clock) -> None:
    edge = deploy(store).outpost
    gone = [
        instance(edge, clock.now - timedelta(minutes=number), state=InstanceState.DISCONNECTED)
        for number in range(MOST_GONE + 20)
    ]
    with store.write(ADMIN) as unit:
        unit.instances.save(reversed(gone))
        forget_old(unit)
    with store.read() as unit:
        assert {each.id for each in unit.instances.all()} == {each.id for each in gone[:MOST_GONE]}

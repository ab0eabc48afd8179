"""What outposts tell for the audit trail: kept once each, and believed no further than an outpost can know."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.domain.audit import as_json
from control.domain.outpost import Outpost, OutpostType
from control.domain.security import AuditEvent
from control.link.limits import Limits
from control.link.reporting import MOST_EVENTS, Known, audited, read_event
from control.store import Store
from protos.outpost.v1 import gate_pb2
from tests.support import builders
from tests.support.fleet import Deployed, deploy
from tests.support.links import Actress, Control, outpost
from tests.support.stores import ADMIN, Clock

ACTIONS = gate_pb2.OutpostEvent.Action
Play = Callable[[Actress], Awaitable[Any]]


def event(clock: Clock, **fields: Any) -> gate_pb2.OutpostEvent:
    """Somebody who was let in just now."""
    said = gate_pb2.OutpostEvent(**{"id": str(uuid4()), "action": ACTIONS.ACTION_ADMITTED, **fields})
    if "at" not in fields:
        said.at.FromDatetime(clock.now)
    return said


def play(control: Control, deployed: Deployed, work: Play) -> Any:
    """What comes of it, for an outpost that is connected."""
    given = control.enrol(deployed)

    async def played() -> Any:
        async with control.link() as link, outpost(link, given) as edge:
            return await work(edge)

    return asyncio.run(played())


def tell(control: Control, deployed: Deployed, *calls: Iterable[gate_pb2.OutpostEvent]) -> None:
    """Report, one call after the other."""

    async def work(edge: Actress) -> None:
        for events in calls:
            await edge.gate.Report(gate_pb2.ReportRequest(events=events))

    play(control, deployed, work)


def refused(control: Control, deployed: Deployed, *calls: Iterable[gate_pb2.OutpostEvent]) -> tuple[Any, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        tell(control, deployed, *calls)
    return error.value.code(), error.value.details() or ""


def told(store: Store) -> list[AuditEvent]:
    """What outposts told, the oldest first."""
    with store.read() as unit:
        return [each for each in reversed(unit.audit.latest(10_000)) if each.outpost]


def test_what_an_outpost_tells_is_kept(control: Control, clock: Clock) -> None:
    deployed = deploy(control.store)
    with control.store.write(ADMIN) as unit:
        alice = unit.users.add(builders.user("alice"))
    said = event(
        clock,
        provider=str(deployed.sites[0].provider.id),
        subject=str(alice.id),
        client_address="192.0.2.9",
        count=17,
        request_id="r-1",
    )
    clock.advance(seconds=30)
    tell(control, deployed, [said])
    (kept,) = told(control.store)
    assert kept == AuditEvent(
        id=uuid5(deployed.outpost.id, UUID(said.id).hex),
        at=clock.now - timedelta(seconds=30),
        recorded=clock.now,
        actor="alice",
        action="admitted",
        kind="application",
        target=str(deployed.sites[0].application.id),
        name="wiki",
        address="192.0.2.9",
        request_id="r-1",
        outpost="edge",
        count=17,
    )


def test_each_is_kept_once_however_often_it_is_told(control: Control, clock: Clock) -> None:
    deployed = deploy(control.store)
    first, second = event(clock, username="a"), event(clock, username="b")
    tell(control, deployed, [first, first], [first, second], [second])
    assert sorted(each.actor for each in told(control.store)) == ["a", "b"]


def test_the_same_event_in_other_spellings_is_the_same(control: Control, clock: Clock) -> None:
    deployed = deploy(control.store)
    key = uuid4()
    tell(control, deployed, [event(clock, id=spelling) for spelling in (str(key), key.hex.upper(), f"{{{key}}}")])
    assert len(told(control.store)) == 1


def test_many_that_tell_at_once(control: Control, clock: Clock) -> None:
    deployed = deploy(control.store)
    requests = [gate_pb2.ReportRequest(events=[event(clock, username=str(each)) for _ in range(20)]) for each in "abc"]

    async def work(edge: Actress) -> None:
        await asyncio.gather(*(edge.gate.Report(request) for request in requests))
        await asyncio.gather(*(edge.gate.Report(request) for request in requests))

    play(control, deployed, work)
    assert len(told(control.store)) == 60


def test_one_outpost_neither_overwrites_nor_suppresses_what_another_tells(control: Control, clock: Clock) -> None:
    edge, west = deploy(control.store), deploy(control.store, "west", ("blog",))
    stolen = event(clock, username="mallory")
    tell(control, west, [stolen])
    honest = event(clock, id=stolen.id, username="alice")
    tell(control, edge, [honest])
    # Nor by the id under which the other one's event is kept.
    tell(control, west, [event(clock, id=str(each.id), username="mallory") for each in told(control.store)])
    assert [(each.outpost, each.actor) for each in told(control.store) if each.outpost == "edge"] == [("edge", "alice")]
    assert {each.actor for each in told(control.store) if each.outpost == "west"} == {"mallory"}


@pytest.mark.parametrize("which", ["another outpost's", "unknown", "no id"])
def test_what_is_said_of_others_is_noted_and_not_believed(control: Control, clock: Clock, which: str) -> None:
    edge, west = deploy(control.store), deploy(control.store, "west", ("blog",))
    named = {"another outpost's": str(west.sites[0].provider.id), "unknown": str(uuid4()), "no id": "wi\nki"}[which]
    tell(control, edge, [event(clock, provider=named, username="alice", reason="because")])
    (kept,) = told(control.store)
    assert (kept.kind, kept.target, kept.name) == ("outpost", str(edge.outpost.id), "edge")
    about = "a provider" if which == "no id" else f"provider {named}"
    assert kept.reason == f"because; said of {about}, which this outpost doesn't serve"


@pytest.mark.parametrize(
    ("username", "actor"),
    [
        ("alice", "alice"),
        ("system", "anonymous"),
        (" cli ", "anonymous"),
        ("outpost/west", "anonymous"),
        ("", "anonymous"),
        ("a\nb\x1b[31m\u202ec", "a b\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}c"),
        ("x" * 1000, "x" * 150),
    ],
)
def test_nobody_becomes_one_of_our_own_by_typing_its_name(
    control: Control, clock: Clock, username: str, actor: str
) -> None:
    tell(control, deploy(control.store), [event(clock, username=username, subject="x", client_address="::1")])
    assert [each.actor for each in told(control.store)] == [actor]


def test_who_is_known_is_called_as_control_calls_them(control: Control, clock: Clock) -> None:
    deployed = deploy(control.store)
    with control.store.write(ADMIN) as unit:
        alice = unit.users.add(builders.user("alice"))
    known = event(clock, subject=str(alice.id), username="root")
    gone = event(clock, subject=str(uuid4()), username="bob")
    own = event(clock, action=ACTIONS.ACTION_EVENTS_LOST, count=5000)
    tell(control, deployed, [known, gone, own])
    assert sorted(each.actor for each in told(control.store)) == ["alice", "bob", "outpost/edge"]


def test_actions_and_outcomes(control: Control, clock: Clock) -> None:
    deployed = deploy(control.store)
    tell(control, deployed, [event(clock, action=action) for action in (*range(7), 99)])
    assert sorted((each.action, each.outcome) for each in told(control.store)) == [
        ("admitted", "success"),
        ("admitted_offline", "success"),
        ("events_lost", "failure"),
        ("misconfigured", "failure"),
        ("signed_out", "success"),
        ("turned_away", "failure"),
        ("unknown", "success"),
        ("unknown", "success"),
    ]


def test_what_has_yet_to_happen_happened_now(control: Control, clock: Clock) -> None:
    ahead, without = event(clock), event(clock)
    ahead.at.FromDatetime(clock.now + timedelta(days=400))
    without.ClearField("at")
    absurd = event(clock)
    absurd.at.seconds = 2**62
    tell(control, deploy(control.store), [ahead, without, absurd])
    assert [each.at for each in told(control.store)] == [clock.now] * 3


def test_what_is_older_than_what_is_kept_is_not_kept(control: Control, clock: Clock) -> None:
    deployed = deploy(control.store)
    old, young = event(clock, username="old"), event(clock, username="young")
    old.at.FromDatetime(clock.now - timedelta(days=31))
    young.at.FromDatetime(clock.now - timedelta(days=29))
    control.audit_kept = timedelta(days=30)
    assert counted(control, deployed, [old, young, event(clock, id="x"), young]) == {
        "kept": 1,
        "repeated": 1,
        "too_old": 1,
        "unreadable": 1,
    }
    assert [(each.actor, each.at) for each in told(control.store)] == [("young", clock.now - timedelta(days=29))]


def counted(control: Control, deployed: Deployed, events: Iterable[gate_pb2.OutpostEvent]) -> dict[str, float]:
    """What the metric says after they were told."""
    given = control.enrol(deployed)

    async def played() -> dict[str, float]:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.gate.Report(gate_pb2.ReportRequest(events=events))
            samples = link.parts.metrics.registry.collect()
        name = "garrison_link_outpost_events_total"
        return {each.labels["result"]: each.value for family in samples for each in family.samples if each.name == name}

    return asyncio.run(played())


def test_what_is_read_is_bounded(control: Control, clock: Clock) -> None:
    long = event(clock, reason="r" * 9000, request_id="i" * 9000, client_address="1" * 9000, username="u" * 9000)
    long.count = 2**32 - 1
    tell(control, deploy(control.store), [long])
    (kept,) = told(control.store)
    lengths = [len(text) for text in (kept.reason, kept.request_id, kept.address, kept.actor)]
    assert (lengths, kept.count) == ([400, 80, 0, 150], 2**31 - 1)


def test_too_many_in_a_call(control: Control, clock: Clock) -> None:
    code, words = refused(control, deploy(control.store), [event(clock)] * (MOST_EVENTS + 1))
    assert (code, words) == (grpc.StatusCode.INVALID_ARGUMENT, "1001 events; at most 1000 in a call")
    assert told(control.store) == []


def test_an_outpost_that_tells_too_much_is_held_off_and_the_others_are_not(control: Control, clock: Clock) -> None:
    edge, west = deploy(control.store), deploy(control.store, "west", ("blog",))
    control.limits = Limits(events=30, event_seconds=1000)
    code, words = refused(control, edge, *([event(clock) for _ in range(20)] for _ in range(3)))
    assert (code, "too much" in words) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
    assert len(told(control.store)) == 40
    tell(control, west, [event(clock)])
    assert len(told(control.store)) == 41


def test_strangers_tell_nothing(control: Control, clock: Clock) -> None:
    deployed = deploy(control.store)

    async def work(edge: Actress) -> None:
        with control.store.write(ADMIN) as unit:
            unit.tokens.remove(deployed.token)
        await edge.gate.Report(gate_pb2.ReportRequest(events=[event(clock)]))

    with pytest.raises(grpc.aio.AioRpcError) as error:
        play(control, deployed, work)
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert told(control.store) == []


def test_telling_disturbs_nobody(control: Control, clock: Clock) -> None:
    """No revision, nobody woken: outposts hold nothing that depends on it."""

    def look() -> tuple[int, int]:
        with control.store.read() as unit:
            return unit.revision(), control.wakes.count

    async def work(edge: Actress) -> list[tuple[int, int]]:
        before = look()
        await edge.gate.Report(gate_pb2.ReportRequest(events=[event(clock)]))
        return [before, look()]

    before, after = play(control, deploy(control.store), work)
    assert after == before
    assert len(told(control.store)) == 1


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "provider": st.text(),
        "subject": st.text(),
        "username": st.text(),
        "client_address": st.text(),
        "reason": st.text(),
        "request_id": st.text(),
        "count": st.integers(0, 2**32 - 1),
        "action": st.integers(-1, 9),
    },
)


@given(FIELDS)
def test_whatever_is_told_is_one_plain_line(fields: dict[str, Any]) -> None:
    clock = Clock()
    said = read_event(gate_pb2.OutpostEvent(id=str(uuid4()), **fields))
    assert said is not None
    edge = Outpost(id=uuid4(), name="edge", type=OutpostType.PROXY, service_account=uuid4(), created=clock.now)
    known = Known(outpost=edge, now=clock.now, oldest=None, usernames={}, places={})
    kept = audited(said, known)
    assert (kept.outpost, kept.at) == ("edge", clock.now)
    texts = (kept.actor, kept.action, kept.kind, kept.target, kept.name, kept.address, kept.reason, kept.request_id)
    assert all(text.isprintable() for text in texts)
    assert "\n" not in as_json(kept)

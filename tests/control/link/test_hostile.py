"""An outpost whose machine is in other hands, over real gRPC: what it says harms neither control nor the others."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from control.domain.outpost import Instance, InstanceEventKind, InstanceState
from control.fleet.instances import ask_drain
from control.link.limits import Limits
from control.link.revisions import Revisions
from control.link.server import Link
from control.store.engine import LOOK_SECONDS
from protos.outpost.v1 import gate_pb2, link_pb2
from tests.support.fleet import Deployed, deploy
from tests.support.links import Actress, Control, Credentials, eventually, outpost
from tests.support.stores import ADMIN

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
ESCAPES = "\x1b]0;owned\x07\x1b[2J\0\u202ereversed\u2066\x9b1m\r\nforged line\u2028"
UNSHOWN = set(ESCAPES) - set("]0;owned[2Jreversed1mforged line")


def stored(control: Control) -> list[Instance]:
    """The instances as pages and the command line show them."""
    with control.store.read() as unit:
        return list(unit.instances.all())


def find_stored(control: Control, deployed: Deployed) -> Instance | None:
    """The outpost's one instance, if the database has it."""
    return next((each for each in stored(control) if each.outpost == deployed.outpost.id), None)


def is_gone(instance: Instance) -> bool:
    """Whether it has left."""
    return instance.state is InstanceState.DISCONNECTED


async def refused_hello(link: Link, given: Credentials, **fields: Any) -> None:
    async with outpost(link, given) as edge:
        await edge.hello(**fields)
        assert (await edge.status())[0] is grpc.StatusCode.FAILED_PRECONDITION


async def neighbour_is_written(control: Control, link: Link, other: Deployed) -> None:
    """Another outpost is served, and the database says so."""
    async with outpost(link, control.enrol(other)) as neighbour:
        await neighbour.connect()
        await eventually(lambda: find_stored(control, other) is not None)


def test_numbers_that_no_column_holds_keep_nobody_from_being_written(control: Control) -> None:
    evil, good = deploy(control.store), deploy(control.store, "west", ("blog",))

    async def play() -> None:
        async with control.link() as link:
            await refused_hello(link, control.enrol(evil), protocol=2**32 - 1, revision=2**64 - 1)
            await neighbour_is_written(control, link, good)
            await eventually(lambda: find_stored(control, evil) is not None)

    asyncio.run(play())


@pytest.mark.parametrize("spoilt", [{"memory_bytes": 2**70}, {"hostname": "h" * 300}, {"build": "\0"}])
def test_a_row_that_the_database_cannot_take_is_dropped_alone(
    control: Control, caplog: pytest.LogCaptureFixture, spoilt: dict[str, Any]
) -> None:
    evil, good = deploy(control.store), deploy(control.store, "west", ("blog",))

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(evil)) as edge:
            await edge.connect()
            key = edge.key(evil)
            roster = link.parts.roster
            await eventually(lambda: key in roster.instances and not roster._urgent)
            # As if there were one more number, or a text, that is not looked at.
            roster._put(replace(roster.instances[key], **spoilt))
            roster._note(key, InstanceEventKind.FAILED, "told")
            await neighbour_is_written(control, link, good)
            # The neighbour has more to be written: what it applied, and that it went.
            await eventually(lambda: roster._urgent <= {key})

    asyncio.run(play())
    assert "the database can't hold what an instance says" in caplog.text
    found = find_stored(control, evil)
    assert found is not None
    with control.store.read() as unit:
        history = unit.instance_events.of_instance(evil.outpost.id, found.uid, 100)
    assert "told" in [event.detail for event in history]


def test_texts_of_a_refused_hello_are_bounded(control: Control) -> None:
    evil = deploy(control.store)

    async def play() -> None:
        async with control.link() as link:
            await refused_hello(link, control.enrol(evil), type="x" * (400 << 10), hostname="h" * 10_000)

    asyncio.run(play())
    (instance,) = stored(control)
    assert (len(instance.last_error) < 200, len(instance.hostname)) == (True, 255)
    with control.store.read() as unit:
        assert all(
            len(each.detail) < 200 for each in unit.instance_events.of_instance(instance.outpost, instance.uid, 9)
        )


def test_what_steers_a_terminal_reaches_neither_it_nor_the_log(
    control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    evil = deploy(control.store)
    said = dict.fromkeys(("hostname", "version", "build"), ESCAPES)

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, control.enrol(evil)) as edge:
                await edge.hello(**said)
                (config,) = await edge.config()
                await edge.applied(config.revision, refusals(edge, reason=ESCAPES))
                await edge.health(last_error=ESCAPES)
                key = edge.key(evil)
                await eventually(lambda: link.parts.roster.instances[key].last_error)
            await refused_hello(link, control.enrol(evil), type=ESCAPES)

    asyncio.run(play())
    with control.store.read() as unit:
        rows = [*unit.instances.all()]
        events = [each for row in rows for each in unit.instance_events.of_instance(row.outpost, row.uid, 100)]
    texts = [text for row in rows for text in (row.hostname, row.version, row.build, row.last_error)]
    texts += [rejection.reason for row in rows for rejection in row.rejections] + [event.detail for event in events]
    texts += [str(record.__dict__.get(name, "")) for record in caplog.records for name in ("reason", "resources")]
    assert any("owned" in text for text in texts)
    assert [text for text in texts if UNSHOWN & set(text)] == []


def refusals(edge: Actress, **fields: Any) -> tuple[link_pb2.Rejection, ...]:
    """One of each resource that the outpost was sent."""
    return tuple(link_pb2.Rejection(key=key, digest=digest, **fields) for key, digest in edge.held.items())


@pytest.mark.parametrize("seconds", [-62_135_596_800, 0, 253_402_300_799])
def test_times_at_the_ends_of_the_calendar_are_none(control: Control, seconds: int) -> None:
    evil = deploy(control.store)
    stamp = Timestamp(seconds=seconds)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(evil)) as edge:
            await edge.hello(started=stamp, clock=stamp)
            await edge.take()
            await edge.health(clock=stamp)
            key = edge.key(evil)
            await eventually(lambda: find_stored(control, evil) is not None)
            # What reckons with them is whether a wish to drain is meant for this run.
            with control.store.write(ADMIN) as unit:
                ask_drain(unit, evil.outpost, edge.uid)
            assert (await edge.hear()).command.WhichOneof("command") == "drain"
            known = link.parts.roster.instances[key]
            assert (known.started, known.clock_skew) == (None, 0.0)

    asyncio.run(play())


def test_refusals_count_for_what_was_sent_and_come_to_one_line(
    control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    evil = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(evil)) as edge:
            await edge.hello()
            (config,) = await edge.config()
            forged = (link_pb2.Rejection(key=f"{number}", digest="d") for number in range(9_000))
            long = link_pb2.Rejection(key="k" * 100_000, digest="d", reason="r")
            await edge.applied(config.revision, (*forged, long, *refusals(edge, reason="r" * 5_000)))
            key = edge.key(evil)
            await eventually(lambda: link.parts.roster.instances[key].rejections)
            rejections = link.parts.roster.instances[key].rejections
            assert {each.key for each in rejections} == {*edge.held}
            assert {len(each.reason) for each in rejections} == {1000}
            counted = link.parts.metrics.registry.get_sample_value("garrison_link_rejected_resources_total")
            assert counted == 9_001 + len(edge.held)

    asyncio.run(play())
    (line,) = (record for record in caplog.records if "refused resources" in record.getMessage())
    assert len(str(line.__dict__["resources"])) < 10_000


def test_a_stream_ends_with_its_certificate_though_nobody_commits(
    control: Control, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("control.link.watch.CLOCK_SECONDS", 0.05)
    # No commit is heard of, not even the enrolment's; and nobody looks, who would find that it has run out.
    monkeypatch.setattr(Revisions, "wake", lambda _: None)
    for kind in LOOK_SECONDS:
        monkeypatch.setitem(LOOK_SECONDS, kind, 3600.0)
    evil = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(evil)) as edge:
            await edge.connect()
            revisions = link.parts.revisions.state
            control.clock.advance(days=400)
            code, message = await edge.status()
            assert (code, message) == (grpc.StatusCode.UNAUTHENTICATED, "the certificate has expired")
            assert link.parts.revisions.state is revisions

    asyncio.run(play())
    (refused,) = (record for record in caplog.records if record.getMessage() == "refused a stream")
    assert refused.levelno == logging.INFO


def test_ever_new_instances_are_refused_and_not_listed(control: Control) -> None:
    evil, good = deploy(control.store), deploy(control.store, "west", ("blog",))
    control.limits = Limits(newcomers=3)

    async def play() -> None:
        async with control.link() as link:
            known = [control.enrol(evil) for _ in range(3)]
            for given in (*known, *known):
                async with outpost(link, given) as edge:
                    await edge.connect()
            async with outpost(link, control.enrol(evil)) as edge:
                await edge.hello()
                code, message = await edge.status()
                assert (code, "too many new instances" in message) == (EXHAUSTED, True)
            await neighbour_is_written(control, link, good)

    asyncio.run(play())
    assert sum(each.outpost == evil.outpost.id for each in stored(control)) == 3


def test_instances_that_are_gone_are_forgotten_when_others_come(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.fleet.instances.MOST_GONE", 5)
    monkeypatch.setattr("control.link.roster.MOST_NEW", 2)
    evil = deploy(control.store)

    async def play() -> None:
        async with control.link() as link:
            roster = link.parts.roster
            for _ in range(12):
                async with outpost(link, control.enrol(evil)) as edge:
                    await edge.connect()
                # Who is still here, or by the database, is none of those that are gone.
                await eventually(lambda: not roster._urgent and all(map(is_gone, roster.instances.values())))
            await eventually(lambda: len(roster.instances) <= 7)
            await eventually(lambda: len(stored(control)) <= 7)

    asyncio.run(play())


def test_what_no_browser_sends_is_not_redeemed(control: Control) -> None:
    deployed = deploy(control.store)
    provider = str(deployed.sites[0].provider.id)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            for name in ("code", "redirect_uri", "code_verifier"):
                request = gate_pb2.RedeemCodeRequest(provider=provider, **{name: "x" * 4097})
                answer = await edge.gate.RedeemCode(request)
                assert answer.refusal.reason == gate_pb2.Refusal.REASON_INVALID_CODE
            assert control.gatekeeper.asked == []

    asyncio.run(play())

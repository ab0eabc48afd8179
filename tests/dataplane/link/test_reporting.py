"""Telling control: batches in order over a real channel, and each of the ways in which control may not take one."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import pytest

from dataplane.gate import Event, EventAction
from dataplane.link import reporting
from dataplane.link.channel import gate_stub
from dataplane.link.events import EventJournal
from dataplane.link.reporting import MOST_BYTES, MOST_EVENTS, Reporter, cut, event_message
from dataplane.link.trail import REFUSED, Trail
from dataplane.link.world import World
from protos.outpost.v1 import gate_pb2, gate_pb2_grpc
from tests.support.loops import in_a_loop, until

Refusal = tuple[grpc.StatusCode, str] | None


@dataclass
class Control(gate_pb2_grpc.GateServicer):
    """Takes reports, but for what it refuses."""

    refusal: Callable[[gate_pb2.ReportRequest], Refusal] = lambda _: None
    asked: int = 0
    sizes: list[int] = field(default_factory=list)
    events: list[gate_pb2.OutpostEvent] = field(default_factory=list)
    silent: bool = False

    async def Report(  # noqa: N802  gRPC names it
        self,
        request: gate_pb2.ReportRequest,
        context: "grpc.aio.ServicerContext[gate_pb2.ReportRequest, gate_pb2.ReportResponse]",
    ) -> gate_pb2.ReportResponse:
        self.asked += 1
        refusal = self.refusal(request)
        if refusal:
            await context.abort(*refusal)
        self.sizes.append(len(request.events))
        self.events.extend(request.events)
        if self.silent:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "taken, but the answer is lost")
        return gate_pb2.ReportResponse()

    def unique(self) -> set[str]:
        """As control keeps them."""
        return {event.id for event in self.events}


@dataclass
class Rig:
    """A trail that is told to a control."""

    control: Control
    trail: Trail
    waits: list[float]


@asynccontextmanager
async def rig(folder: Path, control: Control) -> AsyncIterator[Rig]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0.001)

    world = replace(World(), sleep=sleep)
    trail = Trail(EventJournal(folder, b"k" * 32, os.urandom), world)
    trail.seal()
    server = grpc.aio.server()
    gate_pb2_grpc.add_GateServicer_to_server(control, server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        tasks = [asyncio.create_task(trail.keep())]
        tasks.append(asyncio.create_task(Reporter(trail, world).run(gate_stub(channel))))
        try:
            yield Rig(control, trail, waits)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    await server.stop(0)


def event(number: int, reason: str = "") -> Event:
    return Event(id=str(uuid.UUID(int=number)), at=1_800_000_000.25, action=EventAction.ADMITTED, reason=reason)


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


def ids(*numbers: int) -> set[str]:
    return {event(number).id for number in numbers}


@in_a_loop
async def test_events_arrive_in_order_and_are_forgotten(tmp_path: Path) -> None:
    async with rig(tmp_path, Control()) as subject:
        subject.trail.add(event(number) for number in range(2_500))
        await until(lambda: not subject.trail.waiting)
        await until(lambda: is_empty(tmp_path))
        assert [each.id for each in subject.control.events] == [event(number).id for number in range(2_500)]
        assert subject.control.sizes == [1_000, 1_000, 500]
        assert subject.trail.forwarded == 2_500
    assert is_empty(tmp_path)


def test_an_event_travels_whole() -> None:
    sent = Event(
        id=str(uuid.UUID(int=1)),
        at=1_800_000_000.25,
        action=EventAction.TURNED_AWAY,
        provider="p",
        subject="s",
        username="alice",
        client_address="192.0.2.7",
        reason="session ended",
        count=7,
        request_id="r",
    )
    message = gate_pb2.OutpostEvent.FromString(event_message(sent).SerializeToString())
    assert message.at.ToMicroseconds() == 1_800_000_000_250_000
    assert message.action == gate_pb2.OutpostEvent.ACTION_TURNED_AWAY
    assert (message.provider, message.subject, message.username) == ("p", "s", "alice")
    assert (message.client_address, message.reason, message.count) == ("192.0.2.7", "session ended", 7)
    assert message.request_id == "r"


@pytest.mark.parametrize("action", EventAction)
def test_each_action_has_its_number(action: EventAction) -> None:
    number = event_message(replace(event(1), action=action)).action
    assert gate_pb2.OutpostEvent.Action.Name(number) == f"ACTION_{action.name}"


def test_a_batch_fits_into_a_message() -> None:
    large = [event(number, reason="\N{OGHAM LETTER BEITH}" * 300) for number in range(MOST_EVENTS)]
    batch = cut(large, MOST_EVENTS)
    request = gate_pb2.ReportRequest(events=[message for _, message in batch])
    assert 100 < len(batch) < MOST_EVENTS
    assert request.ByteSize() <= MOST_BYTES
    assert len(cut([event(1, reason="x" * 2 * MOST_BYTES)], MOST_EVENTS)) == 1


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL]
)
@in_a_loop
async def test_what_control_can_not_take_now_it_takes_later(tmp_path: Path, code: grpc.StatusCode) -> None:
    control = Control()
    control.refusal = lambda _: (code, "later") if control.asked <= 3 else None
    async with rig(tmp_path, control) as subject:
        subject.trail.add([event(1)])
        await until(lambda: not subject.trail.waiting)
        assert [each.id for each in control.events] == [event(1).id]
        assert len(subject.waits) == 3
        assert subject.trail.lost == 0


@in_a_loop
async def test_what_was_taken_without_an_answer_is_told_again_by_the_same_ids(tmp_path: Path) -> None:
    async with rig(tmp_path, Control(silent=True)) as subject:
        subject.trail.add([event(1), event(2)])
        await until(lambda: len(subject.control.events) >= 6)
        subject.control.silent = False
        await until(lambda: not subject.trail.waiting)
        assert subject.control.unique() == ids(1, 2)
        assert subject.trail.forwarded == 2


@in_a_loop
async def test_an_older_control_is_asked_now_and_then(tmp_path: Path) -> None:
    control = Control(refusal=lambda _: (grpc.StatusCode.UNIMPLEMENTED, "Method not found!"))
    async with rig(tmp_path, control) as subject:
        subject.trail.add([event(1)])
        await until(lambda: len(subject.waits) >= 2)
        assert set(subject.waits) == {reporting.UNSUPPORTED}
        control.refusal = lambda _: None
        await until(lambda: not subject.trail.waiting)
        assert control.unique() == ids(1)


@in_a_loop
async def test_what_control_never_will_take_is_found_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    poison = ids(5, 611)

    def refuse(request: gate_pb2.ReportRequest) -> Refusal:
        if poison & {each.id for each in request.events}:
            return grpc.StatusCode.INVALID_ARGUMENT, "no"
        return None

    async with rig(tmp_path, Control(refusal=refuse)) as subject:
        subject.trail.add(event(number) for number in range(1_000))
        await until(lambda: not subject.trail.waiting)
        told = [each for each in subject.control.events if each.action == gate_pb2.OutpostEvent.ACTION_ADMITTED]
        assert len(told) == 998
        assert {each.id for each in told} == ids(*range(1_000)) - poison
        lost = [each for each in subject.control.events if each.action == gate_pb2.OutpostEvent.ACTION_EVENTS_LOST]
        assert [(each.reason, each.count) for each in lost] == [(REFUSED, 1)] * 2
        assert subject.trail.lost == 2
        assert subject.control.asked < 60
    named = [each.__dict__["event"] for each in caplog.records if "never will take" in each.message]
    assert {*named} == poison


@in_a_loop
async def test_a_control_that_refuses_everything_is_no_endless_loop(tmp_path: Path) -> None:
    control = Control(refusal=lambda _: (grpc.StatusCode.INVALID_ARGUMENT, "no"))
    async with rig(tmp_path, control) as subject:
        subject.trail.add([event(1), event(2)])
        await until(lambda: not subject.trail.waiting)
        assert subject.trail.lost == 4

"""What one outpost may take of the link, over real gRPC: its machine may be in other hands."""

import asyncio
import threading
import time
from contextlib import AsyncExitStack
from uuid import UUID

import grpc
import pytest

from control.auth.gatekeeper import Redemption
from control.domain.grant import IssuedSession, Refusal
from control.link.limits import Limits
from control.link.server import Link
from control.store import Actor
from protos.outpost.v1 import gate_pb2
from tests.support.fleet import deploy
from tests.support.links import Actress, Control, FakeGatekeeper, channel, eventually, issued_session, outpost

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def refused(link: Link, reason: str) -> float:
    """How often the link refused something for that reason."""
    return link.parts.metrics.registry.get_sample_value("garrison_link_refused_total", {"reason": reason}) or 0.0


def test_one_certificate_has_a_few_streams_however_many_it_opens(control: Control) -> None:
    edge, west = deploy(control.store), deploy(control.store, "west", ("blog",))
    given, other = control.enrol(edge), control.enrol(west)
    control.limits = Limits(streams_of_instance=3)

    async def play() -> None:
        async with control.link() as link, channel(link, given) as opened:
            # They say nothing, and would be waited for.
            streams = [Actress(opened, given.uid) for _ in range(50)]
            await eventually(lambda: refused(link, "too_many_streams_of_instance") == 47)
            await eventually(lambda: sum(stream.call.done() for stream in streams) == 47)
            ends = [stream for stream in streams if stream.call.done()]
            assert await ends[0].status() == (EXHAUSTED, "too many streams of instance: 3 at a time are served")
            async with outpost(link, other) as neighbour:
                await neighbour.connect()
            for stream in streams:
                stream.call.cancel()
            # Whoever leaves makes room, once the link has heard of it.
            key = (edge.outpost.id, given.uid)
            await eventually(lambda: not link.parts.watch._fleet.crowd._inside[key])
            async with outpost(link, given) as again:
                await again.connect()

    asyncio.run(play())


def test_one_outpost_has_so_many_instances(control: Control) -> None:
    edge, west = deploy(control.store), deploy(control.store, "west", ("blog",))
    control.limits = Limits(streams_of_outpost=2)

    async def play() -> None:
        async with control.link() as link, AsyncExitStack() as stack:
            for _ in range(2):
                await (await stack.enter_async_context(outpost(link, control.enrol(edge)))).connect()
            third = await stack.enter_async_context(outpost(link, control.enrol(edge)))
            assert (await third.status())[0] is EXHAUSTED
            assert refused(link, "too_many_streams_of_outpost") == 1
            neighbour = await stack.enter_async_context(outpost(link, control.enrol(west)))
            await neighbour.connect()

    asyncio.run(play())


def test_hellos_without_end_are_not_answered(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    control.limits = Limits(hellos=3)

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                # Each would have everything sent again.
                for _ in range(4):
                    edge.held = {}
                    await edge.hello()
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    # What was sent before comes first.
                    while await edge.call.read():
                        pass
                assert error.value.code() is EXHAUSTED
                assert (error.value.details() or "").startswith("too many Hellos: 3 at once")
            # Nor does it help to open another stream.
            async with outpost(link, given) as edge:
                await edge.hello()
                assert (await edge.status())[0] is EXHAUSTED
            assert refused(link, "too_many_hellos") == 2
            # Another instance is none the worse for it.
            async with outpost(link, control.enrol(deployed)) as other:
                await other.connect()

    asyncio.run(play())


def test_what_is_said_too_fast_is_read_no_faster(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    control.limits = Limits(messages=10, message_seconds=0.02)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.connect()
            begun = time.monotonic()
            for number in range(60):
                await edge.health(memory_bytes=number)
            (instance,) = link.parts.roster.instances
            await eventually(lambda: link.parts.roster.instances[instance].memory_bytes == 59)
            assert time.monotonic() - begun > 0.9

    asyncio.run(play())


class SlowGatekeeper(FakeGatekeeper):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__(answer=issued_session())
        self.slow: UUID | None = None
        self.go_on = threading.Event()

    def redeem_code(self, caller: Actor, redemption: Redemption) -> IssuedSession | Refusal:
        if redemption.provider == self.slow:
            self.go_on.wait(10)
        return super().redeem_code(caller, redemption)


def test_one_outposts_calls_hold_up_no_others(control: Control) -> None:
    edge, west = deploy(control.store), deploy(control.store, "west", ("blog",))
    gatekeeper = control.gatekeeper = SlowGatekeeper()
    gatekeeper.slow = edge.sites[0].provider.id
    control.limits = Limits(calls_of_outpost=4)

    def asked(provider: UUID) -> gate_pb2.RedeemCodeRequest:
        return gate_pb2.RedeemCodeRequest(provider=str(provider), code="c")

    async def play() -> None:
        async with (
            control.link() as link,
            outpost(link, control.enrol(edge)) as busy,
            outpost(link, control.enrol(west)) as other,
        ):
            calls = [asyncio.ensure_future(busy.gate.RedeemCode(asked(edge.sites[0].provider.id))) for _ in range(10)]
            try:
                await eventually(lambda: refused(link, "too_many_calls_of_outpost") == 6)
                answer = await other.gate.RedeemCode(asked(west.sites[0].provider.id), timeout=30)
                assert answer.session.identity.username == "alice"
            finally:
                gatekeeper.go_on.set()
            answers = await asyncio.gather(*calls, return_exceptions=True)
            failed = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
            assert {each.code() for each in failed} == {EXHAUSTED}
            assert len(failed) == 6

    asyncio.run(play())


def test_a_message_that_is_too_large_is_refused_and_logged(control: Control, caplog: pytest.LogCaptureFixture) -> None:
    given = control.enrol(deploy(control.store))

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                await edge.hello(hostname="x" * (512 * 1024))
                code, details = await edge.status()
                assert (code, "larger than max" in details) == (EXHAUSTED, True)
            async with outpost(link, given) as edge:
                await edge.connect()

    asyncio.run(play())
    assert "refused a stream" in caplog.text

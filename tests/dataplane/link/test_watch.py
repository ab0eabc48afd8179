"""The watcher in the test's own loop against real gRPC: its waits are virtual, its connections are not."""

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial

import grpc
import pytest

from dataplane.link.channel import USUAL, Transport
from dataplane.link.endings import MAX_ENDINGS, Ending, Endings
from dataplane.link.enrol import Enrolled, EnrolmentFailed, Failure, enrol
from dataplane.link.held import Change, Held, NotApplied, Rejection, changed
from dataplane.link.keeper import Keeper
from dataplane.link.messages import Vitals
from dataplane.link.stream import Context
from dataplane.link.target import Credentials, Target
from dataplane.link.watch import Watcher
from dataplane.link.world import World
from tests.dataplane.link.test_enrol import INSTANCE
from tests.support.fake_control import FakeControl, options
from tests.support.peers_program import free_port

PATIENCE = 30.0


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        yield running


class Outpost:
    """A receiver that takes everything, and the watcher that serves it."""

    def __init__(self, request: Callable[[], Awaitable[Enrolled]], transport: Transport = USUAL) -> None:
        self.held = Held()
        self.places: list[str] = []
        self.told: list[Ending] = []
        self.drained = asyncio.Event()
        self.failures_to_come = 0
        self.is_draining = False
        self.waits: list[float] = []
        world = World(sleep=self._sleep, uniform=self._longest)
        self.keeper = Keeper(request, world)
        self.context = Context(instance=INSTANCE, keeper=self.keeper, receiver=self, world=world, transport=transport)
        self.watcher = Watcher(self.context)

    async def _sleep(self, seconds: float) -> None:
        """Beats, renewals and retries of sign-outs sleep for real; the waits between connections don't."""
        if self.watcher.status.connected:
            await asyncio.sleep(seconds)
        else:
            await asyncio.sleep(0.01)

    def _longest(self, low: float, high: float) -> float:
        # Full jitter, but for whoever is not served.
        assert low in {0, 15}
        self.waits.append(high)
        return high

    async def apply(self, change: Change) -> tuple[Rejection, ...]:
        if self.failures_to_come:
            self.failures_to_come -= 1
            raise NotApplied("every worker died of it")
        self.held = changed(self.held, change)
        return ()

    def vitals(self) -> Vitals:
        return Vitals(uptime=1.0, workers=1, memory=1, load=0.0, last_error="", draining=self.is_draining)

    async def connected(self, credentials: Credentials, address: str) -> None:
        assert address in credentials.addresses
        self.places.append(address)
        self.watcher.arrived()

    async def delivered(self, ending: Ending) -> None:
        self.told.append(ending)

    def drain(self) -> None:
        self.drained.set()


def request_of(control: FakeControl) -> Callable[[], Awaitable[Enrolled]]:
    return partial(enrol, Target(url=control.url, token=control.token), INSTANCE, time.time, os.urandom)


def play(
    request: Callable[[], Awaitable[Enrolled]],
    story: Callable[[Outpost], Awaitable[None]],
    transport: Transport = USUAL,
) -> Outpost:
    async def run() -> Outpost:
        complaints: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
        outpost = Outpost(request, transport)
        watching = asyncio.create_task(outpost.watcher.run())
        try:
            await asyncio.wait_for(story(outpost), PATIENCE)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        # What asyncio would log of tasks and generators that nobody cares for any more.
        gc.collect()
        await asyncio.sleep(0)
        assert [complaint for complaint in complaints if not is_of_another_loop(complaint)] == []
        return outpost

    return asyncio.run(run())


def is_of_another_loop(complaint: Mapping[str, object]) -> bool:
    """gRPC wakes the loops of tests that are over with ours, and says so when it finds them closed."""
    return "PollerCompletionQueue" in str(complaint["message"]) and "Event loop is closed" in str(
        complaint.get("exception")
    )


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110  the condition is control's state, in other threads
        await asyncio.sleep(0.01)


def test_waits_grow_with_full_jitter_and_the_reason_is_kept() -> None:
    async def refuse() -> Enrolled:
        raise EnrolmentFailed(Failure.REVOKED_TOKEN, "control has revoked this token")

    async def story(outpost: Outpost) -> None:
        await until(lambda: len(outpost.waits) >= 8)
        assert outpost.watcher.status.last_error == "control has revoked this token"

    outpost = play(refuse, story)
    assert outpost.waits[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert outpost.keeper.failures["revoked_token"] >= 8


def test_a_link_that_breaks_is_called_again(control: FakeControl) -> None:
    control.hold(options())

    async def story(outpost: Outpost) -> None:
        await until(lambda: outpost.held.resources)
        await asyncio.to_thread(control.stop_link)
        await until(lambda: len(outpost.waits) >= 2)
        await asyncio.to_thread(control.start_link)
        await until(lambda: outpost.watcher.status.connections == len(control.hellos) == 2)

    outpost = play(request_of(control), story)
    assert dict(control.hellos[1].held) == outpost.held.digests
    assert outpost.watcher.status.losses == 1


def test_what_could_not_be_applied_is_neither_acknowledged_nor_lost(control: FakeControl) -> None:
    control.hold(options())

    async def story(outpost: Outpost) -> None:
        outpost.failures_to_come = 1
        await until(lambda: outpost.held.resources)

    outpost = play(request_of(control), story)
    assert outpost.watcher.status.losses == 1
    assert not control.hellos[1].held


def test_a_link_that_stays_away_is_asked_for_anew(control: FakeControl) -> None:
    control.link_addresses = [f"127.0.0.1:{free_port()}"]

    async def story(outpost: Outpost) -> None:
        await until(lambda: len(outpost.waits) >= 2)
        assert len(control.enrolments) == 1
        control.link_addresses = [f":{control.link_port}"]
        await until(lambda: control.hellos)

    play(request_of(control), story)
    assert len(control.enrolments) == 2


def test_a_server_of_another_ca_is_not_trusted_and_its_ca_asked_for(control: FakeControl) -> None:
    with FakeControl() as other:
        control.link_addresses = [f"localhost:{other.link_port}"]

        async def story(outpost: Outpost) -> None:
            await until(lambda: len(control.enrolments) >= 2)
            assert not outpost.places
            assert not other.hellos

        play(request_of(control), story)


@pytest.mark.parametrize(
    ("code", "words", "enrolments"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "control no longer accepts our certificate: revoked", 2),
        (grpc.StatusCode.FAILED_PRECONDITION, "control does not serve this outpost: revoked", 1),
        (grpc.StatusCode.ABORTED, "ABORTED: revoked", 1),
    ],
)
def test_a_refused_stream_says_why(control: FakeControl, code: grpc.StatusCode, words: str, enrolments: int) -> None:
    control.refuse_streams = code, "revoked"

    async def story(outpost: Outpost) -> None:
        await until(lambda: len(outpost.waits) >= 2)
        assert not outpost.places
        assert words in outpost.watcher.status.last_error
        assert len(control.enrolments) >= enrolments
        if enrolments == 1:
            assert len(control.enrolments) == 1

    play(request_of(control), story)


def test_sign_outs_wait_for_control_and_arrive_in_order(control: FakeControl) -> None:
    control.stop_link()
    endings = [Ending(provider="wiki", session=f"s{number}", at=1.0) for number in range(3)]

    async def story(outpost: Outpost) -> None:
        for ending in endings:
            outpost.context.endings.add(ending)
        await until(lambda: outpost.waits)
        await asyncio.to_thread(control.start_link)
        await until(lambda: len(outpost.told) == 3)

    outpost = play(request_of(control), story)
    assert [each.session for each in control.ended] == ["s0", "s1", "s2"]
    assert outpost.told == endings
    assert outpost.context.endings.waiting == ()


def test_a_sign_out_that_control_cannot_take_holds_up_no_other(control: FakeControl) -> None:
    control.refuse_calls = grpc.StatusCode.INTERNAL, "no"

    async def story(outpost: Outpost) -> None:
        for number in range(2):
            outpost.context.endings.add(Ending(provider="wiki", session=f"s{number}", at=1.0))
        await until(lambda: control.refused)
        control.refuse_calls = None
        await until(lambda: len(outpost.told) == 2)

    play(request_of(control), story)
    assert [each.session for each in control.ended] == ["s1", "s0"]


@pytest.mark.parametrize(("code", "tries"), [(grpc.StatusCode.PERMISSION_DENIED, 1), (grpc.StatusCode.INTERNAL, 2)])
def test_a_sign_out_is_tried_again_unless_control_says_never(
    control: FakeControl, code: grpc.StatusCode, tries: int
) -> None:
    control.refuse_calls = code, "no"

    async def story(outpost: Outpost) -> None:
        outpost.context.endings.add(Ending(provider="wiki", session="s", at=1.0))
        if tries == 1:
            await until(lambda: outpost.told)
            return
        await until(lambda: control.refused >= tries)
        control.refuse_calls = None
        await until(lambda: outpost.told)

    play(request_of(control), story)
    assert control.refused >= tries
    assert len(control.ended) == tries - 1


def test_the_queue_of_sign_outs_is_bounded() -> None:
    endings = Endings()
    for number in range(MAX_ENDINGS + 2):
        endings.add(Ending(provider="p", session=str(number), at=1.0))
    endings.add(Ending(provider="p", session="5", at=2.0))
    assert len(endings.waiting) == MAX_ENDINGS
    assert endings.dropped == 2
    assert endings.waiting[0].session == "2"
    assert endings.waiting[3] == Ending(provider="p", session="5", at=1.0)


class Relay:
    """A TCP relay that can fall silent without closing anything, as a dead peer does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: list[asyncio.Task[None]] = []
        self.silent = False
        self.address = ""

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        ways = [asyncio.create_task(self._pump(reader, back)), asyncio.create_task(self._pump(there, writer))]
        self._tasks += ways
        await asyncio.wait(ways)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if not self.silent:
                    writer.write(data)
        finally:
            writer.close()


def test_a_peer_that_is_dead_is_found_by_keepalive(control: FakeControl) -> None:
    # A tenth of the real spans: gRPC's timers can't be virtual.
    scaled = Transport(keepalive=USUAL.keepalive / 10, answer=USUAL.answer / 10)
    control.hold(options())

    async def story(outpost: Outpost) -> None:
        relay = Relay(control.link_port)
        async with await relay.start():
            control.link_addresses = [relay.address]
            await until(lambda: outpost.watcher.status.connected)
            relay.silent = True
            begun = time.monotonic()
            await until(lambda: outpost.watcher.status.losses == 1)
            assert time.monotonic() - begun < 10

    async def request() -> Enrolled:
        await until(lambda: control.link_addresses[0].startswith("127.0.0.1:"))
        return await request_of(control)()

    play(request, story, scaled)


def test_who_is_not_served_is_patient_and_is_served_again_when_control_can(control: FakeControl) -> None:
    control.refuse_streams = grpc.StatusCode.FAILED_PRECONDITION, "speaks version 0 of the link's protocol"
    control.hold(options())

    async def story(outpost: Outpost) -> None:
        await until(lambda: len(outpost.waits) >= 2)
        await until(lambda: outpost.watcher.status.unsupported)
        assert not outpost.places
        control.refuse_streams = None
        await until(lambda: outpost.watcher.status.connected)
        assert (outpost.watcher.status.unsupported, outpost.watcher.status.last_error) == (False, "")

    outpost = play(request_of(control), story)
    # Each wait is the longest, or at least half of it.
    assert set(outpost.waits) == {30}
    assert len(control.enrolments) == 1


def test_of_two_links_the_one_that_serves_us_is_used(control: FakeControl) -> None:
    control.hold(options())
    with FakeControl(authority=control.authority) as older:
        older.refuse_streams = grpc.StatusCode.FAILED_PRECONDITION, "speaks version 2 of the link's protocol"
        control.link_addresses = [f"localhost:{older.link_port}", f"localhost:{control.link_port}"]

        async def story(outpost: Outpost) -> None:
            await until(lambda: outpost.held.resources)
            assert not outpost.watcher.status.unsupported

        outpost = play(request_of(control), story)
    assert outpost.places == [f"localhost:{control.link_port}"]
    assert outpost.waits == []


def test_news_is_told_before_the_next_beat(control: FakeControl) -> None:
    control.hold(options())

    async def story(outpost: Outpost) -> None:
        await until(lambda: control.healths)
        assert not control.healths[-1].draining
        outpost.is_draining = True
        begun = time.monotonic()
        outpost.watcher.tell_news()
        await until(lambda: control.healths[-1].draining)
        assert time.monotonic() - begun < 20

    play(request_of(control), story)


def test_a_farewell_is_heard_with_all_that_was_said_before(control: FakeControl) -> None:
    control.hold(options())

    async def story(outpost: Outpost) -> None:
        await until(lambda: outpost.watcher.status.connected)
        outpost.is_draining = True
        outpost.watcher.tell_news()
        # With nothing awaited in between, as the process may end at once.
        await outpost.watcher.farewell()
        assert control.healths[-1].draining
        assert not control.connections

    outpost = play(request_of(control), story)
    assert outpost.watcher.status.losses == 0


def test_a_farewell_to_nobody_takes_no_time(control: FakeControl) -> None:
    control.link_addresses = [f"127.0.0.1:{free_port()}"]

    async def story(outpost: Outpost) -> None:
        await until(lambda: outpost.waits)
        await outpost.watcher.farewell()

    begun = time.monotonic()
    play(request_of(control), story)
    assert time.monotonic() - begun < 20

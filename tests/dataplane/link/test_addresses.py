"""Several addresses of the link: each is tried, none for long, and what worked comes first the next time."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc
import pytest

from dataplane.link.stream import Timing
from tests.dataplane.link.test_watch import Outpost, play, request_of, until
from tests.support.fake_control import FakeControl, options
from tests.support.peers_program import free_port


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        running.hold(options())
        yield running


class Listener:
    """Takes connections and is silent, or closes them once it has been spoken to."""

    def __init__(self, *, closes: bool = False) -> None:
        self._closes = closes
        self._open: list[asyncio.StreamWriter] = []
        self.address = ""
        self.met = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Listener"]:
        async with await asyncio.start_server(self._meet, "127.0.0.1", 0) as server:
            self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            try:
                yield self
            finally:
                for writer in self._open:
                    writer.transport.abort()
                await asyncio.sleep(0)  # in which the transports close

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.met += 1
        self._open.append(writer)
        if self._closes:
            await reader.read(1)
            writer.close()


def named_by(control: FakeControl, *addresses: str) -> None:
    control.link_addresses = [*addresses]


def nowhere() -> str:
    return f"127.0.0.1:{free_port()}"


async def served(outpost: Outpost, times: int) -> None:
    await until(lambda: len(outpost.places) == times)


def test_an_address_that_says_nothing_is_given_up_in_time(control: FakeControl) -> None:
    """Whatever gRPC makes of it: a black hole before the good address would else keep the outpost away."""
    assert Timing().connect <= 10
    begun = time.monotonic()

    async def story(outpost: Outpost) -> None:
        outpost.context.timing = Timing(connect=0.3)
        async with Listener().listening() as silent:
            named_by(control, silent.address, f"localhost:{control.link_port}")
            await until(lambda: silent.met and outpost.places)
            assert time.monotonic() - begun < 10

    play(request_of(control), story)


@pytest.mark.parametrize("end", [None, (grpc.StatusCode.INTERNAL, "the write failed")])
def test_what_worked_is_called_first_the_next_time(
    control: FakeControl, end: tuple[grpc.StatusCode, str] | None
) -> None:
    """Though control had nothing to say there, and a write that met the end hid why it ended (grpc/grpc#36066)."""
    control.resources.clear()

    async def story(outpost: Outpost) -> None:
        async with Listener(closes=True).listening() as front:
            good = f"localhost:{control.link_port}"
            named_by(control, front.address, good)
            ended: list[object] = []
            for count in (1, 2, 3):
                await served(outpost, count)
                await until(lambda: any(each not in ended for each in control.connections))
                ended.extend(control.connections)
                control.tell(end)
            assert outpost.places[:3] == [good] * 3
            assert front.met == 1

    play(request_of(control), story)


def test_a_link_that_lets_nobody_in_is_given_up_in_time(control: FakeControl) -> None:
    with FakeControl(authority=control.authority) as busy:
        busy.lets_in = False

        async def story(outpost: Outpost) -> None:
            outpost.context.timing = Timing(admission=0.3)
            named_by(control, f"localhost:{busy.link_port}", f"localhost:{control.link_port}")
            await served(outpost, 1)
            assert busy.waiting
            assert outpost.places == [f"localhost:{control.link_port}"]

        play(request_of(control), story)


def test_the_others_are_tried_when_what_worked_does_not(control: FakeControl) -> None:
    async def story(outpost: Outpost) -> None:
        first, second = f"127.0.0.1:{control.link_port}", f"localhost:{control.link_port}"
        named_by(control, nowhere(), second, first)
        await until(lambda: outpost.places == [second])
        await asyncio.to_thread(control.stop_link)
        await until(lambda: len(outpost.waits) >= 2)
        control.link_port = free_port()
        named_by(control, f"localhost:{control.link_port}")
        await asyncio.to_thread(control.start_link)
        await until(lambda: len(outpost.places) == 2)

    play(request_of(control), story)


def test_a_door_that_closes_says_nothing_about_the_certificate(control: FakeControl) -> None:
    """A front door whose link is away: a thousand outposts must not all enrol anew, round after round."""

    async def story(outpost: Outpost) -> None:
        async with Listener(closes=True).listening() as front:
            named_by(control, nowhere(), front.address)
            await until(lambda: len(outpost.waits) >= 2)
            assert front.met >= 2
            assert len(control.enrolments) == 1

    play(request_of(control), story)


def test_a_stranger_at_an_address_is_asked_about_once(control: FakeControl) -> None:
    """A reverse proxy with a certificate of its own: control says that nothing has changed, and is left alone then.

    But for the doubt that every third round in vain raises.
    """
    with FakeControl() as stranger:

        async def story(outpost: Outpost) -> None:
            named_by(control, nowhere(), f"localhost:{stranger.link_port}")
            await until(lambda: len(outpost.waits) >= 6)
            assert len(control.enrolments) == 3

        play(request_of(control), story)


def test_each_reason_is_told_once(control: FakeControl, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "dataplane.link")

    async def story(outpost: Outpost) -> None:
        named_by(control, nowhere(), nowhere())
        await until(lambda: len(outpost.waits) >= 3)

    play(request_of(control), story)
    told = [each for each in caplog.records if each.getMessage() == "no link to control"]
    assert len(told) == 2

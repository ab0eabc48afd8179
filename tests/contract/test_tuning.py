"""How gRPC is tuned on both ends: each setting is shown to matter by leaving it out.

gRPC's timers are its own, so spans are scaled down. A client never pings more often than once a second, whatever it is
told; a server does.
"""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from control.link.transport import Transport as Server
from dataplane.link import translate
from dataplane.link.channel import Transport as Client
from tests.support.bare import CLIENT, SERVER, Bare, Options, bare, call, took, without
from tests.support.relay import Hold, Relay

STREAMS = 2_000
CHANNELS = 20
PENDING = ("grpc.server.max_pending_requests", "grpc.server.max_pending_requests_hard_limit")
# Neither end pings by itself for the time of a test.
NEVER = 1_000.0


async def storm(options: Options) -> int:
    """How many of so many streams that are opened at once get in."""
    async with bare(options) as server:
        channels = [server.channel() for _ in range(CHANNELS)]
        opened = [await each.__aenter__() for each in channels]
        answers = await asyncio.gather(
            *(call(opened[number % CHANNELS]).say(b"hello") for number in range(STREAMS)), return_exceptions=True
        )
        for each in channels:
            await each.__aexit__(None, None, None)
        return answers.count(b"hello")


def test_two_thousand_streams_opened_at_once_all_get_in() -> None:
    assert asyncio.run(storm(SERVER)) == STREAMS


def test_with_what_grpc_does_by_itself_they_would_not() -> None:
    assert asyncio.run(storm(without(SERVER, *PENDING))) < STREAMS


async def idle(server: Options, client: Options, seconds: float) -> str:
    """How a stream ends on which nothing is said; empty when it lives for that long."""
    async with bare(server) as rig, rig.channel(client) as channel:
        stream = call(channel)
        assert await stream.say(b"hello") == b"hello"
        if await took(stream.hear, seconds) is None:
            return ""
        return (await stream.status())[1]


def test_an_idle_link_lives_through_hundreds_of_keepalives() -> None:
    # The server pings every 20 ms, 300 times; the client as often as it ever does.
    server = Server(keepalive=0.02, answer=5.0, tolerance=0.5)
    assert asyncio.run(idle(server.options(), Client(keepalive=0.02, answer=5.0).options(), 6.0)) == ""


def test_whose_pings_are_not_tolerated_is_thrown_out() -> None:
    untuned = without(SERVER, "grpc.http2.min_ping_interval_without_data_ms")
    server = without(untuned, "grpc.http2.max_ping_strikes")
    client = Client(keepalive=0.02, answer=5.0)
    assert asyncio.run(idle(server, client.options(), 8.0)) == "Too many pings"


def test_an_outposts_pings_are_tolerated_and_both_ends_ping_alike() -> None:
    server, client = Server(), Client()
    assert server.tolerance < client.keepalive
    assert (server.keepalive, server.answer) == (client.keepalive, client.answer)
    # A dead peer is found within twenty seconds.
    assert client.keepalive + client.answer < 20
    assert server.message_bytes == client.message_bytes
    # Two parts of what an outpost holds, or all that it refuses, and room to spare.
    assert server.received_bytes == 2 * translate.REJECTED_BYTES == 512 * 1024
    alike = {*client.options()} & {*server.options()}
    assert {name for name, _ in alike} == {
        "grpc.keepalive_time_ms",
        "grpc.keepalive_timeout_ms",
        "grpc.http2.ping_timeout_ms",
        "grpc.keepalive_permit_without_calls",
        "grpc.http2.max_pings_without_data",
    }


PINGS = Client(keepalive=0.2, answer=0.6).options()


async def client_notices(options: Options, *, calls: bool, most: float) -> float | None:
    """How long a client takes to find a server dead that swallows everything, after two pings without data."""
    silent = Server(keepalive=NEVER, answer=NEVER, tolerance=0.1)
    async with bare(silent.options()) as rig:
        with Relay(("127.0.0.1", rig.port)) as relay:
            async with rig.channel(options, relay.port) as channel:
                stream = call(channel) if calls else None
                if stream:
                    assert await stream.say(b"hello") == b"hello"
                # So that pings have come and gone.
                await asyncio.sleep(2.2)
                await asyncio.to_thread(relay.become, Hold())
                if stream:
                    return await took(stream.hear, most)
                state = channel.get_state()
                return await took(lambda: channel.wait_for_state_change(state), most)


@pytest.mark.parametrize("calls", [True, False])
def test_a_client_finds_a_black_hole_within_two_intervals(*, calls: bool) -> None:
    # As it pings once a second, that is a second and the answer's time.
    found = asyncio.run(client_notices(PINGS, calls=calls, most=5.0))
    assert found is not None
    assert found < 2 * (1.0 + 0.6)


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("grpc.keepalive_time_ms", True),
        ("grpc.http2.ping_timeout_ms", True),
        ("grpc.keepalive_permit_without_calls", False),
        ("grpc.http2.max_pings_without_data", False),
    ],
)
def test_without_one_of_these_a_client_would_not_find_it(name: str, *, calls: bool) -> None:
    assert asyncio.run(client_notices(without(PINGS, name), calls=calls, most=2.6)) is None


HEARS = Server(keepalive=0.2, answer=0.6, tolerance=0.1).options()


async def server_notices(options: Options, *, calls: bool, most: float) -> float | None:
    """How long a server takes to find a client dead that swallows everything."""
    async with bare(options) as rig:
        with Relay(("127.0.0.1", rig.port)) as relay:
            client = Client(keepalive=NEVER, answer=NEVER).options()
            async with rig.channel(client, relay.port) as channel:
                stream = call(channel) if calls else None
                if stream:
                    assert await stream.say(b"hello") == b"hello"
                await asyncio.sleep(0.5)
                assert connections(rig) == 1
                await asyncio.to_thread(relay.become, Hold())
                return await took(lambda: nobody(rig), most)


def connections(rig: Bare) -> int:
    """How many connections to the server are established, as the kernel counts them at its end (proc(5))."""
    tables = (Path(f"/proc/self/net/{name}").read_text("ascii") for name in ("tcp", "tcp6"))
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return sum(1 for row in rows if row[1].endswith(f":{rig.port:04X}") and row[3] == "01")


async def nobody(rig: Bare) -> None:
    while connections(rig):  # noqa: ASYNC110 - the kernel knows nothing of events
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("calls", [True, False])
def test_a_server_finds_a_black_hole_within_two_intervals(*, calls: bool) -> None:
    found = asyncio.run(server_notices(HEARS, calls=calls, most=5.0))
    assert found is not None
    # Some slack for a machine that does other things.
    assert found < 2 * (0.2 + 0.6) + 0.4


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("grpc.keepalive_time_ms", True),
        ("grpc.http2.ping_timeout_ms", True),
        ("grpc.keepalive_permit_without_calls", False),
    ],
)
def test_without_one_of_these_a_server_would_not_find_it(name: str, *, calls: bool) -> None:
    assert asyncio.run(server_notices(without(HEARS, name), calls=calls, most=2.0)) is None


async def loris(options: Options) -> bool:
    """Whether the server hangs up on who connects and begins no handshake, within two seconds."""
    async with bare(options) as rig:

        def wait() -> bool:
            with socket.create_connection(("127.0.0.1", rig.port)) as client:
                client.settimeout(2)
                try:
                    return client.recv(1) == b""
                except ConnectionResetError:
                    return True
                except TimeoutError:
                    return False

        return await asyncio.to_thread(wait)


def test_who_makes_no_handshake_is_cut() -> None:
    assert asyncio.run(loris(Server(handshake=0.3).options()))


def test_grpc_by_itself_would_wait_for_it() -> None:
    assert not asyncio.run(loris(without(SERVER, "grpc.server_handshake_timeout_ms")))


async def second_server(options: Options) -> None:
    async with bare(options) as rig, bare(options, f"127.0.0.1:{rig.port}"):
        pass


def test_a_second_server_on_the_port_is_refused() -> None:
    with pytest.raises(RuntimeError):
        asyncio.run(second_server(SERVER))


def test_grpc_by_itself_would_share_the_port_without_a_word() -> None:
    asyncio.run(second_server(without(SERVER, "grpc.so_reuseport")))


async def taken_up(options: Options, streams: int, expected: int) -> int:
    """How many of so many streams on one connection are taken up at a time, once it is as many as expected."""
    async with bare(options) as rig, rig.channel() as channel:
        answers = [asyncio.ensure_future(call(channel).say(b"hello")) for _ in range(streams)]
        async with asyncio.timeout(10):
            while rig.served < expected:  # noqa: ASYNC110 - the server's own count
                await asyncio.sleep(0.005)
        # No more of them, though there is time.
        await asyncio.wait(answers, timeout=0.3)
        found = rig.served
        for answer in answers:
            answer.cancel()
        await asyncio.wait(answers)
    return found


def test_one_connection_has_its_share_of_streams() -> None:
    assert asyncio.run(taken_up(Server(streams_of_connection=5).options(), 8, 5)) == 5
    assert asyncio.run(taken_up(without(SERVER, "grpc.max_concurrent_streams"), 1_100, 1_100)) == 1_100
    assert asyncio.run(taken_up(SERVER, 1_100, 1_024)) == 1_024


async def sent(size: int, server: Options, client: Options) -> Any:
    async with bare(server) as rig, rig.channel(client) as channel:
        stream = call(channel)
        answer = await stream.say(b"x" * size)
        return len(answer) if answer is not None else await stream.status()


SIXTEEN = 16 * 1024 * 1024


def test_a_message_has_a_size_on_both_ends() -> None:
    server, client = Server(received_bytes=2 * SIXTEEN).options(), CLIENT
    assert asyncio.run(sent(SIXTEEN, server, client)) == SIXTEEN
    code, details = asyncio.run(sent(SIXTEEN + 1, server, client))
    assert (code, "larger than max" in details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
    # Four mebibytes are gRPC's own idea.
    code, details = asyncio.run(sent(5 * 1024 * 1024, server, without(client, "grpc.max_receive_message_length")))
    assert (code, "larger than max" in details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)


def test_a_server_takes_less_than_it_sends() -> None:
    most = Server().received_bytes
    assert asyncio.run(sent(most, SERVER, CLIENT)) == most
    code, details = asyncio.run(sent(most + 1, SERVER, CLIENT))
    assert (code, "larger than max" in details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)


def test_a_server_sends_nothing_that_its_outposts_would_not_take() -> None:
    small = Server(message_bytes=1024)
    code, details = asyncio.run(sent(1025, without(small.options(), "grpc.max_receive_message_length"), CLIENT))
    assert (code, "larger than max" in details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)


def test_a_channel_made_anew_has_a_connection_of_its_own() -> None:
    async def play(options: Options) -> int:
        async with bare() as rig, rig.channel(options), rig.channel(options):
            return connections(rig)

    assert asyncio.run(play(CLIENT)) == 2


def test_a_server_of_another_name_is_none() -> None:
    async def play() -> None:
        async with bare() as rig, rig.channel(without(CLIENT, "grpc.ssl_target_name_override")):
            pass

    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(play(), 1.0))
    assert time.monotonic() - begun < 20

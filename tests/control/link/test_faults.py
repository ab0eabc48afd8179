"""What must not harm others at the link: strangers that dawdle, and an outpost whose stored options can't be used."""

import asyncio
import socket
from dataclasses import replace

from control.link.transport import Transport
from tests.support.fleet import deploy
from tests.support.links import Control, eventually
from tests.support.stores import ADMIN


def test_a_handshake_that_is_not_finished_is_cut(control: Control) -> None:
    def hang(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as half_open:
            # The head of a ClientHello that never comes.
            half_open.sendall(b"\x16\x03\x01\x02\x00\x01")
            return half_open.recv(1)

    control.transport = Transport(handshake=0.3)

    async def play() -> None:
        async with control.link() as link:
            assert await asyncio.to_thread(hang, link.port) == b""

    asyncio.run(play())


def test_an_outpost_with_options_that_cannot_be_used_is_counted_and_hurts_no_other(control: Control) -> None:
    deploy(control.store, config={"log_level": "shout"})

    async def play() -> None:
        async with control.link() as link:
            sample = link.parts.metrics.registry.get_sample_value
            assert sample("garrison_link_faulty_outposts") == 1.0
            with control.store.write(ADMIN) as unit:
                broken = unit.outposts.get_named("edge")
                unit.outposts.update(replace(broken, config={}))
            await eventually(lambda: sample("garrison_link_faulty_outposts") == 0.0)

    asyncio.run(play())

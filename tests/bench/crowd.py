"""Many outposts in one process: each a channel of its own over mutual TLS, speaking the link's real protocol.

Run with a file of credentials. Applies whatever it is sent, at once, and reconnects as an outpost does. On its standard
input a revision means: say when all have it; the answer is one line of JSON with the moments they came.
"""

import asyncio
import json
import random
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from dataplane.link.backoff import Backoff, Pace
from dataplane.link.channel import link_stub, open_stream_channel
from dataplane.link.target import Credentials
from protos.outpost.v1 import link_pb2, resources_pb2

BEAT_SECONDS = 10.0


@dataclass
class Member:
    """One outpost: what it holds, and when the newest revision came (monotonic)."""

    uid: str
    credentials: Credentials
    held: dict[str, str] = field(default_factory=dict)
    revision: int = 0
    at: float = 0.0

    async def live(self, address: str, news: asyncio.Event) -> None:
        """Connect, serve, reconnect."""
        backoff = Backoff(Pace(), random.uniform)
        while True:
            began = time.monotonic()
            # A stream that has ended can't be written to, which gRPC tells in another way than that it ended.
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self._serve(address, news)
            await asyncio.sleep(backoff.wait_after(time.monotonic() - began))

    async def _serve(self, address: str, news: asyncio.Event) -> None:
        async with open_stream_channel(self.credentials, address) as channel:
            call = link_stub(channel).Watch()
            await call.write(self._hello())
            beating = asyncio.create_task(self._beat(call))
            try:
                async for message in call:
                    if self._take(message.config):
                        applied = link_pb2.Applied(revision=self.revision)
                        await call.write(link_pb2.WatchRequest(applied=applied))
                        news.set()
            finally:
                beating.cancel()

    def _hello(self) -> link_pb2.WatchRequest:
        hello = link_pb2.Hello(
            instance=self.uid, type="proxy", protocol=2, version="0.1.0", held=self.held, revision=self.revision
        )
        return link_pb2.WatchRequest(hello=hello)

    async def _beat(self, call: Any) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await call.write(link_pb2.WatchRequest(health=link_pb2.Health(workers=1)))

    def _take(self, config: link_pb2.Config) -> bool:
        for key in config.removed:
            self.held.pop(key, None)
        for data in config.resources:
            resource = resources_pb2.Resource.FromString(data)
            self.held[resource.key] = resource.digest
        if config.last:
            self.revision, self.at = config.revision, time.monotonic()
        return config.last


async def main(given: dict[str, Any]) -> None:
    """Live until the standard input ends."""
    members = [Member(each["uid"], _credentials(each, given["address"])) for each in given["members"]]
    news = asyncio.Event()
    async with asyncio.TaskGroup() as lives:
        tasks = [lives.create_task(member.live(given["address"], news)) for member in members]
        await _answer(members, news)
        for task in tasks:
            task.cancel()


async def _answer(members: list[Member], news: asyncio.Event) -> None:
    """Say when all have what is asked for, until the standard input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        revision = int(line)
        while any(member.revision < revision for member in members):
            news.clear()
            await news.wait()
        sys.stdout.write(json.dumps([member.at for member in members]) + "\n")
        sys.stdout.flush()


def _credentials(given: dict[str, str], address: str) -> Credentials:
    return Credentials(
        certificate=given["certificate"],
        private_key=given["key"],
        authority=given["ca"],
        addresses=(address,),
        outpost="",
        name="",
        issued=0.0,
        expires=0.0,
    )


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))

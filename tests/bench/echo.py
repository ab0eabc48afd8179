"""What gRPC alone costs: a bare `grpc.aio` server, mutual TLS and all, which sends every stream the same bytes.

A line on its standard input is a revision to send to everyone. It decides nothing, keeps nothing and looks nothing up.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from control.link.transport import Transport
from protos.outpost.v1 import link_pb2, link_pb2_grpc

Requests = AsyncIterator[link_pb2.WatchRequest]


class Echo(link_pb2_grpc.LinkServicer):
    """Sends what it is told to all streams."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._queues: set[asyncio.Queue[int]] = set()
        # A stream that is lost and comes back must not miss what was pushed meanwhile.
        self._newest = 1

    def push(self, revision: int) -> None:
        """Send this revision to everyone."""
        self._newest = revision
        for queue in self._queues:
            queue.put_nowait(revision)

    async def Watch(self, requests: Requests, context: Any) -> None:  # noqa: N802 - gRPC names it
        """One stream."""
        queue: asyncio.Queue[int] = asyncio.Queue()
        self._queues.add(queue)
        queue.put_nowait(self._newest)
        hearing = asyncio.create_task(_hear(requests))
        try:
            while True:
                revision = await queue.get()
                config = link_pb2.Config(revision=revision, last=True, resources=[self._payload])
                await context.write(link_pb2.WatchResponse(config=config))
        finally:
            hearing.cancel()
            self._queues.discard(queue)


async def _hear(requests: Requests) -> None:
    async for _ in requests:
        pass


async def main(given: dict[str, str]) -> None:
    """Serve until the standard input ends."""
    echo = Echo(bytes.fromhex(given["payload"]))
    server = grpc.aio.server(options=Transport().options())
    link_pb2_grpc.add_LinkServicer_to_server(echo, server)  # type: ignore[no-untyped-call]  # generated
    pair = (given["key"].encode(), given["certificate"].encode())
    tls = grpc.ssl_server_credentials([pair], given["ca"].encode(), require_client_auth=True)
    server.add_secure_port(given["address"], tls)
    await server.start()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        echo.push(int(line))
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))

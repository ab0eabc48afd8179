"""A bare gRPC server and channels that are tuned as the link's and do nothing: what is tested is the tuning."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from control.link.transport import Transport as Server
from dataplane.link.channel import SERVER_NAME
from dataplane.link.channel import Transport as Client
from tests.support.fake_authority import Authority

Options = tuple[tuple[str, Any], ...]
SERVER: Options = Server().options()
CLIENT: Options = Client().options()
_AUTHORITY = Authority()
_SERVER, _CLIENT = _AUTHORITY.issue(SERVER_NAME), _AUTHORITY.issue("client")
# Channels with the same credentials and arguments share a connection, unless they are told not to.
_TLS = grpc.ssl_channel_credentials(_AUTHORITY.pem.encode(), _CLIENT.key.encode(), _CLIENT.certificate.encode())


def without(options: Iterable[tuple[str, Any]], *names: str) -> Options:
    """The options but for some, whose absence is to be noticed."""
    options = tuple(options)
    assert {*names} <= {name for name, _ in options}
    return tuple(option for option in options if option[0] not in names)


@dataclass
class Bare:
    """The server's port, and how many calls it has taken up."""

    port: int = 0
    served: int = 0

    @asynccontextmanager
    async def channel(self, options: Options = CLIENT, port: int = 0) -> AsyncIterator[grpc.aio.Channel]:
        """A channel that stands."""
        async with grpc.aio.secure_channel(f"127.0.0.1:{port or self.port}", _TLS, options) as opened:
            await asyncio.wait_for(opened.channel_ready(), 10)
            yield opened


@asynccontextmanager
async def bare(options: Options = SERVER, address: str = "127.0.0.1:0") -> AsyncIterator[Bare]:
    """A server that sends back whatever it hears, as long as the caller likes. Raises RuntimeError."""
    rig = Bare()

    async def echo(requests: AsyncIterator[bytes], context: Any) -> None:
        rig.served += 1
        async for request in requests:
            await context.write(request)

    handler = grpc.stream_stream_rpc_method_handler(echo)
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare.Bare", {"Echo": handler}),))
    pair = (_SERVER.key.encode(), _SERVER.certificate.encode())
    tls = grpc.ssl_server_credentials([pair], _AUTHORITY.pem.encode(), require_client_auth=True)
    rig.port = server.add_secure_port(address, tls)
    await server.start()
    try:
        yield rig
    finally:
        await server.stop(0)


@dataclass
class Call:
    """A stream on a channel."""

    call: Any

    async def say(self, message: bytes) -> bytes | None:
        """Say something; what comes back, None when the stream ends."""
        try:
            await self.call.write(message)
        except grpc.aio.AioRpcError:
            return None
        return await self.hear()

    async def hear(self) -> bytes | None:
        """What comes, None at the end."""
        try:
            heard = await self.call.read()
        except grpc.aio.AioRpcError:
            return None
        return heard if isinstance(heard, bytes) else None

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """How it ended."""
        return await self.call.code(), await self.call.details()


def call(channel: grpc.aio.Channel) -> Call:
    """Open a stream."""
    return Call(channel.stream_stream("/bare.Bare/Echo", None, None)(None))


async def took(work: Callable[[], Awaitable[object]], most: float) -> float | None:
    """How many seconds it takes; None when it is more than that."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        await asyncio.wait_for(work(), most)
    except TimeoutError:
        return None
    return loop.time() - begun

"""A TCP relay that misbehaves as it is told: the faulty line between an outpost and control.

It runs in a thread of the test; `become` changes how it is, for the connections that stand and for those to come. What
it can't do is what a line does below TCP, such as losing acknowledgements: tests/support/namespaces.py does.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self, assert_never

CHUNK = 64 * 1024
_RESET = struct.pack("ii", 1, 0)
Address = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """As a line should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """What arrives goes on after so many seconds, in each direction."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """So many bytes a second and direction, for each connection."""

    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Everything is accepted and acknowledged and nothing goes on, until the line is another: then all does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Connections that stand are reset, and so is whoever calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutAfter:
    """Connections that stand are reset after so many more bytes from the server to its clients; then the line is well.

    The server speaks first of what is interesting: it pushes.
    """

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldAfter:
    """Held after so many more bytes from the server to its clients."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfOpen:
    """The server's side of what stands is reset, and clients aren't told; whoever calls is left alone as well."""


Line = Forward | Delay | Throttle | Hold | Cut | CutAfter | HoldAfter | HalfOpen


class Relay:
    """A line to `target`; clients call `port` on loopback. Started and ended with the block.

    `accepted` counts connections, `delivered` the bytes that clients were given.
    """

    def __init__(self, target: Address, port: int = 0) -> None:
        self.target = target
        self.port = port
        self.accepted = 0
        self.delivered = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._ended = asyncio.Event()
        self._listens = threading.Event()
        self._line: Line = Forward()
        self._changed = asyncio.Event()
        self._left = 0
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(5), "the relay does not listen"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(5)

    @property
    def address(self) -> str:
        """Where clients call."""
        return f"127.0.0.1:{self.port}"

    def become(self, line: Line) -> None:
        """Be like that from now on."""
        self._in_loop(lambda: self._become(line))

    def reset(self) -> None:
        """Reset the connections that stand, once; whoever calls gets through."""
        self._in_loop(self._reset)

    def _in_loop(self, work: Callable[[], None]) -> None:
        done = threading.Event()

        def act() -> None:
            work()
            done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(5), "the relay hangs"

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        with socket.create_server(("127.0.0.1", self.port), backlog=256) as listener:
            listener.setblocking(False)
            self.port = int(listener.getsockname()[1])
            accepting = asyncio.ensure_future(self._accept(listener))
            self._listens.set()
            await self._ended.wait()
            accepting.cancel()
        self._reset()
        await asyncio.gather(accepting, *self._tasks, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = await self._loop.sock_accept(listener)
            client.setblocking(False)
            self.accepted += 1
            task = asyncio.ensure_future(self._connect(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: socket.socket) -> None:
        pair = _Pair(client)
        if isinstance(self._line, Cut):
            pair.reset()
            return
        pair.carrying = asyncio.ensure_future(self._carry(pair))
        self._pairs.add(pair)
        try:
            await asyncio.wait([pair.carrying])
            reset(pair.server)
            await self._while(HalfOpen)
        finally:
            pair.carrying.cancel()
            await asyncio.wait([pair.carrying])
            self._pairs.discard(pair)
            pair.reset()

    async def _carry(self, pair: "_Pair") -> None:
        await self._while(HalfOpen, Hold)
        with contextlib.suppress(OSError):
            await self._loop.sock_connect(pair.server, self.target)
            await _first_of(self._pump(pair, pair.client, pair.server), self._pump(pair, pair.server, pair.client))

    async def _while(self, *lines: type[Line]) -> None:
        while isinstance(self._line, lines):
            await self._changed.wait()

    def _become(self, line: Line) -> None:
        self._line = line
        self._changed.set()
        self._changed = asyncio.Event()
        match line:
            case Cut() | HalfOpen():
                self._reset()
            case CutAfter(size=size) | HoldAfter(size=size):
                self._left = size
            case Forward() | Delay() | Throttle() | Hold():
                pass
            case _:
                assert_never(line)

    async def _reach(self, line: CutAfter | HoldAfter) -> None:
        """So much has gone through."""
        if isinstance(line, HoldAfter):
            self._become(Hold())
            return
        self._become(Forward())
        self._reset()
        await asyncio.Event().wait()

    def _reset(self) -> None:
        for pair in self._pairs:
            assert pair.carrying is not None
            pair.carrying.cancel()

    async def _pump(self, pair: "_Pair", source: socket.socket, sink: socket.socket) -> None:
        """Carry one direction, so that a delayed byte delays none behind it twice."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1024)
        await _first_of(self._take(source, waiting), self._give(pair, sink, waiting))

    async def _take(self, source: socket.socket, waiting: "asyncio.Queue[tuple[float, bytes]]") -> None:
        while data := await self._loop.sock_recv(source, CHUNK):
            due = self._loop.time() + self._line.seconds if isinstance(self._line, Delay) else 0.0
            await waiting.put((due, data))
        await waiting.put((0.0, b""))
        await asyncio.Event().wait()

    async def _give(self, pair: "_Pair", sink: socket.socket, waiting: "asyncio.Queue[tuple[float, bytes]]") -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if not data:
                await self._while(Hold)
                return
            while data:
                rest = await self._deliver(pair, sink, data)
                self.delivered += (len(data) - len(rest)) * (sink is pair.client)
                data = rest

    async def _deliver(self, pair: "_Pair", sink: socket.socket, data: bytes) -> bytes:
        """Give what the line lets pass now; what is left."""
        match self._line:
            case Hold() | HalfOpen() | Cut():
                await self._changed.wait()
                return data
            case Throttle(rate=rate):
                part = data[: max(1, rate // 20)]
                await self._loop.sock_sendall(sink, part)
                await asyncio.sleep(len(part) / rate)
                return data[len(part) :]
            case (CutAfter() | HoldAfter()) as line if sink is pair.client:
                part = data[: self._left]
                self._left -= len(part)
                await self._loop.sock_sendall(sink, part)
                if not self._left:
                    await self._reach(line)
                return data[len(part) :]
            case _:
                await self._loop.sock_sendall(sink, data)
                return b""


class _Pair:
    """A client's connection and the one to the server made for it."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.server = socket.socket()
        self.server.setblocking(False)
        self.carrying: asyncio.Task[None] | None = None

    def reset(self) -> None:
        """End both at once, without a word."""
        reset(self.client)
        reset(self.server)


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN: linger for no time at all (socket(7), SO_LINGER)."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


async def _first_of(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until the first ends, end the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()

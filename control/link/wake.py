"""The socket on which other processes say that they have committed something: one empty datagram each."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - that it came is all it says
        """Pass it on."""
        self._wake()


@asynccontextmanager
async def wake_socket(path: Path, wake: Callable[[], None]) -> AsyncIterator[None]:
    """Call `wake` for each datagram sent to the socket at `path`."""
    bound = bind_unix(path, socket.SOCK_DGRAM)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Listener(wake), sock=bound)
    try:
        yield
    finally:
        transport.close()


def bind_unix(path: Path, kind: socket.SocketKind) -> socket.socket:
    """A socket at `path`, in the place of a dead one, for this user alone."""
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, kind)
    bound.setblocking(False)
    bound.bind(str(path))
    path.chmod(0o600)
    return bound

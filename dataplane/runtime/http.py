"""The metrics port: a GET-only HTTP responder for scrapers and probes. One request per connection, strict limits.

What is served is the caller's table of paths. Asyncio only; nothing here is on a hot path.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD = 8192
MAX_CONNECTIONS = 64
_TIMEOUT = 10.0
_REQUEST_LINE = re.compile(rb"([A-Z]+) (/[\x21-\x7e]*) HTTP/1\.[01]\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


Route = Callable[[], Awaitable[Page]]


class Responder:
    """Serves a table of paths on listening sockets."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._routes = routes
        self._servers: list[asyncio.Server] = []
        self._connections = 0

    async def serve(self, listening: socket.socket) -> None:
        """Accept on a socket; returns at once."""
        start = asyncio.start_unix_server if listening.family == socket.AF_UNIX else asyncio.start_server
        self._servers.append(await start(self._converse, sock=listening, limit=MAX_HEAD))

    def close(self) -> None:
        """Accept no more."""
        for server in self._servers:
            server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= MAX_CONNECTIONS:
                async with asyncio.timeout(_TIMEOUT):
                    await self._answer(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            # The peer went away or dawdled; there is nobody to tell.
            pass
        finally:
            self._connections -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            head = b""
        method, page = await self._page(head)
        writer.write(_encode(page, with_body=method != b"HEAD"))
        await writer.drain()

    async def _page(self, head: bytes) -> tuple[bytes, Page]:
        line = _REQUEST_LINE.match(head)
        if not line:
            return b"", Page(status=HTTPStatus.BAD_REQUEST)
        if line[1] not in {b"GET", b"HEAD"}:
            return line[1], Page(status=HTTPStatus.METHOD_NOT_ALLOWED)
        route = self._routes.get(line[2].decode("ascii").partition("?")[0])
        return line[1], await route() if route else Page(status=HTTPStatus.NOT_FOUND)


def _encode(page: Page, *, with_body: bool) -> bytes:
    lines = [f"HTTP/1.1 {page.status.value} {page.status.phrase}", "Connection: close"]
    if page.status is not HTTPStatus.NO_CONTENT:
        lines += [f"Content-Type: {page.content_type}", f"Content-Length: {len(page.body)}"]
    if page.status is HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    head = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"
    return head + page.body if with_body else head

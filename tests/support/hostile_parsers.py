"""What h11 and aiohttp make of bytes, without sockets: strict parsers that are not ours."""

import asyncio
import re

import h11
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParserPy
from aiohttp.http_writer import HttpVersion10
from aiohttp.streams import StreamReader

from tests.support.hostile_recorder import Recorded

MOST = 256 * 1024
_EMPTY = re.compile(rb"\A[\r\n]+")


def read_with_h11(raw: bytes) -> tuple[list[Recorded], str]:
    """The whole requests, and what is wrong with what follows them (empty for nothing).

    Empty lines before a request are no part of it (RFC 9112 2.2), which h11 doesn't know; llhttp takes any CR and LF
    for that.
    """
    found: list[Recorded] = []
    while rest := _EMPTY.sub(b"", raw, count=1):
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST)
        connection.receive_data(rest)
        connection.receive_data(b"")
        try:
            request, raw = _read_one(connection)
        except h11.RemoteProtocolError as error:
            return found, str(error)
        found.append(request)
        # h11 has no keep-alive in HTTP/1.0.
        stays = connection.their_state is not h11.MUST_CLOSE or request.all("connection") == ["keep-alive"]
        if not stays or request.method == "CONNECT":
            break
    return found, ""


def _read_one(connection: h11.Connection) -> tuple[Recorded, bytes]:
    """The first request, and what is behind it. Raises h11.RemoteProtocolError."""
    request, body = None, b""
    while True:
        event = connection.next_event()
        match event:
            case h11.Request():
                request = event
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage() if request is not None:
                return _recorded(request, body), connection.trailing_data[0]
            case _:
                raise h11.RemoteProtocolError(f"{event} where a request was to be")


def _recorded(request: h11.Request, body: bytes) -> Recorded:
    return Recorded(
        method=request.method.decode(),
        target=request.target.decode("latin-1"),
        headers=tuple((name.decode(), value.decode("latin-1")) for name, value in request.headers),
        body=bytes(body),
    )


class Aiohttp:
    """aiohttp's parser in Python (the other one is llhttp, as ours)."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """Let go of the loop that its streams insist on."""
        self._loop.close()

    def accepts(self, raw: bytes) -> bool:
        """Whether all of this is requests, in the first of which there is nothing wrong."""
        parser = HttpRequestParserPy(BaseProtocol(self._loop), self._loop, 2**20, max_field_size=32768, max_headers=128)
        try:
            messages, _, _ = parser.feed_data(raw)
        except HttpProcessingError:
            return False
        if not messages:
            return False
        message, payload = messages[0]
        # A server answers 400 to what has no Host, after its parser.
        if message.version > HttpVersion10 and "Host" not in message.headers:
            return False
        return not isinstance(payload, StreamReader) or (payload.exception() is None and payload.is_eof())

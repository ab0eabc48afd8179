"""One HTTP POST over TCP, TLS or a unix socket, for enrolment: asyncio streams and llhttp, cancellable throughout.

Knows nothing of enrolment. The network's own exceptions (OSError and its kin) pass through: the caller tells them
apart. Redirects are not followed: the answer is the caller's to explain.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

MAX_REPLY_BYTES = 1024 * 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}


class NotHttp(Exception):
    """The peer answered something that is no HTTP response, or one that is far too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP response; header names in lower case, a repeated header's last value."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to post: a URL, over the unix socket when one is given, without verification when told so."""

    url: str
    socket: str = ""
    insecure: bool = False


async def post(endpoint: Endpoint, body: bytes, headers: Mapping[str, str]) -> Reply:
    """Send one POST and read its answer."""
    reader, writer = await _connect(endpoint)
    try:
        writer.write(_request(endpoint.url, body, headers))
        await writer.drain()
        return await _read_reply(reader)
    finally:
        writer.transport.abort()


async def _connect(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if endpoint.socket:
        return await asyncio.open_unix_connection(endpoint.socket)
    url = urlsplit(endpoint.url)
    context = _tls(endpoint.insecure) if url.scheme == "https" else None
    return await asyncio.open_connection(url.hostname, url.port or _DEFAULT_PORTS[url.scheme], ssl=context)


def _tls(insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _request(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path or '/'} HTTP/1.1",
        f"Host: {parts.netloc or 'localhost'}",
        "Connection: close",
        "Accept: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


class _Collector:
    """Takes llhttp's callbacks."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.headed = False
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.headed = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


async def _read_reply(reader: asyncio.StreamReader) -> Reply:
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    received = 0
    while not collector.complete:
        data = await reader.read(65536)
        if not data:
            break
        received += len(data)
        if received > MAX_REPLY_BYTES:
            raise NotHttp(f"the answer is longer than {MAX_REPLY_BYTES} bytes")
        _feed(parser, data)
    # Without a length the end of the connection ends the body; the caller's MAC tells a cut one.
    if not collector.headed:
        raise NotHttp("the connection was closed before an answer came")
    return Reply(status=parser.get_status_code(), headers=collector.headers, body=bytes(collector.body))


def _feed(parser: httptools.HttpResponseParser, data: bytes) -> None:
    try:
        parser.feed_data(data)
    except httptools.HttpParserError as error:
        raise NotHttp(f"the answer is no HTTP response ({error})") from error

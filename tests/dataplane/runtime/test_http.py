"""The metrics port's responder, byte by byte over real sockets."""

import asyncio
import socket
from http import HTTPStatus
from pathlib import Path

import pytest

from dataplane.runtime import http as responder
from dataplane.runtime.http import MAX_HEAD, Page, Responder
from dataplane.runtime.listeners import open_single
from dataplane.runtime.plan import TcpAddress, UnixAddress


async def _hello() -> Page:
    return Page(status=HTTPStatus.OK, body=b"hello")


async def _nothing() -> Page:
    return Page(status=HTTPStatus.NO_CONTENT)


ROUTES = {"/": _nothing, "/hello": _hello}


async def exchange(request: bytes, cut: int = 0) -> bytes:
    listening = open_single(TcpAddress(host="127.0.0.1", port=0), "test")
    subject = Responder(ROUTES)
    await subject.serve(listening)
    reader, writer = await asyncio.open_connection(*listening.getsockname()[:2])
    try:
        for chunk in (request[:cut], request[cut:]):
            writer.write(chunk)
            await writer.drain()
        answer = await reader.read()
    except ConnectionError:
        # It closed under what was still being sent.
        answer = b""
    writer.close()
    subject.close()
    return answer


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /hello HTTP/1.1", 200, b"hello"),
        (b"GET /hello?x=y HTTP/1.0", 200, b"hello"),
        (b"HEAD /hello HTTP/1.1", 200, b""),
        (b"GET / HTTP/1.1", 204, b""),
        (b"GET /nowhere HTTP/1.1", 404, b""),
        (b"POST /hello HTTP/1.1", 405, b""),
        (b"GET hello HTTP/1.1", 400, b""),
        (b"GET /hello HTTP/2.0", 400, b""),
        (b"GET /a b HTTP/1.1", 400, b""),
        (b"\x16\x03\x01\x02\x00", 400, b""),
    ],
)
def test_requests(request_line: bytes, status: int, body: bytes) -> None:
    request = request_line + b"\r\nHost: x\r\n\r\n"
    answer = asyncio.run(exchange(request))
    head, _, found = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in head
    assert found == body
    assert asyncio.run(exchange(request, cut=3)) == answer


def test_a_head_without_end_is_refused() -> None:
    answer = asyncio.run(exchange(b"GET /hello HTTP/1.1\r\nX: " + b"x" * MAX_HEAD * 2 + b"\r\n\r\n"))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


def test_a_peer_that_dawdles_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "_TIMEOUT", 0.05)

    async def story() -> bytes:
        listening = open_single(TcpAddress(host="127.0.0.1", port=0), "test")
        subject = Responder(ROUTES)
        await subject.serve(listening)
        reader, writer = await asyncio.open_connection(*listening.getsockname()[:2])
        writer.write(b"GET /hel")
        answer = await reader.read()
        writer.close()
        subject.close()
        return answer

    assert asyncio.run(asyncio.wait_for(story(), 5)) == b""


def test_connections_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "MAX_CONNECTIONS", 0)
    assert asyncio.run(exchange(b"GET /hello HTTP/1.1\r\n\r\n")) == b""


def test_a_unix_socket_serves_and_a_stale_one_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "m.sock")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)

    async def story() -> bytes:
        subject = Responder(ROUTES)
        await subject.serve(open_single(UnixAddress(path), "test"))
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET /hello HTTP/1.1\r\n\r\n")
        answer = await reader.read()
        writer.close()
        subject.close()
        return answer

    assert asyncio.run(story()).endswith(b"hello")

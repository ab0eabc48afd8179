"""A socket proxy before an engine, as people run one: what is not on its list is refused with 403, and all is kept.

One request a connection; answers are handed on as they come, byte for byte.
"""

import itertools
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingMixIn, UnixStreamServer

Call = tuple[str, str]
# What control may ask of any engine: authentik's five permissions, in calls of the Engine API.
NARROW: tuple[Call, ...] = (
    ("POST", "/images/create"),
    ("GET", "/images/.+/json"),
    ("GET", "/containers/json"),
    ("GET", "/containers/[^/]+/json"),
    ("POST", "/containers/create"),
    ("POST", "/containers/[^/]+/start"),
    ("POST", "/containers/[^/]+/kill"),
    ("DELETE", "/containers/[^/]+"),
)
# What makes it better where it is allowed.
WIDE: tuple[Call, ...] = (
    *NARROW,
    ("POST", "/containers/[^/]+/rename"),
    ("GET", "/events"),
    ("GET", "/version"),
    ("(GET|HEAD)", "/_ping"),
)
_NUMBERS = itertools.count()
_FORBIDDEN = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 9\r\nConnection: close\r\n\r\nForbidden"
)


@dataclass(kw_only=True)
class EngineProxy:
    """A running proxy; `url` leads to it, `passed` and `refused` are the requests it has seen, as (method, path)."""

    url: str
    passed: list[Call] = field(default_factory=list)
    refused: list[Call] = field(default_factory=list)


@contextmanager
def engine_proxy(  # long: the server and what it hands on are of one place
    folder: Path, engine: str, allowed: Sequence[Call]
) -> Iterator[EngineProxy]:
    """A proxy that listens in a folder and leads to the socket of an engine."""
    path = folder / f"{next(_NUMBERS)}.sock"
    proxy = EngineProxy(url=f"unix://{path}")
    open_now: set[socket.socket] = set()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            head, body = _request(self.rfile)
            if not head:
                return
            method, target, _ = head[0].split(" ")
            call = (method, re.sub(r"^/v[\d.]+", "", target).partition("?")[0])
            if not any(re.fullmatch(known, call[0]) and re.fullmatch(place, call[1]) for known, place in allowed):
                proxy.refused.append(call)
                self.wfile.write(_FORBIDDEN)
                return
            proxy.passed.append(call)
            with suppress(OSError):
                _hand_on(engine, [*head, "Connection: close"], body, self.connection)

        def setup(self) -> None:
            super().setup()
            open_now.add(self.connection)

        def finish(self) -> None:
            open_now.discard(self.connection)
            super().finish()

    class Server(ThreadingMixIn, UnixStreamServer):
        daemon_threads = True
        block_on_close = False

    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join(5)
            # As when a proxy or engine ends: whoever follows events is told.
            for connection in tuple(open_now):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def _request(reader: BufferedIOBase) -> tuple[list[str], bytes]:
    head, length = [], 0
    while line := reader.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        match name.lower():
            case "content-length":
                length = int(value)
                head.append(line)
            case "connection":
                pass
            case _:
                head.append(line)
    return head, reader.read(length)


def _hand_on(engine: str, head: list[str], body: bytes, client: socket.socket) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.connect(engine)
        server.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        while data := server.recv(1 << 16):
            client.sendall(data)

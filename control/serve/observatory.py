"""The metrics port: the children's metrics merged, a ping, and whether the system is ready."""

import logging
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from control.serve.merge import merge
from control.serve.unix_http import QuietMixIn, Unreachable, get

log = logging.getLogger("control.serve")

SCRAPE_SECONDS = 2.0
READY_SECONDS = 1.0
PINGS = frozenset({"/", "/outpost.goauthentik.io/ping", "/-/health/live/"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where to ask: the parent's own registry, the sockets with metrics, and those that know whether they are ready."""

    own: CollectorRegistry
    metrics: Mapping[str, Path]
    ready: tuple[Path, ...]


class Observatory:
    """Answers on the metrics port from threads of its own."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._pool = ThreadPoolExecutor(max_workers=2 * len(sources.metrics) + 2, thread_name_prefix="scrape")

    def listen(self, host: str, port: int) -> ThreadingHTTPServer:
        """Start to answer. Raises OSError when the address is taken."""
        observatory = self

        class Handler(_Handler):
            asked = observatory

        server = _server_class(host)((host, port), Handler)
        Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        return server

    def text(self) -> bytes:
        """All metrics as one text; a child that doesn't answer in time is left out and counted as not scraped."""
        asked = {name: self._pool.submit(_scrape, path) for name, path in self._sources.metrics.items()}
        texts = {"serve": generate_latest(self._sources.own).decode()}
        texts |= {name: text for name, future in asked.items() if (text := _answer(name, future)) is not None}
        return merge(texts | {"scrape": _scraped(self._sources.metrics, texts)})

    def ready(self) -> bool:
        """Whether everybody who knows says that it is ready."""
        return all(_is_ready(path) for path in self._sources.ready)


class _Handler(BaseHTTPRequestHandler):
    asked: Observatory
    timeout = 10

    def do_GET(self) -> None:
        """Answer the few paths there are."""
        path = self.path.partition("?")[0]
        if path in PINGS:
            self._send(204, b"")
        elif path == "/-/health/ready/":
            self._send(204 if self.asked.ready() else 503, b"")
        elif path == "/metrics":
            self._send(200, self.asked.text())
        else:
            self._send(404, b"not found\n")

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: being scraped is no event."""

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if body:
            self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        if status != 204:  # noqa: PLR2004 - it has no body, RFC 9110 section 8.6
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _server_class(host: str) -> type[ThreadingHTTPServer]:
    class Server(QuietMixIn, ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    return Server


def _scrape(path: Path) -> str:
    status, body = get(path, "/metrics", SCRAPE_SECONDS)
    if status != 200:  # noqa: PLR2004 - OK
        raise Unreachable(f"{path}: status {status}")
    text = body.decode()
    merge({"check": text})
    return text


def _answer(name: str, future: Future[str]) -> str | None:
    try:
        return future.result(SCRAPE_SECONDS + 1)
    except (Unreachable, TimeoutError, ValueError) as error:
        log.debug("no metrics of a child", extra={"child": name, "error": str(error)})
        return None


def _scraped(wanted: Iterable[str], got: Mapping[str, str]) -> str:
    lines = [f'garrison_process_scraped{{process="{name}"}} {int(name in got)}' for name in wanted]
    head = "# HELP garrison_process_scraped Whether the process answered for its metrics.\n"
    return head + "# TYPE garrison_process_scraped gauge\n" + "".join(f"{line}\n" for line in lines)


def _is_ready(path: Path) -> bool:
    try:
        status, _ = get(path, "/-/health/ready/", READY_SECONDS)
    except Unreachable:
        return False
    return status in {200, 204}

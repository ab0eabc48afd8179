"""HTTP over unix sockets: asking children, and letting a child answer with its metrics."""

import contextlib
import http.client
import logging
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from threading import Thread
from typing import ClassVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

log = logging.getLogger("control.serve")

LARGEST = 16 * 1024 * 1024


class Unreachable(Exception):
    """Nobody answered in time on the socket."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def get(path: Path, target: str, timeout: float) -> tuple[int, bytes]:
    """Status and body of a GET over the socket. Raises Unreachable."""
    connection = _Connection(path, timeout)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read(LARGEST)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{path}: {error}") from error
    finally:
        connection.close()


class QuietMixIn:
    """For servers of `socketserver`: a client that went away is a log line and no traceback on stderr."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Log what a handler raised."""
        del request
        log.debug("a request failed", exc_info=True, extra={"client": str(client_address)})  # noqa: LOG014 - called in one


class _Server(QuietMixIn, ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    text: ClassVar[Callable[[], bytes]]

    def do_GET(self) -> None:
        """Answer /metrics."""
        known = self.path == "/metrics"
        body = type(self).text() if known else b""
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: being scraped is no event."""


def serve_metrics(path: Path, registry: CollectorRegistry) -> None:
    """Answer GET /metrics on the socket from a thread, as long as the process lives."""

    class Handler(_Handler):
        text = staticmethod(lambda: generate_latest(registry))

    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    server = _Server(str(path), Handler)
    path.chmod(0o600)
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()

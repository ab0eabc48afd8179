"""A page with every part that the script enhances, under the Content-Security-Policy of the real ones."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket

from scripts.tree import ROOT

DIST = ROOT / "control" / "web" / "static" / "dist"
SAMPLE = Path(__file__).parent / "sample.html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
FORM = """<form class="modal-content" hx-post="/modal" hx-target="#modal" method="post" action="/modal">
<div class="modal-header"><h2 class="modal-title" id="modal-title">Create</h2>
<button class="btn-close" type="button" data-close aria-label="Close"></button></div>
<div class="modal-body"><input name="name" class="form-control" autofocus>
<input name="other" class="form-control {state}"></div>
<div class="modal-footer"><button class="btn">Create</button></div></form>"""


class Sample(ThreadingHTTPServer):
    """The server, what it was asked, and what /live and /fail answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.live = "<b>one</b>"
        self.live_status = 200
        self.failure = "no"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """A browser that leaves in the middle of an answer is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    server: Sample

    def do_GET(self) -> None:
        self.server.asked.append(f"GET {self.path}")
        if self.path.startswith("/dist/"):
            self._asset(self.path.removeprefix("/dist/"))
        elif self.path == "/modal":
            self._answer(200, FORM.format(state=""))
        elif self.path == "/list":
            self._answer(200, "<li>new</li>")
        elif self.path == "/live":
            self._answer(self.server.live_status, self.server.live)
        else:
            then = (datetime.now(UTC) - timedelta(minutes=3, seconds=20)).isoformat()
            self._answer(200, SAMPLE.read_text().replace("{then}", then))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append(f"POST {self.path} {body}")
        if self.path == "/fail":
            self._answer(500, self.server.failure)
        elif self.path == "/modal" and "name=&" in body:
            self._answer(422, FORM.format(state="is-invalid"))
        elif self.path == "/modal":
            triggers = {"close-modal": None, "outposts-changed": None, "toast": {"text": "Created", "tone": "success"}}
            self._answer(204, "", {"HX-Trigger": json.dumps(triggers)})
        else:
            self._answer(303, "", {"Location": "/"})

    def _asset(self, key: str) -> None:
        name = json.loads((DIST / "manifest.json").read_text()).get(key, key)
        path = DIST / name
        self._send(200, path.read_bytes(), {"Content-Type": TYPES[path.suffix]})

    def _answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self._send(status, text.encode(), {"Content-Type": "text/html; charset=utf-8", **(headers or {})})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Security-Policy": POLICY, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing: a failed test shows what was asked."""


@contextmanager
def serve_sample() -> Iterator[Sample]:
    """The server, while the block runs."""
    with Sample() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

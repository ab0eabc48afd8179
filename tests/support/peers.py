"""nginx, Caddy and an application behind them, each started from a configuration that the test writes."""

import json
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.peers_program import Program, eventually, free_port, require

NGINX_FRAME = """
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server_names_hash_bucket_size 128;
{servers}
}}
"""


def start_nginx(folder: Path, servers: str, ports: Sequence[int]) -> Program:
    """nginx in the foreground with these server blocks; ready when all ports accept."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(NGINX_FRAME.format(folder=folder, servers=servers))
    command = [require("nginx", "nginx-light"), "-p", str(folder), "-c", str(config), "-e", "stderr"]
    return await_ports(Program("nginx", command), ports)


def start_caddy(folder: Path, caddyfile: str, ports: Sequence[int]) -> Program:
    """Caddy with this Caddyfile, without its admin endpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "Caddyfile"
    config.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + caddyfile)
    command = [require("caddy", "caddy"), "run", "--config", str(config), "--adapter", "caddyfile"]
    environment = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return await_ports(Program("caddy", command, environment), ports)


def await_ports(program: Program, ports: Sequence[int]) -> Program:
    """The program, when it accepts on all of these."""
    for port in ports:
        eventually(partial(_accepts, port), f"{program.name} listens on {port}", alive=program)
    return program


def _accepts(port: int) -> bool:
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as the application received it; repeated headers stay apart."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """Every value of a header, whatever its case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The one value of a header, None when it is missing."""
        values = self.all(name)
        assert len(values) <= 1, f"the application received {name} {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def identity(self) -> dict[str, str]:
        """All X-authentik-* headers, lower-cased, without the prefix; aliases with `_` or `.` count too."""
        found: dict[str, str] = {}
        for name, value in self.headers:
            plain = name.lower().replace("_", "-").replace(".", "-")
            if plain.startswith("x-authentik-"):
                assert plain not in found, f"{name} reached the application twice"
                found[plain.removeprefix("x-authentik-")] = value
        return found


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = {"method": self.command, "path": self.path, "headers": list(self.headers.items())}
        body = json.dumps({"application": "echo", **seen}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the names http.server calls

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing: the answer tells all."""


class Echo:
    """An application that answers with what it received, in a thread of the test."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _Echo)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="echo", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def seen_by_application(body: bytes) -> Seen:
    """What the echo application says it received."""
    answer = json.loads(body)
    assert answer.get("application") == "echo", f"not the application: {body[:200]!r}"
    return Seen(
        method=answer["method"],
        path=answer["path"],
        headers=tuple((name, value) for name, value in answer["headers"]),
    )

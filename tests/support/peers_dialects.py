"""Traefik and Envoy as an outpost sees them: their forward-auth calls, byte for byte, and what they do with the answer.

Debian has neither. The shapes are those of Traefik's pkg/middlewares/auth/forward.go (Go's net/http writes Host and
User-Agent first, then the other headers sorted) and of Envoy's ext_authz_http_impl.cc (original method, prefix + path,
lower-case names, content-length: 0, only allowed headers). Addresses and header lists come from the snippets of
docs/protocols/proxy.md, so those are run too.
"""

import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.support.peers_http import Answer, Headers, send
from tests.support.peers_program import free_port

OWN = "/outpost.goauthentik.io/"
_PEER = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A client's request as the front received it."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        """The first value of a header."""
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traefik:
    """The forwardAuth middleware of a dynamic configuration."""

    address: str
    response_headers: tuple[str, ...]

    @staticmethod
    def configured(text: str) -> "Traefik":
        """From the YAML of a file provider."""
        settings = yaml.safe_load(text)["http"]["middlewares"]["garrison"]["forwardAuth"]
        assert "trustForwardHeader" not in settings
        return Traefik(address=settings["address"], response_headers=tuple(settings["authResponseHeaders"]))

    def question(self, asked: Asked) -> bytes:
        """The request that it sends to the outpost."""
        own = {
            "X-Forwarded-For": "127.0.0.1",
            "X-Forwarded-Host": asked.header("host"),
            "X-Forwarded-Method": asked.method,
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Uri": asked.target,
        }
        gone = _HOP | {name.lower() for name in own} | {"host", "user-agent", "content-length", "accept-encoding"}
        copied = [(go_name(name), value) for name, value in asked.headers if name.lower() not in gone]
        lines = [f"{name}: {value}" for name, value in sorted([*copied, *own.items()], key=lambda item: item[0])]
        first = [
            f"GET {urlsplit(self.address).path} HTTP/1.1",
            f"Host: {urlsplit(self.address).netloc}",
            f"User-Agent: {asked.header('user-agent') or 'Go-http-client/1.1'}",
        ]
        return "\r\n".join([*first, *lines, "Accept-Encoding: gzip", "", ""]).encode("latin-1")

    def passed_on(self, asked: Asked, answer: Answer) -> Headers:
        """The headers that the application gets."""
        listed = {name.lower() for name in self.response_headers}
        kept = [(go_name(name), value) for name, value in asked.headers if name.lower() not in listed | _HOP]
        return [*kept, *((go_name(name), value) for name, value in answer.headers if name.lower() in listed)]

    def passed_back(self, answer: Answer) -> Headers:
        """The headers that the client gets when the answer is no."""
        return [(name, value) for name, value in answer.headers if name.lower() not in _HOP | {"content-length"}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envoy:
    """The HTTP service of an ext_authz filter."""

    prefix: str
    asks: tuple[dict[str, Any], ...]
    adds: tuple[tuple[str, str], ...]
    upstream: tuple[dict[str, Any], ...]
    client: tuple[dict[str, Any], ...]

    @staticmethod
    def configured(text: str) -> "Envoy":
        """From the YAML of an http_filters entry."""
        service = yaml.safe_load(text)["typed_config"]["http_service"]
        return Envoy(
            prefix=service["path_prefix"],
            asks=tuple(service["authorization_request"]["allowed_headers"]["patterns"]),
            adds=tuple((each["key"], each["value"]) for each in service["authorization_request"]["headers_to_add"]),
            upstream=tuple(service["authorization_response"]["allowed_upstream_headers"]["patterns"]),
            client=tuple(service["authorization_response"]["allowed_client_headers"]["patterns"]),
        )

    def question(self, asked: Asked) -> bytes:
        """The request that it sends to the outpost."""
        own = [("host", asked.header("host")), ("content-length", "0")]
        added = [(name, value.replace(_PEER, "127.0.0.1")) for name, value in self.adds]
        allowed = [
            (name.lower(), value)
            for name, value in asked.headers
            if name.lower() == "authorization" or (_matches(self.asks, name) and name.lower() not in dict(self.adds))
        ]
        # The last is Envoy's own address: it asks as a proxy.
        added += [("x-forwarded-proto", "http"), ("x-envoy-internal", "true"), ("x-forwarded-for", "127.0.0.1")]
        lines = [f"{name}: {value}" for name, value in [*own, *allowed, *added]]
        return "\r\n".join([f"{asked.method} {self.prefix}{asked.target} HTTP/1.1", *lines, "", ""]).encode("latin-1")

    def passed_on(self, asked: Asked, answer: Answer) -> Headers:
        """The headers that the application gets: set over those of the client (headers_to_set)."""
        added = [(name.lower(), value) for name, value in answer.headers if _matches(self.upstream, name)]
        replaced = {name for name, _ in added} | _HOP
        return [*((name.lower(), value) for name, value in asked.headers if name.lower() not in replaced), *added]

    def passed_back(self, answer: Answer) -> Headers:
        """The headers that the client gets when the answer is no."""
        return [(name, value) for name, value in answer.headers if _matches(self.client, name)]


def go_name(name: str) -> str:
    """Go's http.CanonicalHeaderKey."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def _matches(patterns: tuple[dict[str, Any], ...], name: str) -> bool:
    for pattern in patterns:
        if "exact" in pattern and name.lower() == pattern["exact"]:
            return True
        if "prefix" in pattern and name.lower().startswith(pattern["prefix"]):
            return True
        if "safe_regex" in pattern and re.fullmatch(pattern["safe_regex"]["regex"], name.lower()):
            return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the front finds outpost and application."""

    outpost: int
    application: int


class Front:
    """A reverse proxy of one dialect before one application, in a thread of the test."""

    def __init__(self, dialect: Traefik | Envoy, ports: Ports) -> None:
        self.port = free_port()
        handler = type("Handler", (_Handler,), {"dialect": dialect, "ports": ports})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="front", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    dialect: Traefik | Envoy
    ports: Ports

    def do_GET(self) -> None:
        # Not self.path, which http.server has tidied up.
        asked = Asked(method=self.command, target=self.requestline.split()[1], headers=tuple(self.headers.items()))
        if self.path.startswith(OWN):
            answer = self._relay(self.ports.outpost, [("X-Forwarded-For", "127.0.0.1"), *asked.headers])
            self._reply(answer.status, _end_to_end(answer), answer.body)
        else:
            self._guarded(asked)

    def _guarded(self, asked: Asked) -> None:
        verdict = send(self.ports.outpost, self.dialect.question(asked), asked.method)
        if verdict.status == 200:
            answer = self._relay(self.ports.application, self.dialect.passed_on(asked, verdict))
            self._reply(answer.status, _end_to_end(answer), answer.body)
        else:
            self._reply(verdict.status, self.dialect.passed_back(verdict), verdict.body)

    def _relay(self, port: int, headers: Headers) -> Answer:
        lines = [f"{name}: {value}" for name, value in headers if name.lower() != "connection"]
        first = f"{self.command} {self.requestline.split()[1]} HTTP/1.1"
        request = "\r\n".join([first, *lines, "Connection: close", "", ""])
        return send(port, request.encode("latin-1"), self.command)

    def _reply(self, status: int, headers: Headers, body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


def _end_to_end(answer: Answer) -> Headers:
    return [
        (name, value)
        for name, value in answer.headers
        if name.lower() not in _HOP | {"content-length", "date", "server"}
    ]

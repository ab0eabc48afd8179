"""A control plane for outposts under test: enrolment over HTTP, Link and Gate over real gRPC with mutual TLS.

It speaks the real protos and the enrolment protocol, and does what a test tells it: what to hold, when to be away,
how to answer. It runs in threads of the test's process; the outpost under test is a process of its own.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from socketserver import ThreadingUnixStreamServer
from typing import Any, Self
from urllib.parse import urlsplit

import grpc
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protos.outpost.v1 import gate_pb2_grpc, link_pb2, link_pb2_grpc, resources_pb2
from tests.support.fake_authority import Authority, Pair, tls_context
from tests.support.fake_gate import Calls, Gate
from tests.support.peers_program import free_port

ADMITTED = "garrison-admitted"
SERVER_NAME = "link.garrison.internal"
DEADLINE = 30.0
DAY = 24 * 3600.0


def eventually(condition: Callable[[], Any], what: str, deadline: float = DEADLINE) -> Any:
    """The first truthy value of a condition; fails at the deadline."""
    until = time.monotonic() + deadline
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"did not come true within {deadline:g} s: {what}")


def options(name: str = "edge", log_level: str = "debug", *, insecure: bool = False) -> resources_pb2.Resource:
    """The outpost's options."""
    body = resources_pb2.Options(
        outpost_id="0a",
        outpost_name=name,
        log_level=log_level,
        browser_url="https://auth.example.com",
        insecure=insecure,
    )
    return resources_pb2.Resource(key="options", digest=secrets.token_hex(4), options=body)


def provider(
    ident: str = "wiki", host: str = "https://wiki.example.com", mode: int = 2, certificate: str = ""
) -> resources_pb2.Resource:
    """A proxy provider."""
    body = resources_pb2.ProxyProvider(
        id=ident,
        name=ident,
        application_slug=ident,
        application_name=ident,
        client_id=f"client-{ident}",
        external_host=host,
        session_keys=[resources_pb2.SessionKey(id="k1", secret=secrets.token_bytes(32))],
        certificate=certificate,
        intercept_header_auth=True,
    )
    # Numbers beyond the enum are what a newer control may send.
    body.mode = mode  # type: ignore[assignment]  # the stub wants the enum's own values
    body.access_token_validity.FromSeconds(86400)
    return resources_pb2.Resource(key=f"provider/{ident}", digest=secrets.token_hex(4), proxy_provider=body)


@dataclass(slots=True)
class _Connection:
    """One Watch stream as control holds it; `outbox` takes messages, or None for the end, or an error."""

    outbox: "SimpleQueue[link_pb2.WatchResponse | tuple[grpc.StatusCode, str] | None]" = field(
        default_factory=SimpleQueue
    )


class FakeControl(Calls):
    """The control plane. What outposts said is in `hellos`, `applied`, `healths`, `ended`."""

    def __init__(self, authority: Authority | None = None) -> None:
        super().__init__()
        self.token = secrets.token_urlsafe(32)
        self.authority = authority or Authority()
        self.https: Pair | None = None
        # Of the next certificates, in seconds; those after them are good for a day.
        self.lifetimes: Iterator[float] = iter(())
        self.skew = 0.0
        self.enrol_error: tuple[int, dict[str, str]] | None = None
        self.knows_token = True
        # Others that are good beside `token`, and those of all that are revoked.
        self.newer_tokens: list[str] = []
        self.revoked_tokens: set[str] = set()
        self.refuse_streams: tuple[grpc.StatusCode, str] | None = None
        # Who says Hello to one that lets nobody in is left waiting.
        self.lets_in = True
        self.waiting: list[link_pb2.Hello] = []
        self.part_size = 1000
        self.revision = 0
        self.resources: dict[str, resources_pb2.Resource] = {}
        self.enrolments: list[dict[str, Any]] = []
        self.hellos: list[link_pb2.Hello] = []
        self.applied: list[link_pb2.Applied] = []
        self.healths: list[link_pb2.Health] = []
        self.tokens_held: list[str] = []
        self.directory_applied: list[link_pb2.DirectoryApplied] = []
        self.connections: list[_Connection] = []
        # A push between a stream's greeting and its entry into `connections` would reach nobody.
        self.entering = threading.Lock()
        self.link_port = free_port()
        self.link_addresses: list[str] = [f":{self.link_port}"]
        self._grpc: grpc.Server | None = None
        self._http: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self.start_http()
        self.start_link()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_link()
        self.stop_http()

    @property
    def url(self) -> str:
        """AUTHENTIK_HOST."""
        assert self._http
        return f"{'https' if self.https else 'http'}://localhost:{self._http.server_address[1]}"

    def environment(self) -> dict[str, str]:
        """What an outpost needs to know."""
        return {"AUTHENTIK_HOST": self.url, "AUTHENTIK_TOKEN": self.token}

    # Enrolment.

    def start_http(self) -> None:
        """Take enrolments."""
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        if self.https:
            self._http.socket = tls_context(self.https).wrap_socket(self._http.socket, server_side=True)
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    @contextmanager
    def on_socket(self, path: Path) -> Iterator[str]:
        """Take enrolments on a unix socket too, as control does of its front door; the path."""
        with ThreadingUnixStreamServer(str(path), self._handler()) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            yield str(path)
            server.shutdown()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        control = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = control._enrol(self.path, body, self.headers["X-Garrison-Mac"])
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def stop_http(self) -> None:
        """Take no more enrolments."""
        if self._http:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def _enrol(self, path: str, body: bytes, mac: str) -> tuple[int, dict[str, str], bytes]:
        if urlsplit(path).path != "/-/enrol":
            return 404, {}, b"not found"
        question = json.loads(body)
        self.enrolments.append(question)
        nonce = base64.urlsafe_b64decode(question["nonce"])
        known = {_fingerprint(each): each for each in (self.token, *self.newer_tokens)}
        token = known.get(question["token_id"])
        if not self.knows_token or token is None:
            return 401, {}, b'{"error": "unknown_token"}'
        if not hmac.compare_digest(mac, hmac.new(_derive(token, b"outpost"), body, hashlib.sha256).hexdigest()):
            return 401, {}, b'{"error": "bad_mac"}'
        status, answer = self.enrol_error or (200, self._answer(question))
        if token in self.revoked_tokens:
            status, answer = 403, {"error": "revoked_token"}
        raw = json.dumps(answer).encode()
        return status, {"X-Garrison-Mac": self.prove(nonce + raw, token)}, raw

    def prove(self, message: bytes, token: str = "") -> str:
        """Control's MAC."""
        return hmac.new(_derive(token or self.token, b"control"), message, hashlib.sha256).hexdigest()

    def send_token(self) -> str:
        """Rotate: a new token beside the others, sent to all streams."""
        secret = secrets.token_urlsafe(32)
        self.newer_tokens.append(secret)
        command = link_pb2.Command(new_token=link_pb2.NewToken(secret=secret))
        self.tell(link_pb2.WatchResponse(command=command))
        return secret

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        return {
            "certificate": self.authority.sign_request(question["csr"], next(self.lifetimes, DAY)),
            "ca": self.authority.pem,
            "link": self.link_addresses,
            "outpost": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
            "name": "edge",
            "type": question["type"],
            "clock": time.time() + self.skew,
        }

    # The link.

    def start_link(self) -> None:
        """Take streams and calls."""
        server = grpc.server(ThreadPoolExecutor(32), options=_SERVER_OPTIONS)
        link_pb2_grpc.add_LinkServicer_to_server(_Link(self), server)  # type: ignore[no-untyped-call]  # generated
        gate_pb2_grpc.add_GateServicer_to_server(Gate(self), server)  # type: ignore[no-untyped-call]  # generated
        pair = self.authority.issue(SERVER_NAME)
        credentials = grpc.ssl_server_credentials(
            [(pair.key.encode(), pair.certificate.encode())],
            root_certificates=self.authority.pem.encode(),
            require_client_auth=True,
        )
        server.add_secure_port(f"127.0.0.1:{self.link_port}", credentials)
        server.start()
        self._grpc = server

    def stop_link(self) -> None:
        """Be away; all streams break."""
        if self._grpc:
            for connection in self.connections:
                connection.outbox.put(None)
            self._grpc.stop(0).wait()
            self._grpc = None
            self.connections.clear()

    def hold(self, *resources: resources_pb2.Resource, removed: Iterable[str] = ()) -> int:
        """Change what outposts should hold and push it; the revision."""
        with self.entering:
            self.revision += 1
            for resource in resources:
                self.resources[resource.key] = resource
            gone = [key for key in removed if self.resources.pop(key, None)]
            for connection in [*self.connections]:
                self._send(connection, [*resources], gone)
            return self.revision

    def tell(self, message: link_pb2.WatchResponse | tuple[grpc.StatusCode, str] | None) -> None:
        """Send something to all streams."""
        for connection in self.connections:
            connection.outbox.put(message)

    def settled(self, revision: int) -> link_pb2.Applied:
        """Wait for Applied of a revision."""
        found = eventually(
            lambda: [each for each in self.applied if each.revision == revision], f"revision {revision} applied"
        )
        assert isinstance(found[-1], link_pb2.Applied)
        return found[-1]

    def _greet(self, connection: _Connection, hello: link_pb2.Hello) -> None:
        self.hellos.append(hello)
        differing = [each for each in self.resources.values() if hello.held.get(each.key) != each.digest]
        removed = [key for key in hello.held if key not in self.resources]
        if differing or removed:
            self._send(connection, differing, removed)

    def _send(self, connection: _Connection, resources: list[resources_pb2.Resource], removed: list[str]) -> None:
        chunks = [resources[at : at + self.part_size] for at in range(0, len(resources), self.part_size)] or [[]]
        for part, chunk in enumerate(chunks):
            last = part == len(chunks) - 1
            config = link_pb2.Config(
                revision=self.revision,
                part=part,
                last=last,
                resources=[each.SerializeToString() for each in chunk],
                removed=removed if last else [],
            )
            connection.outbox.put(link_pb2.WatchResponse(config=config))


class _Link(link_pb2_grpc.LinkServicer):
    def __init__(self, control: FakeControl) -> None:
        self._control = control

    def Watch(  # noqa: N802  gRPC names it
        self, requests: Iterator[link_pb2.WatchRequest], context: grpc.ServicerContext
    ) -> Iterator[link_pb2.WatchResponse]:
        control = self._control
        if control.refuse_streams:
            next(requests)
            context.abort(*control.refuse_streams)
        connection = _Connection()
        threading.Thread(target=self._listen, args=(requests, connection, context), daemon=True).start()
        while message := connection.outbox.get():
            if isinstance(message, tuple):
                context.abort(*message)
            else:
                yield message

    def _listen(
        self, requests: Iterator[link_pb2.WatchRequest], connection: _Connection, context: grpc.ServicerContext
    ) -> None:
        control = self._control
        try:
            for request in requests:
                match request.WhichOneof("message"):
                    case "hello":
                        self._hear(request.hello, connection, context)
                    case "applied":
                        control.applied.append(request.applied)
                    case "health":
                        control.healths.append(request.health)
                    case "directory_applied":
                        control.directory_applied.append(request.directory_applied)
                    case "token_held":
                        control.tokens_held.append(request.token_held.fingerprint)
        except grpc.RpcError:
            pass
        finally:
            with suppress(ValueError):  # not greeted yet, or `stop_link` was faster
                control.connections.remove(connection)
            connection.outbox.put(None)

    def _hear(self, hello: link_pb2.Hello, connection: _Connection, context: grpc.ServicerContext) -> None:
        control = self._control
        if not control.lets_in:
            control.waiting.append(hello)
            return
        is_new = connection not in control.connections
        if is_new:
            context.send_initial_metadata(((ADMITTED, ""),))
        with control.entering:
            control._greet(connection, hello)
            if is_new:
                control.connections.append(connection)


_SERVER_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


def _fingerprint(token: str) -> str:
    return hashlib.sha256(b"garrison token id\0" + token.encode()).hexdigest()


def _derive(token: str, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=b"garrison enrol v1", info=info).derive(token.encode())

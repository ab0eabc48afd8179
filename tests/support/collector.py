"""A collector of traces: an HTTP server that takes OTLP in protobuf, as any collector does, and reads it back."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True, kw_only=True)
class Received:
    """A span, and whose it is."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    state: str
    error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]
    links: list[str]
    seconds: float


@dataclass
class Collector:
    """What came so far. `status` is what it answers."""

    port: int = 0
    status: int = 200
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    spans: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def of(self, kind: str) -> list[Received]:
        """The spans of a kind, the oldest first."""
        return [span for span in self.spans if span.kind == kind]

    def take(self, body: bytes) -> None:
        """Keep what a request holds. Raises DecodeError."""
        message = ExportTraceServiceRequest.FromString(body)
        for of_resource in message.resource_spans:
            resource = {each.key: _value(each.value) for each in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                self.spans += [_received(span, resource) for span in of_scope.spans]


def _received(span: Span, resource: dict[str, Any]) -> Received:
    return Received(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        state=span.trace_state,
        error=span.status.code == 2,
        attributes={each.key: _value(each.value) for each in span.attributes},
        resource=resource,
        links=[link.trace_id.hex() for link in span.links],
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


def _value(value: AnyValue) -> Any:
    return getattr(value, cast("str", value.WhichOneof("value")))


class _Handler(BaseHTTPRequestHandler):
    collector: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        collector = self.collector
        collector.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        if collector.status == 200:
            collector.take(body)
        self.send_response(collector.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        """Nothing to say."""


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a port of its own."""
    collector = Collector()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"collector": collector}))
    server.daemon_threads = True
    collector.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

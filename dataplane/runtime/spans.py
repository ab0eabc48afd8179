"""OpenTelemetry as the proxy's `Tracing`: spans by the semantic conventions for HTTP, and their way to the collector.

Nothing else imports the library, and `tracing` imports this only where traces are wanted. No query, header, cookie or
person is told; names and paths are. A trace context is continued where a trusted peer sends it; of whoever else it is
linked to, so that strangers choose neither what is recorded nor whose trace it is in.
"""

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import gevent
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, format_trace_id

from dataplane.metering import Sample, counters
from dataplane.protocols.proxy.messages import Headers, Request
from dataplane.protocols.proxy.told.spans import Arrived, Ending
from dataplane.protocols.proxy.told.spans import Span as ProxySpan

_BATCH: Final = 64
"""Spans that are encoded in a row, unless the environment has another number: about 2 ms of a worker's time."""
_ROOM: Final = 2048
"""Spans that wait at most, as the standard has it: some 10 MB."""
_QUIET = 60.0
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
_SERVER_ERROR, _CLIENT_ERROR = 500, 400
_MOST, _MOST_WORDS = 1024, 300
_PORTS = {"http": 80, "https": 443}
log = logging.getLogger("dataplane.tracing")


class _Fields(Getter[Request]):
    """Reads a trace context from a request. Two of them are none (W3C Trace Context 2.2, 3.2)."""

    def get(self, carrier: Request, key: str) -> list[str] | None:
        name = key.lower().encode()
        value = carrier.fields.get(name)
        if value is None:
            return None
        if name in carrier.repeated:
            if name == b"traceparent":
                return None
            value = b",".join(each for known, each in carrier.headers if known == name)
        return [value.decode("latin-1")]

    def keys(self, carrier: Request) -> list[str]:
        return [name.decode("latin-1") for name in carrier.fields]


_FIELDS = _Fields()


class Spans:
    """Makes spans and sends them. Raises ValueError for an environment that can't be used."""

    def __init__(self, environment: Mapping[str, str], version: str, worker: int) -> None:
        self._exporter = _Exporter(OTLPSpanExporter())
        room = int(environment.get("OTEL_BSP_MAX_QUEUE_SIZE") or _ROOM)
        batch = int(environment.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") or min(_BATCH, room))
        self._processor = _Processor(self._exporter, room, batch)
        provider = TracerProvider(resource=_resource(version, worker), shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("garrison", version)
        self.names = frozenset(name.lower().encode() for name in propagate.get_global_textmap().fields)
        """Headers that take traces on; a client's own are dropped where these are sent."""

    def begin(self, arrived: Arrived) -> ProxySpan:
        """The span of a request that has just come."""
        return _Span(self._tracer, arrived)

    def settle(self, seconds: float) -> None:
        """Send what waits, for so long at most: a worker ends."""
        with suppress(gevent.Timeout), gevent.Timeout(seconds):
            self._processor.force_flush()

    def close(self) -> None:
        """Send no more, not even what waits."""
        self._exporter.shutdown()
        self._processor.shutdown()  # type: ignore[no-untyped-call]  # the library's

    def counters(self) -> list[Sample]:
        """What became of spans."""
        became = {"exported": self._exporter.exported, "dropped": self._processor.dropped + self._exporter.failed}
        return counters("garrison_proxy_spans_total", "Spans of traces, by what became of them", "outcome", became)


class _Span:
    """One request's span, and the one below it of what went on."""

    __slots__ = ("_below", "_context", "_method", "_path", "_span", "_tracer", "trace_id")

    def __init__(self, tracer: trace.Tracer, arrived: Arrived) -> None:
        request = arrived.request
        self._tracer = tracer
        self._method = _method(request.method)
        self._path = request.path.decode("latin-1")[:_MOST]
        self._below: trace.Span | None = None
        told = propagate.extract(request, Context(), getter=_FIELDS)
        theirs = trace.get_current_span(told).get_span_context()
        links = () if arrived.trusted or not theirs.is_valid else (Link(theirs),)
        above = told if arrived.trusted else Context()
        name = self._method if self._method in _METHODS else "HTTP"
        self._span = tracer.start_span(name, above, SpanKind.SERVER, None, links)
        self._context = trace.set_span_in_context(self._span, above)
        self.trace_id = ""
        if self._span.is_recording():
            # Not before: no sampler of the standard asks for them, and they cost more than all else.
            self._span.set_attributes(_arrival(arrived, self._method, self._path))
            self.trace_id = format_trace_id(self._span.get_span_context().trace_id)

    def onward(self) -> Headers:
        """Begin the span below it, and the headers that take it on to the application."""
        context = self._context
        if self._span.is_recording():
            name = self._method if self._method in _METHODS else "HTTP"
            self._below = self._tracer.start_span(name, context, SpanKind.CLIENT)
            context = trace.set_span_in_context(self._below, context)
        carrier: dict[str, str] = {}
        propagate.inject(carrier, context)
        return tuple((name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in carrier.items())

    def end(self, ending: Ending) -> None:
        """End both."""
        if self._below is not None:
            self._tell_below(self._below, ending)
            self._below.end()
        if self._span.is_recording():
            self._tell(self._span, ending)
        self._span.end()

    def _tell_below(self, below: trace.Span, ending: Ending) -> None:
        told: dict[str, str | int] = {
            **_server(ending.address),
            "http.request.method": self._method,
            "url.full": f"{ending.address}{self._path}",
        }
        if ending.failure:
            told["error.type"] = ending.failure
        else:
            told["http.response.status_code"] = ending.status
            if ending.status >= _CLIENT_ERROR:
                told["error.type"] = str(ending.status)
        _put(below, told)

    @staticmethod
    def _tell(span: trace.Span, ending: Ending) -> None:
        told: dict[str, str | int] = {
            "http.request.body.size": ending.received,
            "http.response.body.size": ending.sent,
            "garrison.provider": ending.provider,
            "garrison.decision": ending.decision,
        }
        if ending.status:
            told["http.response.status_code"] = ending.status
        if ending.failure or ending.status >= _SERVER_ERROR:
            told["error.type"] = ending.failure or str(ending.status)
        _put(span, told)


def _put(span: trace.Span, told: Mapping[str, str | int]) -> None:
    span.set_attributes(told)
    if "error.type" in told:
        span.set_status(Status(StatusCode.ERROR))


def _method(sent: bytes) -> str:
    """A method that is known (semantic conventions: `_OTHER` for the rest), so that nobody makes names up."""
    method = sent.decode("latin-1")
    return method if method in _METHODS else "_OTHER"


def _arrival(arrived: Arrived, method: str, path: str) -> dict[str, str | int]:
    host, _, port = (
        arrived.host.rpartition(":") if arrived.host[-1:].isdigit() and ":" in arrived.host else ("", "", "")
    )
    return {
        "http.request.method": method,
        "url.scheme": arrived.scheme,
        "url.path": path,
        "server.address": host or arrived.host,
        "server.port": int(port) if port else _PORTS.get(arrived.scheme, 0),
        "client.address": arrived.client,
        "network.protocol.version": arrived.request.version.decode("latin-1"),
        "user_agent.original": arrived.request.fields.get(b"user-agent", b"").decode("utf-8", "replace")[:_MOST],
    }


@lru_cache(maxsize=256)
def _server(address: str) -> dict[str, str | int]:
    """Where an upstream is, by its address as configured."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return {}
    if not host:
        return {"server.address": parts.path} if parts.scheme == "unix" else {}
    return {"server.address": host, "server.port": port or _PORTS.get(parts.scheme, 0)}


def _resource(version: str, worker: int) -> Resource:
    """Whose spans these are: what the environment says goes before what we know."""
    ours = Resource({"service.name": "garrison-outpost", "service.version": version, "garrison.worker": worker})
    # Made of ours with theirs over it, since what `create` is given goes before the environment.
    return Resource.create(ours.merge(OTELResourceDetector().detect()).attributes)


class _Ear(logging.Handler):
    """Hears why the library could not send, and keeps it to itself: it says so as often as it tries."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: deque[str] = deque(maxlen=2)
        quiet, exporter = logging.getLogger("opentelemetry"), logging.getLogger("opentelemetry.exporter")
        quiet.setLevel(logging.CRITICAL)
        exporter.setLevel(logging.WARNING)
        exporter.propagate = False
        exporter.handlers = [self]

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.hear(record.getMessage())

    def hear(self, words: str) -> None:
        """Keep them."""
        self._said.append(words[:_MOST_WORDS])

    @property
    def words(self) -> str:
        """The last of it: the trouble, and that no more was tried."""
        return " ".join(self._said)


class _Exporter(SpanExporter):
    """Counts what the library's exporter could send and what not, and says the latter once a minute."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._below = exporter
        self._ear = _Ear()
        self._quiet_until = 0.0
        self.taken = 0
        self.exported = 0
        self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        self.taken += len(spans)
        try:
            result = self._below.export(spans)
        except Exception as error:  # whatever it is: an endpoint that is no URL, for one
            log.debug("the exporter failed", exc_info=error)
            self._ear.hear(str(error))
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.exported += len(spans)
        else:
            self.failed += len(spans)
            self._complain()
        return result

    def shutdown(self) -> None:
        """No more."""
        self._below.shutdown()  # type: ignore[no-untyped-call]  # the library's

    def _complain(self) -> None:
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            log.warning("the collector of traces takes none", extra={"lost": self.failed, "reason": self._ear.words})


class _Processor(BatchSpanProcessor):
    """Counts what its queue had no room for: the library drops the oldest span and only logs it."""

    def __init__(self, exporter: _Exporter, room: int, batch: int) -> None:
        super().__init__(exporter, room, max_export_batch_size=batch)
        self._exporter = exporter
        self._room = room
        self._ended = 0
        self.dropped = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Queue it."""
        if span.context is not None and span.context.trace_flags.sampled:
            if self._ended - self.dropped - self._exporter.taken >= self._room:
                self.dropped += 1
            self._ended += 1
        super().on_end(span)

"""Traces of what a worker serves, by OpenTelemetry: on or off, and where to, as its standard environment variables say.

Without them nothing of the library is imported. Spans wait in the library's bounded queue and go out in small batches,
by HTTP in protobuf alone: a worker has one gRPC channel, that of the link. A collector that is away costs spans, which
are counted, and a line a minute. What can't be used is said once, and the outpost serves without traces, for they
guard nothing.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataplane.runtime.spans import Spans

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTER = "OTEL_TRACES_EXPORTER"
_PROTOCOL = "http/protobuf"

log = logging.getLogger("dataplane.tracing")


class TracingRefused(Exception):
    """The environment asks for what isn't there; the message says what, and what was expected."""


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether traces are to be made. Raises TracingRefused. An empty variable counts as unset, as the standard says."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get(_EXPORTER, "").strip()
    if exporter == "none" or not (exporter or any(environment.get(name, "").strip() for name in _ENDPOINTS)):
        return False
    if exporter not in {"", "otlp"}:
        raise TracingRefused(f"{_EXPORTER}: {exporter!r}: expected otlp or none")
    for name in _PROTOCOLS:
        protocol = environment.get(name, "").strip()
        if protocol not in {"", _PROTOCOL}:
            raise TracingRefused(f"{name}: {protocol!r}: expected {_PROTOCOL}, on the collector's port 4318")
        if protocol:  # that of traces alone goes before
            break
    return True


def find(environment: Mapping[str, str], version: str, worker: int) -> "Spans | None":
    """What makes spans, if the environment asks for it and has all that takes; what doesn't fit is logged."""
    try:
        return _made(environment, version, worker) if is_wanted(environment) else None
    except TracingRefused as error:
        if not worker:  # one of them is enough to say it
            log.error("no traces are made: %s", error)  # noqa: TRY400  the line says all
        return None


def _made(environment: Mapping[str, str], version: str, worker: int) -> "Spans":
    try:
        # Imported here, as most outposts do without its tenth of a second and 9 MB.
        from dataplane.runtime.spans import Spans
    except ImportError as error:
        raise TracingRefused(f"{error.name} is not installed: expected garrison[tracing]") from error
    except ValueError as error:  # the library's propagators are made by its import
        raise TracingRefused(f"OTEL_PROPAGATORS: {error}") from error
    try:
        return Spans(environment, version, worker)
    except ValueError as error:
        raise TracingRefused(str(error)) from error

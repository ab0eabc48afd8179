"""Traces: on, off or refused, by the standard environment variables."""

import logging
import subprocess
import sys

import pytest

from dataplane.runtime.tracing import TracingRefused, find, is_wanted

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": ""}, False),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "false"}, True),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "1"}, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": ""}, True),
        # That of traces goes before.
        (
            ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            True,
        ),
        # Nobody wants traces, so nobody minds.
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
        ({"OTEL_SERVICE_NAME": "edge", "OTEL_METRICS_EXPORTER": "otlp"}, False),
    ],
)
def test_when_there_are_traces(environment: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environment) is wanted


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc': expected http/protobuf, on the collector's port 4318",
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json': expected http/protobuf, on the collector's port 4318",
        ),
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER: 'console': expected otlp or none"),
        ({"OTEL_TRACES_EXPORTER": "otlp,console"}, "OTEL_TRACES_EXPORTER: 'otlp,console': expected otlp or none"),
    ],
)
def test_what_isnt_there_is_refused_in_words(environment: dict[str, str], words: str) -> None:
    with pytest.raises(TracingRefused) as raised:
        is_wanted(ENDPOINT | environment)
    assert str(raised.value) == words


def test_who_is_refused_serves_without_and_one_worker_says_so(caplog: pytest.LogCaptureFixture) -> None:
    environment = ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with caplog.at_level(logging.INFO, "dataplane.tracing"):
        assert [find(environment, "1.0", worker) for worker in range(3)] == [None, None, None]
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage().startswith("no traces are made: OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc'")


def test_nothing_is_imported_that_nobody_asked_for() -> None:
    program = (
        "import sys; from dataplane.runtime import builders, serving, tracing;"
        "from dataplane.protocols.proxy import server;"
        "assert tracing.find({}, '1.0', 0) is None;"
        "sys.exit(any(name.partition('.')[0] in {'opentelemetry', 'requests'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("OTEL_PROPAGATORS", "pigeons", "OTEL_PROPAGATORS: Propagator pigeons not found"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "invalid literal for int"),
        (
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            "4096",
            "max_export_batch_size must be less than or equal to max_queue_size",
        ),
    ],
)
def test_what_the_library_refuses_is_said_too(variable: str, value: str, words: str) -> None:
    """In a process of its own, since it reads some of it when it is imported."""
    program = (
        "import logging, os, sys; logging.basicConfig(stream=sys.stdout);"
        "from dataplane.runtime import tracing; assert tracing.find(os.environ, '1.0', 0) is None"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=ENDPOINT | {variable: value}, stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout.startswith(f"ERROR:dataplane.tracing:no traces are made: {words}")

"""What an outpost tells of requests, as whoever collects it sees it: lines on standard output, spans by OTLP."""

import fcntl
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import pytest

from protos.outpost.v1 import resources_pb2
from tests.support.collector import Collector, collecting
from tests.support.fake_control import FakeControl, eventually, options, provider
from tests.support.outpost_process import OutpostProcess
from tests.support.peers_program import free_port

HOST = "wiki.example.com"


class _Application(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one piece an answer: head and body by themselves would wait for each other's acknowledgement
    seen: list[dict[str, str]]

    def do_GET(self) -> None:
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        """Nothing to say."""


@pytest.fixture
def application() -> Iterator[tuple[int, list[dict[str, str]]]]:
    """An application's port, and what it was asked."""
    seen: list[dict[str, str]] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Application", (_Application,), {"seen": seen})) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port, seen
        server.shutdown()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


class Told:
    """An outpost with one open application behind it, and what it says on standard output.

    To `output` its log goes too.
    """

    def __init__(
        self, stack: ExitStack, folder: Path, port: int, environment: Mapping[str, str], output: IO[bytes] | None = None
    ) -> None:
        control = stack.enter_context(FakeControl())
        self._output = folder / "output.log"
        both = output is not None
        output = output or stack.enter_context(self._output.open("ab"))
        environment = {**control.environment(), **environment}
        self.outpost = OutpostProcess(folder, environment, workers=2, output=output, both=both)
        revision = control.hold(options(), _standing_before(port))
        stack.enter_context(self.outpost)
        control.settled(revision)
        self.outpost.ready()

    def ask(self, path: str = "/") -> int:
        """The status of a GET."""
        return self.outpost.get(path, HOST, self.outpost.http_port)[0]

    def refused_until_lines_are_lost(self) -> int:
        """Requests for a host that nobody has, each with a line of the log at least; how many it took."""
        name = "garrison_outpost_log_lines_dropped_total"
        for count in range(500, 10_000, 500):
            with closing(HTTPConnection("127.0.0.1", self.outpost.http_port, timeout=30)) as connection:
                for _ in range(500):
                    connection.request("GET", "/", headers={"Host": "nobody." * 20 + "example.com"})
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 404
            if self.outpost.metrics()[name] > 0:
                return count
        raise AssertionError("no line is lost")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Every line is JSON, or this fails."""
        return [json.loads(line) for line in self._output.read_bytes().splitlines()]


Start = Callable[..., Told]


@pytest.fixture
def start(tmp_path: Path, application: tuple[int, list[dict[str, str]]]) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda **environment: Told(stack, tmp_path, application[0], environment)


def _standing_before(port: int) -> resources_pb2.Resource:
    resource = provider(host=f"http://{HOST}", mode=resources_pb2.ProxyProvider.MODE_PROXY)
    resource.proxy_provider.skip_path_regex.append("^/open")
    upstream = resource.proxy_provider.upstream
    upstream.addresses.append(f"http://127.0.0.1:{port}")
    for timeout in (upstream.connect_timeout, upstream.response_timeout, upstream.idle_timeout):
        timeout.FromSeconds(10)
    return resource


def test_lines_of_all_workers_come_whole_and_the_last_ones_before_the_end(start: Start) -> None:
    told = start()
    for number in range(40):
        assert told.ask(f"/open/{number}?token=hunter2") == 200
    assert told.ask("/closed") == 302
    told.outpost.signal(signal.SIGTERM)
    assert told.outpost.wait() == 0
    access = [line for line in told.lines if line["log"] == "access"]
    assert sorted(line["path"] for line in access) == sorted([*(f"/open/{number}" for number in range(40)), "/closed"])
    assert {line["status"] for line in access} == {200, 302}
    assert {line["decision"] for line in access} == {"open", "challenged"}
    (decision,) = (line for line in told.lines if line["log"] == "decision")
    assert (decision["path"], decision["reason"]) == ("/closed", "no_session")
    assert "hunter2" not in json.dumps(told.lines)


def test_a_reader_that_stands_still_holds_up_nobody(
    tmp_path: Path, application: tuple[int, list[dict[str, str]]]
) -> None:
    reading, writing = os.pipe()
    with ExitStack() as stack:
        stack.callback(os.close, reading)
        with os.fdopen(writing, "wb") as output:
            told = Told(stack, tmp_path, application[0], {}, output)
        for _ in range(100):
            assert told.ask("/open/" + "a" * 1000) == 200
        with os.fdopen(os.dup(reading), "rb") as held:
            # Several times what the pipe holds; and then it flows again.
            access = 0
            while access < 100:
                access += json.loads(held.readline()).get("log") == "access"


def test_nor_does_one_of_the_log(tmp_path: Path, application: tuple[int, list[dict[str, str]]]) -> None:
    """Ordinary lines, of a supervisor and workers that share one small pipe with those of requests."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with ExitStack() as stack:
        held = stack.enter_context(os.fdopen(reading, "rb"))
        with os.fdopen(writing, "wb") as output:
            told = Told(stack, tmp_path, application[0], {}, output)
        before = told.outpost.workers
        refused = told.refused_until_lines_are_lost()
        # Both workers, as connections are dealt out between them; none of them has been replaced.
        assert [told.ask("/open") for _ in range(30)] == [200] * 30
        assert told.outpost.workers == before
        lost, lines = 0, []
        while not lost:
            lines.append(json.loads(held.readline()))
            lost = lines[-1].get("lines", 0) if lines[-1].get("logger") == "dataplane.logs" else 0
        assert sum(str(line.get("event")).startswith("refused") for line in lines) + lost <= refused
        told.outpost.signal(signal.SIGTERM)
        rest = [json.loads(line) for line in held]
        assert told.outpost.wait() == 0
    assert rest[-1]["event"] == "the outpost has ended"
    assert sum(line.get("event") == "the outpost is up" for line in lines) == 1


def test_who_is_told_to_stop_while_nobody_reads_stops(
    tmp_path: Path, application: tuple[int, list[dict[str, str]]]
) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with ExitStack() as stack:
        stack.callback(os.close, reading)
        with os.fdopen(writing, "wb") as output:
            told = Told(stack, tmp_path, application[0], {}, output)
        told.refused_until_lines_are_lost()
        told.outpost.signal(signal.SIGTERM)
        assert told.outpost.wait(5) == 0


def test_traces_reach_a_collector_whole(
    start: Start, collector: Collector, application: tuple[int, list[dict[str, str]]]
) -> None:
    told = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="edge", OTEL_BSP_SCHEDULE_DELAY="60000")
    for _ in range(5):
        assert told.ask("/open?token=hunter2") == 200
    told.outpost.signal(signal.SIGTERM)
    assert told.outpost.wait() == 0
    servers, clients = collector.of("server"), collector.of("client")
    assert len(servers) == len(clients) == 5
    assert {span.resource["service.name"] for span in collector.spans} == {"edge"}
    assert {span.attributes["url.path"] for span in servers} == {"/open"}
    above = {span.span_id: span.trace_id for span in servers}
    assert all(above[span.parent] == span.trace_id for span in clients)
    sent = {head["traceparent"].split("-")[2] for head in application[1]}
    assert sent == {span.span_id for span in clients}
    assert {line["trace_id"] for line in told.lines if line["log"] == "access"} == set(above.values())


def test_a_collector_that_is_away_costs_nothing_but_a_line(start: Start) -> None:
    told = start(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}", OTEL_BSP_SCHEDULE_DELAY="50",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )  # fmt: skip
    for _ in range(10):
        assert told.ask("/open") == 200
    told.outpost.logged("the collector of traces takes none")
    assert told.outpost.metrics()['garrison_proxy_spans_total{outcome="dropped"}'] > 0
    assert told.ask("/open") == 200
    assert sum(line["logger"].startswith("opentelemetry") for line in told.outpost.log) == 0


def test_grpc_is_refused_in_words_and_the_outpost_serves(start: Start) -> None:
    told = start(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4317", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert told.ask("/open") == 200
    (line,) = eventually(
        lambda: [line for line in told.outpost.log if line["logger"] == "dataplane.tracing"], "one worker says so"
    )
    assert line["level"] == "error"
    assert "OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc': expected http/protobuf" in line["event"]

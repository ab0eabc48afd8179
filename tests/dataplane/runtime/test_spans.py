"""Spans as a collector gets them: by the semantic conventions, above and below whose they are, and never a secret."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import pytest

from dataplane.protocols.proxy.messages import Body, Headers, Request
from dataplane.protocols.proxy.told.spans import Arrived, Ending
from dataplane.runtime.spans import Spans
from dataplane.runtime.tracing import find
from tests.support.collector import Collector, collecting
from tests.support.fake_control import eventually
from tests.support.peers_program import free_port

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01".encode()
ENDING = Ending(
    status=200, failure="", user="alice", provider="Wiki", decision="session", address="http://10.0.0.4:3000",
    waited=0.01, received=12, sent=3456,
)  # fmt: skip
Start = Callable[..., Spans]


@contextmanager
def environment(**variables: str) -> Iterator[dict[str, str]]:
    """The process's, for the library reads it itself, with a quick exporter."""
    variables = {"OTEL_BSP_SCHEDULE_DELAY": "20", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"} | variables
    with mock.patch.dict("os.environ", variables):
        yield variables


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def start(collector: Collector) -> Iterator[Start]:
    with ExitStack() as stack:

        def run(**variables: str) -> Spans:
            told = stack.enter_context(environment(**({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} | variables)))
            spans = find(told, "1.2.3", 4)
            assert spans is not None
            stack.callback(spans.close)
            return spans

        yield run


def arrived(trusted: bool = True, method: bytes = b"GET", host: str = "wiki.example.com", **headers: bytes) -> Arrived:
    fields = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    request = Request(
        method, b"/page?token=hunter2", host, tuple(fields.items()), fields, frozenset(), b"1.1", True, Body.NONE, False
    )  # fmt: skip
    return Arrived(request, "https", host, "203.0.113.9", trusted)


def told(spans: Spans, came: Arrived, ending: Ending = ENDING, *, goes_on: bool = True) -> tuple[str, Headers]:
    """One request from beginning to end; its trace id, and what the application was sent."""
    span = spans.begin(came)
    sent = span.onward() if goes_on else ()
    span.end(ending)
    spans.settle(5)
    return span.trace_id, sent


class TestOneRequest:
    def test_a_span_of_ours_and_one_below_it(self, start: Start, collector: Collector) -> None:
        trace_id, sent = told(start(), arrived(user_agent=b"curl/8"))
        (server,), (client,) = collector.of("server"), collector.of("client")
        assert server.trace_id == client.trace_id == trace_id
        assert client.parent == server.span_id
        assert server.parent == ""
        version, trace, above, flags = dict(sent)[b"traceparent"].decode().split("-")
        assert (version, trace, above) == ("00", trace_id, client.span_id)
        assert int(flags, 16) & 1
        assert (server.name, client.name) == ("GET", "GET")
        assert not server.error
        assert not client.error
        assert server.attributes == {
            "http.request.method": "GET",
            "url.scheme": "https",
            "url.path": "/page",
            "server.address": "wiki.example.com",
            "server.port": 443,
            "client.address": "203.0.113.9",
            "network.protocol.version": "1.1",
            "user_agent.original": "curl/8",
            "http.response.status_code": 200,
            "http.request.body.size": 12,
            "http.response.body.size": 3456,
            "garrison.provider": "Wiki",
            "garrison.decision": "session",
        }
        assert client.attributes == {
            "http.request.method": "GET",
            "server.address": "10.0.0.4",
            "server.port": 3000,
            "url.full": "http://10.0.0.4:3000/page",
            "http.response.status_code": 200,
        }

    def test_whose_they_are(self, start: Start, collector: Collector) -> None:
        told(start(), arrived())
        resource = collector.spans[0].resource
        assert resource["service.name"] == "garrison-outpost"
        assert resource["service.version"] == "1.2.3"
        assert resource["garrison.worker"] == 4

    def test_one_that_is_answered_here_has_none_below(self, start: Start, collector: Collector) -> None:
        told(start(), arrived(), goes_on=False)
        assert [span.kind for span in collector.spans] == ["server"]

    def test_a_failure_of_the_upstream(self, start: Start, collector: Collector) -> None:
        told(start(), arrived(), ENDING._replace(status=502, failure="unreachable"))
        (server,), (client,) = collector.of("server"), collector.of("client")
        assert (server.error, server.attributes["error.type"]) == (True, "unreachable")
        assert (client.error, client.attributes["error.type"]) == (True, "unreachable")
        assert "http.response.status_code" not in client.attributes

    @pytest.mark.parametrize(("status", "errors"), [(404, (False, True)), (500, (True, True)), (302, (False, False))])
    def test_statuses(self, start: Start, collector: Collector, status: int, errors: tuple[bool, bool]) -> None:
        """A client's fault is no error of the server's, as the conventions have it."""
        told(start(), arrived(), ENDING._replace(status=status))
        (server,), (client,) = collector.of("server"), collector.of("client")
        assert (server.error, client.error) == errors

    def test_methods_and_hosts_that_strangers_make_up(self, start: Start, collector: Collector) -> None:
        told(start(), arrived(method=b"H4CK"))
        told(start(), arrived(host="[2001:db8::1]:8443"))
        told(start(), arrived(host="wiki.example.com:8443"))
        told(start(), arrived(host="[2001:db8::1]"))
        made_up, *others = collector.of("server")
        assert (made_up.name, made_up.attributes["http.request.method"]) == ("HTTP", "_OTHER")
        assert [(span.attributes["server.address"], span.attributes["server.port"]) for span in others] == [
            ("[2001:db8::1]", 8443), ("wiki.example.com", 8443), ("[2001:db8::1]", 443),
        ]  # fmt: skip

    def test_no_secret(self, start: Start, collector: Collector) -> None:
        told(start(), arrived(cookie=b"a=hunter2", authorization=b"Basic hunter2", referer=b"https://h/?hunter2"))
        assert collector.spans
        assert "hunter2" not in repr(collector.spans)
        assert "alice" not in repr(collector.spans)


class TestPropagation:
    def test_a_trace_of_a_trusted_peer_goes_on(self, start: Start, collector: Collector) -> None:
        came = arrived(traceparent=TRACEPARENT, tracestate=b"vendor=1", baggage=b"tenant=7")
        trace_id, sent = told(start(), came)
        (server,), (client,) = collector.of("server"), collector.of("client")
        assert trace_id == server.trace_id == TRACE
        assert server.parent == PARENT
        assert dict(sent) == {
            b"traceparent": f"00-{TRACE}-{client.span_id}-01".encode(),
            b"tracestate": b"vendor=1",
            b"baggage": b"tenant=7",
        }

    def test_to_one_of_a_stranger_ours_is_linked(self, start: Start, collector: Collector) -> None:
        came = arrived(trusted=False, traceparent=TRACEPARENT, tracestate=b"vendor=1", baggage=b"tenant=7")
        trace_id, sent = told(start(), came)
        (server,) = collector.of("server")
        assert trace_id != TRACE
        assert (server.parent, server.links) == ("", [TRACE])
        assert [name for name, _ in sent] == [b"traceparent"]

    def test_a_stranger_doesnt_choose_what_is_recorded(self, start: Start, collector: Collector) -> None:
        spans = start(OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0")
        trace_id, sent = told(spans, arrived(trusted=False, traceparent=TRACEPARENT))
        assert trace_id == ""
        assert not int(dict(sent)[b"traceparent"].rpartition(b"-")[2], 16) & 1
        assert told(spans, arrived(traceparent=TRACEPARENT))[0] == TRACE
        assert {span.trace_id for span in collector.spans} == {TRACE}

    @pytest.mark.parametrize(
        "wrong", [b"", b"00-zz-11-01", b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01", b"\xff" * 55]
    )
    def test_what_is_no_trace_begins_one(self, start: Start, collector: Collector, wrong: bytes) -> None:
        trace_id, _ = told(start(), arrived(traceparent=wrong))
        assert len(trace_id) == 32
        assert collector.of("server")[0].parent == ""

    def test_two_traces_are_none(self, start: Start) -> None:
        came = arrived(traceparent=TRACEPARENT)
        request = came.request._replace(repeated=frozenset({b"traceparent"}))
        assert told(start(), came._replace(request=request))[0] != TRACE

    def test_a_state_in_several_lines_is_one(self, start: Start) -> None:
        came = arrived(traceparent=TRACEPARENT, tracestate=b"b=2")
        headers = ((b"traceparent", TRACEPARENT), (b"tracestate", b"a=1"), (b"tracestate", b"b=2"))
        request = came.request._replace(headers=headers, repeated=frozenset({b"tracestate"}))
        assert dict(told(start(), came._replace(request=request))[1])[b"tracestate"] == b"a=1,b=2"

    def test_which_headers_are_ours(self, start: Start) -> None:
        assert start().names == {b"traceparent", b"tracestate", b"baggage"}


class TestEnvironment:
    def test_names_and_attributes(self, start: Start, collector: Collector) -> None:
        told(start(OTEL_SERVICE_NAME="edge", OTEL_RESOURCE_ATTRIBUTES="deployment.environment=lab"), arrived())
        resource = collector.spans[0].resource
        assert resource["service.name"] == "edge"
        assert resource["deployment.environment"] == "lab"
        assert resource["service.version"] == "1.2.3"

    def test_headers_endpoint_and_compression(self, start: Start, collector: Collector) -> None:
        told(
            start(
                OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
                OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/own/path",
                OTEL_EXPORTER_OTLP_HEADERS="x-api-key=k1",
                OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
            ),
            arrived(),
        )
        ((path, headers),) = collector.requests
        assert path == "/own/path"
        assert headers["x-api-key"] == "k1"
        assert headers["content-encoding"] == "gzip"
        assert headers["content-type"] == "application/x-protobuf"
        assert len(collector.spans) == 2

    def test_by_default_to_v1_traces(self, start: Start, collector: Collector) -> None:
        told(start(), arrived())
        assert collector.requests[0][0] == "/v1/traces"


class TestACollectorThatIsAway:
    def test_its_spans_are_counted_and_said_once_a_minute(
        self, start: Start, collector: Collector, caplog: pytest.LogCaptureFixture
    ) -> None:
        collector.status = 400
        spans = start()
        with caplog.at_level(logging.DEBUG):
            for _ in range(3):
                told(spans, arrived())
        assert counted(spans) == {"exported": 0, "dropped": 6}
        (said,) = (record for record in caplog.records if record.levelno >= logging.INFO)
        assert (said.name, said.levelname) == ("dataplane.tracing", "WARNING")
        assert "400" in vars(said)["reason"]
        collector.status = 200
        told(spans, arrived())
        assert counted(spans) == {"exported": 2, "dropped": 6}

    @pytest.mark.parametrize("endpoint", ["collector:4318", "http://", "gopher://collector", "http://[::1"])
    def test_one_whose_address_is_none_is_away(
        self, start: Start, caplog: pytest.LogCaptureFixture, endpoint: str
    ) -> None:
        spans = start(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        told(spans, arrived())
        assert counted(spans) == {"exported": 0, "dropped": 2}
        (said,) = (record for record in caplog.records if record.levelno >= logging.INFO)
        assert vars(said)["reason"]

    def test_nobody_waits_for_it_and_little_is_held(self, start: Start) -> None:
        spans = start(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}", OTEL_BSP_MAX_QUEUE_SIZE="100",
            OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10",
        )  # fmt: skip
        begun = time.perf_counter()
        for _ in range(300):
            span = spans.begin(arrived())
            span.end(ENDING)
        assert time.perf_counter() - begun < 10
        assert counted(spans)["dropped"] >= 300 - 100 - 10 * 3

    def test_what_is_sent_by_itself(self, start: Start, collector: Collector) -> None:
        span = start().begin(arrived())
        span.end(ENDING)
        eventually(lambda: len(collector.spans) == 1, "the span comes")


def counted(spans: Spans) -> dict[str, float]:
    return {sample["labels"]["outcome"]: sample["value"] for sample in spans.counters()}

"""What is told of requests: how much of it by the options, every field of it, and never a secret."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.config import Logged
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.asking import Asking
from dataplane.protocols.proxy.messages import Body, Request, Response
from dataplane.protocols.proxy.metrics import Metrics
from dataplane.protocols.proxy.relay.exchange import Failure, Outcome
from dataplane.protocols.proxy.told import decisions
from dataplane.protocols.proxy.told.decisions import By, Decision, Reason, Verdict
from dataplane.protocols.proxy.told.record import Record
from dataplane.protocols.proxy.told.told import Outlets, Told
from dataplane.protocols.proxy.trust import Seen
from dataplane.verifier import Source
from tests.dataplane.protocols.proxy.builders import ALICE, OPTIONS, WIKI, Clock, Randomness
from tests.dataplane.protocols.proxy.told.paper import FakeSpan, FakeTracing, Paper

SECRET = b"hunter2"


class Desk:
    """A Told with paper, and requests to tell of."""

    def __init__(self, access: Logged = Logged.ALL, decision: Logged = Logged.ALL) -> None:
        self.paper = Paper()
        self.tracing = FakeTracing()
        self.metrics = Metrics()
        outlets = Outlets(worker=3, sink=self.paper, tracing=self.tracing)
        self.told = Told(outlets, Clock(), self.metrics, lambda peer: peer == "127.0.0.1")
        self.told.commit(replace(OPTIONS, access_log=access, decision_log=decision))
        self.application = Application(WIKI, OPTIONS, "1.0", Randomness())

    def begin(self, sent: Request | None = None, peer: str = "127.0.0.1") -> Record:
        seen = Seen("wiki.example.com", "https", "203.0.113.9", "")
        record = self.told.begin(sent or request(), seen, "r1", peer)
        record.application = self.application
        record.person = ALICE
        record.decision = decisions.BY_SESSION
        return record


def request(target: bytes = b"/page?token=hunter2", **headers: bytes) -> Request:
    fields = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Request(
        b"GET", target, "wiki.example.com", tuple(fields.items()), fields, frozenset(), b"1.1", True, Body.NONE, False
    )  # fmt: skip


def asking(target: str = "/page?token=hunter2") -> Asking:
    return Asking(
        id="r2", method=b"GET", scheme="https", host="wiki.example.com", target=target, cookies=b"a=hunter2",
        navigates=True, wants_json=False, client="203.0.113.9",
    )  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestAccess:
    def test_what_was_passed_on(self, desk: Desk) -> None:
        sent = request(user_agent=b"curl/8", referer=b"https://portal.example.com/x?y=hunter2")
        outcome = Outcome(
            status=200, address="http://10.0.0.4:3000", waited=0.0125, received=12, sent=3456, upgraded=False
        )
        desk.told.finish(desk.begin(sent), outcome)
        (line,) = desk.paper.of("access")
        assert line.pop("duration_ms") >= 0
        assert line == {
            "timestamp": "2027-01-15T08:00:00.000+00:00",
            "log": "access",
            "worker": 3,
            "request_id": "r1",
            "client": "203.0.113.9",
            "method": "GET",
            "scheme": "https",
            "host": "wiki.example.com",
            "path": "/page",
            "protocol": "HTTP/1.1",
            "status": 200,
            "bytes_in": 12,
            "bytes_out": 3456,
            "upstream": "http://10.0.0.4:3000",
            "upstream_ms": 12.5,
            "user": "alice",
            "provider": "Wiki provider",
            "decision": "session",
            "user_agent": "curl/8",
            "referer": "portal.example.com",
            "failure": "",
            "detail": "",
            "upgraded": False,
            "trace_id": FakeSpan.trace_id,
        }

    def test_what_was_answered_here(self, desk: Desk) -> None:
        record = desk.begin()
        record.person, record.application, record.decision = None, None, decisions.NO_APPLICATION
        desk.told.answer(record, Response(status=404, body=b"nothing here"))
        (line,) = desk.paper.of("access")
        assert (line["status"], line["bytes_out"], line["decision"]) == (404, 12, "denied")
        assert (line["user"], line["provider"], line["upstream"], line["upstream_ms"]) == ("", "", "", None)

    def test_what_failed(self, desk: Desk) -> None:
        desk.told.finish(desk.begin(), Outcome(status=502, failure=Failure.UNREACHABLE, detail="refused"))
        (line,) = desk.paper.of("access")
        assert (line["failure"], line["detail"]) == ("unreachable", "refused")

    @pytest.mark.parametrize(
        ("outcome", "problem"),
        [
            (Outcome(status=200), False),
            (Outcome(status=304), False),
            (Outcome(status=101, upgraded=True), False),
            (Outcome(status=404), True),
            (Outcome(status=502, failure=Failure.RESET), True),
            (Outcome(status=200, failure=Failure.RESET), True),
            (Outcome(status=0), True),
        ],
    )
    def test_how_much_of_it(self, outcome: Outcome, problem: bool) -> None:
        for logged, told in ((Logged.ALL, True), (Logged.PROBLEMS, problem), (Logged.NOTHING, False)):
            desk = Desk(access=logged)
            desk.told.finish(desk.begin(), outcome)
            assert bool(desk.paper.of("access")) is told

    def test_nothing_before_there_are_options(self, desk: Desk) -> None:
        desk.told.commit(None)
        desk.told.finish(desk.begin(), Outcome(status=500))
        assert desk.paper.lines == []

    def test_other_versions_of_http(self, desk: Desk) -> None:
        desk.told.finish(desk.begin(request()._replace(version=b"1.0")), Outcome(status=200))
        assert desk.paper.of("access")[0]["protocol"] == "HTTP/1.0"


class TestDecisions:
    def test_a_request_that_is_passed_on(self, desk: Desk) -> None:
        desk.told.finish(desk.begin(), Outcome(status=200))
        (line,) = desk.paper.of("decision")
        assert line == {
            "timestamp": "2027-01-15T08:00:00.000+00:00",
            "log": "decision",
            "worker": 3,
            "request_id": "r1",
            "channel": "proxy",
            "verdict": "admitted",
            "by": "session",
            "reason": "",
            "user": "alice",
            "subject": "u1",
            "provider": "Wiki provider",
            "application": "wiki",
            "client": "203.0.113.9",
            "method": "GET",
            "host": "wiki.example.com",
            "path": "/page",
            "trace_id": FakeSpan.trace_id,
        }

    def test_a_check(self, desk: Desk) -> None:
        desk.told.check(desk.application, asking(), ALICE, decisions.NOT_ALLOWED)
        (line,) = desk.paper.of("decision")
        assert (line["channel"], line["verdict"], line["by"]) == ("check", "denied", "session")
        assert (line["reason"], line["user"], line["path"]) == ("access_denied", "alice", "/page")
        assert desk.paper.of("access") == []

    def test_where_nothing_was_decided_there_is_nothing(self, desk: Desk) -> None:
        record = desk.begin()
        record.decision = None
        desk.told.answer(record, Response(status=302))
        assert desk.paper.of("decision") == []
        assert desk.paper.of("access")[0]["decision"] == ""

    @pytest.mark.parametrize("decision", [Decision(verdict, By.SESSION) for verdict in Verdict])
    def test_how_much_of_it(self, decision: Decision) -> None:
        admitted = decision.verdict is Verdict.ADMITTED
        for logged, told in ((Logged.ALL, True), (Logged.PROBLEMS, not admitted), (Logged.NOTHING, False)):
            desk = Desk(decision=logged)
            desk.told.check(desk.application, asking(), None, decision)
            assert bool(desk.paper.lines) is told
            assert desk.told.admissions is (logged is Logged.ALL)

    def test_words(self) -> None:
        assert Decision(Verdict.ADMITTED, By.OPEN).word == "open"
        assert Decision(Verdict.DENIED, By.CONTROL, Reason.ACCESS_DENIED).word == "denied"


class TestSecrets:
    def test_no_query_cookie_credential_or_address_of_a_page_is_told(self, desk: Desk) -> None:
        sent = request(
            b"/page?password=hunter2", cookie=b"session=hunter2", authorization=b"Basic hunter2", x_token=b"hunter2",
            referer=b"https://u:hunter2@h.example/hunter2?hunter2#hunter2",
        )  # fmt: skip
        desk.told.finish(desk.begin(sent), Outcome(status=200))
        desk.told.check(desk.application, asking(), ALICE, decisions.STRANGER)
        assert len(desk.paper.lines) == 3
        assert SECRET not in b"".join(desk.paper.lines)
        assert "hunter2" not in repr(desk.tracing.spans[0].ended)

    @given(
        target=st.binary(max_size=3000), agent=st.binary(max_size=3000), referer=st.binary(max_size=300),
        method=st.binary(max_size=100),
    )  # fmt: skip
    def test_whatever_a_client_sends_is_one_line_of_each_log(
        self, target: bytes, agent: bytes, referer: bytes, method: bytes
    ) -> None:
        desk = Desk()
        sent = request(b"/" + target, user_agent=agent, referer=referer)._replace(method=method)
        desk.told.finish(desk.begin(sent), Outcome(status=200))
        assert [line["log"] for line in desk.paper.told] == ["access", "decision"]
        assert all(line.count(b"\n") == 1 and len(line) <= 4096 for line in desk.paper.lines)


class TestTraces:
    def test_a_span_is_begun_goes_on_and_ends(self, desk: Desk) -> None:
        record = desk.begin()
        assert desk.tracing.arrived[0].trusted
        assert not desk.tracing.spans[0].went_on
        assert desk.told.onward(record)[0][0] == b"traceparent"
        desk.told.finish(record, Outcome(status=200, address="http://10.0.0.4:3000", waited=0.5, sent=9))
        (ending,) = desk.tracing.spans[0].ended
        assert (ending.status, ending.address, ending.waited, ending.sent) == (200, "http://10.0.0.4:3000", 0.5, 9)
        assert (ending.provider, ending.decision) == ("Wiki provider", "session")

    def test_the_peer_has_to_be_trusted(self, desk: Desk) -> None:
        desk.begin(peer="203.0.113.9")
        assert not desk.tracing.arrived[0].trusted

    def test_they_dont_depend_on_the_logs(self) -> None:
        desk = Desk(access=Logged.NOTHING, decision=Logged.NOTHING)
        desk.told.answer(desk.begin(), Response(status=403))
        assert desk.tracing.spans[0].ended[0].status == 403

    def test_without_any_there_is_no_span(self) -> None:
        told = Told(Outlets(), Clock(), Metrics(), lambda _: True)
        record = told.begin(request(), Seen("h", "https", "c", ""), "r", "p")
        assert record.span is None
        assert told.onward(record) == ()
        assert told.trace_names == frozenset()
        told.finish(record, Outcome(status=200))
        told.settle(1)
        assert [sample["value"] for sample in told.counters()] == [0]


def test_times_are_counted(desk: Desk) -> None:
    desk.told.finish(desk.begin(), Outcome(status=200, waited=0.02))
    desk.told.finish(desk.begin(), Outcome(status=502))
    requests, upstreams = desk.metrics._histograms("edge")
    assert requests["name"] == "authentik_outpost_proxy_request_duration_seconds"
    assert upstreams["name"] == "authentik_outpost_proxy_upstream_response_duration_seconds"
    assert (sum(requests["counts"]), sum(upstreams["counts"])) == (2, 1)
    assert requests["labels"]["host"] == upstreams["labels"]["host"] == "wiki.example.com"


def test_all_is_settled_and_what_was_lost_counted(desk: Desk) -> None:
    desk.told.settle(0.5)
    assert desk.paper.settled == [0.5]
    assert 0.4 < desk.tracing.settled[0] < 0.5
    desk.paper.dropped = 7
    assert {sample["name"]: sample["value"] for sample in desk.told.counters()} == {
        "garrison_proxy_log_lines_dropped_total": 7,
        "spans": 2,
    }


def test_ways_of_credentials_have_the_names_they_have_in_metrics() -> None:
    assert {source.value for source in Source} <= {by.value for by in By}

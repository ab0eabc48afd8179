"""What mode proxy tells, on real sockets: of each request one line, however it ends, and traces that go on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataplane.config import Logged
from dataplane.protocols.proxy.told.told import Outlets
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.builders import NOW, OPTIONS, WIKI
from tests.dataplane.protocols.proxy.servers import Peer, connect, read_all
from tests.dataplane.protocols.proxy.standing import Site, site, standing_before
from tests.dataplane.protocols.proxy.told.paper import FakeTracing, Paper
from tests.dataplane.protocols.proxy.told.scripts import WEBSOCKET, go_on, hold, switch


class Wiki:
    """An application behind an outpost that tells all it can."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.paper = Paper()
        self.tracing = FakeTracing()
        self._stack = stack
        self._folder = folder

    def start(self, **changes: Any) -> Site:
        """Begin to serve."""
        options = replace(OPTIONS, decision_log=Logged.ALL)
        outlets = Outlets(worker=1, sink=self.paper, tracing=self.tracing)
        served = self._stack.enter_context(site(self._folder, outlets=outlets, **changes))
        served.commit(options=options)
        return served

    @property
    def access(self) -> dict[str, Any]:
        """The only line of the access log."""
        until(lambda: bool(self.paper.of("access")))
        (line,) = self.paper.of("access")
        return line


@pytest.fixture
def wiki(tmp_path: Path) -> Iterator[Wiki]:
    with ExitStack() as stack:
        yield Wiki(stack, tmp_path)


def test_a_request_of_somebody_signed_in(wiki: Wiki) -> None:
    served = wiki.start()
    served.ask(b"/page?token=hunter2", b"User-Agent: test", b"Cookie: other=hunter2")
    line = wiki.access
    assert (line["status"], line["decision"], line["user"], line["provider"]) == (200, "session", "alice", WIKI.name)
    assert (line["path"], line["bytes_out"], line["user_agent"]) == ("/page", 2, "test")
    assert line["upstream"].startswith("unix:")
    assert 0 < line["upstream_ms"] <= line["duration_ms"]
    (decision,) = wiki.paper.of("decision")
    assert (decision["channel"], decision["verdict"], decision["by"]) == ("proxy", "admitted", "session")
    assert decision["request_id"] == line["request_id"]
    assert b"hunter2" not in b"".join(wiki.paper.lines)


def test_a_body(wiki: Wiki) -> None:
    served = wiki.start()
    with connect(served.port) as client:
        head = served.request(b"/", b"Connection: close", b"Content-Length: 5", method=b"POST")
        client.sendall(head + b"hello")
        read_all(client)
    assert (wiki.access["bytes_in"], wiki.access["bytes_out"]) == (5, 2)


def test_a_stranger(wiki: Wiki) -> None:
    answer = wiki.start().ask(signed_in=False)
    line = wiki.access
    assert (line["status"], line["decision"], line["user"], line["upstream"]) == (answer.status, "challenged", "", "")
    assert wiki.paper.of("decision")[0]["reason"] == "no_session"


def test_who_would_leave_the_path_of_the_address(wiki: Wiki) -> None:
    served = wiki.start()
    served.commit(**{"provider/p1": standing_before("http://127.0.0.1:1/tenant1")})
    answer = served.ask(b"/../tenant2")
    line = wiki.access
    assert (answer.status, line["status"], line["decision"], line["user"]) == (400, 400, "denied", "alice")
    (decision,) = wiki.paper.of("decision")
    assert (decision["verdict"], decision["by"], decision["reason"]) == ("denied", "settings", "path_outside")


def test_an_open_path(wiki: Wiki) -> None:
    wiki.start(provider=replace(WIKI, skip_path_regex=("^/open",))).ask(b"/open", signed_in=False)
    assert (wiki.access["decision"], wiki.access["user"]) == ("open", "")


def test_an_application_that_makes_no_sense(wiki: Wiki) -> None:
    answer = wiki.start(play=b"SSH-2.0\r\n\r\n").ask()
    line = wiki.access
    assert (line["status"], line["failure"]) == (answer.status, "malformed")
    assert line["detail"]


def test_a_client_that_leaves(wiki: Wiki) -> None:
    served = wiki.start(play=go_on)
    with connect(served.port) as client:
        client.sendall(served.request())
        client.recv(100)
    assert wiki.access["failure"] == "client_gone"


@pytest.mark.parametrize("play", [hold, switch])
def test_what_is_cut_off_as_its_session_ends(wiki: Wiki, play: Callable[[Peer, bytes], None]) -> None:
    served = wiki.start(play=play)
    with connect(served.port) as client:
        client.sendall(served.request(b"/", *(WEBSOCKET if play is switch else ())))
        client.recv(1000)
        served.server.end_here("s1", NOW + 90_000)
        until(lambda: bool(wiki.paper.of("access")))
    assert (wiki.access["decision"], wiki.access["failure"]) == ("ended", "ended")
    assert wiki.access["upgraded"] is (play is switch)
    decision = wiki.paper.of("decision")[-1]
    assert (decision["verdict"], decision["by"], decision["reason"]) == ("ended", "session", "session_ended")
    assert decision["user"] == "alice"


def test_a_websocket(wiki: Wiki) -> None:
    served = wiki.start(play=switch)
    with connect(served.port) as client:
        client.sendall(served.request(b"/", *WEBSOCKET))
        assert client.recv(1000).startswith(b"HTTP/1.1 101")
        client.sendall(b"\x88\x80aaaa")
        read_all(client)
    line = wiki.access
    assert (line["status"], line["upgraded"]) == (101, True)
    assert line["bytes_out"] >= 4


def test_what_a_drain_cuts_off(wiki: Wiki) -> None:
    served = wiki.start(play=hold)
    with connect(served.port) as client:
        client.sendall(served.request())
        client.recv(100)
        served.server.drain(0.05)
    told = wiki.access
    assert (told["failure"], told["status"]) == ("ended", 200)
    assert told["upstream"].endswith("application.sock")
    assert told["bytes_out"] > 0
    assert wiki.paper.settled
    assert wiki.tracing.settled
    assert len(wiki.tracing.spans[0].ended) == 1


class TestTraces:
    def test_the_application_gets_ours_and_nothing_of_the_clients(self, wiki: Wiki) -> None:
        served = wiki.start()
        served.ask(b"/", b"traceparent: 00-11-22-01", b"tracestate: theirs=1", b"baggage: theirs=2")
        (head,) = served.seen
        assert b"theirs" not in head
        (sent,) = [line for line in head.split(b"\r\n") if line.lower().startswith(b"traceparent")]
        assert sent == b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        assert wiki.access["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
        (ending,) = wiki.tracing.spans[0].ended
        assert (ending.status, ending.decision) == (200, "session")

    def test_who_is_turned_away_has_a_span_that_goes_nowhere(self, wiki: Wiki) -> None:
        wiki.start().ask(signed_in=False)
        (span,) = wiki.tracing.spans
        assert not span.went_on
        assert span.ended[0].decision == "challenged"

    def test_without_tracing_the_clients_goes_on(self, tmp_path: Path) -> None:
        with site(tmp_path) as served:
            served.ask(b"/", b"traceparent: 00-11-22-01")
            assert b"traceparent: 00-11-22-01" in served.seen[0].lower()

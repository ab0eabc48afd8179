"""Events for the audit trail, from requests at a real outpost to control: each once, whatever is killed or away."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protos.outpost.v1.gate_pb2 import OutpostEvent
from tests.support.chaos import stays
from tests.support.cookies import ask, ask_patiently, cookie_for
from tests.support.fake_control import FakeControl, eventually, options, provider
from tests.support.outpost_process import OutpostProcess, children

EVERY_SECOND = {"GARRISON_EVENT_INTERVAL": "1"}
HOURLY = {"GARRISON_EVENT_INTERVAL": "3600"}


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        yield running


def unique(control: FakeControl) -> list[OutpostEvent]:
    """As control keeps them: by id."""
    return [*{event.id: event for event in control.events}.values()]


def admitted(control: FakeControl) -> Counter[tuple[str, str]]:
    """Requests by person and client."""
    counts: Counter[tuple[str, str]] = Counter()
    for event in unique(control):
        if event.action == OutpostEvent.ACTION_ADMITTED:
            counts[event.username, event.client_address] += event.count
    return counts


def samples(outpost: OutpostProcess, name: str) -> float:
    return outpost.metrics().get(f"garrison_outpost_events_{name}", -1.0)


@contextmanager
def serving(
    control: FakeControl, folder: Path, interval: dict[str, str], workers: int = 1
) -> Iterator[tuple[OutpostProcess, str]]:
    """An outpost that has its configuration, and alice's cookie for the application of it."""
    revision = control.hold(options(), provider())
    with OutpostProcess(folder, control.environment() | interval, workers=workers) as outpost:
        control.settled(revision)
        yield outpost, cookie_for(control, "alice")


def test_what_happened_reaches_control(control: FakeControl, tmp_path: Path) -> None:
    with serving(control, tmp_path, EVERY_SECOND, workers=2) as (outpost, alice):
        for _ in range(10):
            assert ask(outpost, "auth/nginx", alice) == 200
        assert ask(outpost, "auth/nginx", alice, "198.51.100.1") == 200
        assert ask(outpost, "auth/nginx", "", host="unknown.example.com") == 404
        assert ask(outpost, "sign_out", alice) == 302
        eventually(lambda: ask(outpost, "auth/nginx", alice) == 401, "the session is over")
        eventually(lambda: admitted(control)["alice", "192.0.2.7"] >= 10, "control has the counts")
        actions = {OutpostEvent.ACTION_SIGNED_OUT, OutpostEvent.ACTION_TURNED_AWAY, OutpostEvent.ACTION_MISCONFIGURED}
        eventually(lambda: actions <= {event.action for event in control.events}, "and all else")
        eventually(lambda: samples(outpost, "waiting") == 0, "nothing waits any more")
        assert samples(outpost, "forwarded_total") == len(control.events)
        assert samples(outpost, "lost_total") == 0
    assert len(unique(control)) == len(control.events)
    assert admitted(control)["alice", "198.51.100.1"] == 1
    (out,) = [event for event in control.events if event.action == OutpostEvent.ACTION_SIGNED_OUT]
    assert (out.provider, out.subject, out.client_address) == ("wiki", "id of alice", "192.0.2.7")
    (wrong,) = [event for event in control.events if event.action == OutpostEvent.ACTION_MISCONFIGURED]
    assert wrong.reason == "no application has the host unknown.example.com"


def test_nothing_is_lost_or_doubled_while_control_is_away_and_processes_end(
    control: FakeControl, tmp_path: Path
) -> None:
    """Killed is who has told what it counted: what a killed worker counted since is lost, and no more than that."""
    revision = control.hold(options(), provider())
    people = {name: cookie_for(control, name) for name in ("alice", "bob")}
    asked: Counter[tuple[str, str]] = Counter()

    def browse(outpost: OutpostProcess, times: int) -> None:
        for number in range(times):
            for name, cookie in people.items():
                client = f"192.0.2.{number % 3}"
                assert ask(outpost, "auth/nginx", cookie, client) == 200
                asked[name, client] += 1

    environment = control.environment() | EVERY_SECOND
    with OutpostProcess(tmp_path, environment, workers=2) as outpost:
        control.settled(revision)
        browse(outpost, 6)
        eventually(lambda: admitted(control) == asked, "control has it")
        eventually(lambda: samples(outpost, "waiting") == 0, "the outpost knows that it has")

        control.stop_link()
        browse(outpost, 6)
        eventually(lambda: samples(outpost, "waiting") > 0, "events wait")
        told = eventually(lambda: all_on_disk(outpost), "the disk has all of them")
        outpost.signal(signal.SIGKILL)
        outpost.wait()
        outpost.start()
        outpost.ready()
        assert samples(outpost, "waiting") == told
        browse(outpost, 6)
        # Told to end, what is counted since the last telling is saved as well.
        outpost.signal(signal.SIGTERM)
        assert outpost.wait() == 0
        assert "events-" in names(outpost)

        outpost.start()
        control.start_link()
        eventually(lambda: admitted(control) == asked, "control has all of it", 30)
        eventually(lambda: samples(outpost, "waiting") == 0, "nothing waits any more")
    assert len(unique(control)) == len(control.events)
    assert "events-" not in names(outpost)


def all_on_disk(outpost: OutpostProcess) -> float:
    """How many events wait, once workers have told all that they counted and the disk has it; 0 before."""
    silent = "garrison_outpost_silent_scrapes_total"
    before, found = outpost.metrics(), outpost.metrics()
    if before[silent] != found[silent]:  # a worker that is too busy to answer counts as it last said
        return 0.0
    untold = found["garrison_proxy_events_untold"] + found["garrison_outpost_events_unsaved"]
    return 0.0 if untold else found["garrison_outpost_events_waiting"]


def names(outpost: OutpostProcess) -> str:
    return " ".join(path.name for path in outpost.state.iterdir())


def test_what_was_counted_is_told_before_the_end(control: FakeControl, tmp_path: Path) -> None:
    """To control itself where it is there: the state folder of a container may go with it."""
    with serving(control, tmp_path, HOURLY, workers=2) as (outpost, alice):
        for _ in range(7):
            assert ask(outpost, "auth/nginx", alice) == 200
        assert not control.events
        outpost.signal(signal.SIGTERM)
        assert outpost.wait() == 0
    assert admitted(control) == {("alice", "192.0.2.7"): 7}


def test_a_control_that_is_slow_to_take_it_is_given_time(control: FakeControl, tmp_path: Path) -> None:
    with serving(control, tmp_path, HOURLY) as (outpost, alice):
        assert ask(outpost, "auth/nginx", alice) == 200
        control.takes_reports.clear()
        outpost.signal(signal.SIGTERM)
        eventually(lambda: control.reporting, "control is told")
        stays(lambda: outpost.running, "it waits for control", 2.0)
        control.takes_reports.set()
        assert outpost.wait() == 0
    assert admitted(control) == {("alice", "192.0.2.7"): 1}


def test_a_killed_worker_loses_what_it_counted_and_no_more(control: FakeControl, tmp_path: Path) -> None:
    with serving(control, tmp_path, EVERY_SECOND) as (outpost, alice):
        assert ask(outpost, "auth/nginx", alice) == 200
        eventually(lambda: admitted(control)["alice", "192.0.2.7"] == 1, "control has the first")
        (worker,) = children(outpost.pid)
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: ask_patiently(outpost, "auth/nginx", alice) == 200, "another one serves")
        eventually(lambda: admitted(control)["alice", "192.0.2.7"] == 2, "and counts")

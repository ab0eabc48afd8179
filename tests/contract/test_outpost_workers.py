"""The outpost's processes under bad luck: workers and supervisors that die, stops in the middle of a request."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Self

import pytest

from protos.outpost.v1 import resources_pb2
from tests.support.cookies import ask_patiently
from tests.support.fake_control import FakeControl, eventually, options, provider
from tests.support.outpost_process import OutpostProcess, alive

PING = "/outpost.goauthentik.io/ping"
SIGN_IN = 401
"""To who asks for an application; 404 where nobody knows it, 503 without a configuration."""


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        yield running


@pytest.fixture
def pair(control: FakeControl, tmp_path: Path) -> Iterator[OutpostProcess]:
    """An outpost with two workers, both serving."""
    revision = control.hold(options(), provider())
    with OutpostProcess(tmp_path, control.environment(), workers=2) as running:
        control.settled(revision)
        eventually(lambda: running.metrics().get("garrison_outpost_workers") == 2, "two workers")
        yield running


def test_a_killed_worker_is_replaced_and_no_connection_is_refused(pair: OutpostProcess) -> None:
    victim = pair.workers[0]
    answers: list[int] = []
    stop = threading.Event()

    def probe() -> None:
        while not stop.is_set():
            # A connection that the dead worker had accepted breaks; one in its queue must not.
            answers.append(pair.ping())

    prober = threading.Thread(target=probe)
    prober.start()
    _kill(victim)
    eventually(lambda: pair.metrics().get("garrison_outpost_worker_restarts_total") == 1, "a replacement is counted")
    eventually(lambda: pair.metrics()["garrison_outpost_workers"] == 2, "two workers again")
    stop.set()
    prober.join()
    assert answers.count(0) <= 1
    assert victim not in pair.workers
    assert {*answers} <= {0, 204}


def test_a_replacement_serves_the_configuration_in_force(control: FakeControl, pair: OutpostProcess) -> None:
    for victim in pair.workers:
        _kill(victim)
    eventually(lambda: pair.metrics().get("garrison_outpost_worker_restarts_total") == 2, "replacements")
    eventually(lambda: pair.metrics()["garrison_outpost_workers"] == 2, "two workers again")
    assert {_check(pair) for _ in range(8)} == {SIGN_IN}
    assert not control.settled(control.hold(provider("more", "https://more.example.com"))).rejected


def test_no_connection_is_answered_without_the_configuration(pair: OutpostProcess) -> None:
    statuses: set[int] = set()
    stop = threading.Event()

    def probe() -> None:
        while not stop.is_set():
            statuses.add(_check(pair))

    probers = [threading.Thread(target=probe) for _ in range(4)]
    for prober in probers:
        prober.start()
    for victim in pair.workers:
        _kill(victim)
    eventually(lambda: pair.metrics().get("garrison_outpost_worker_restarts_total") == 2, "replacements")
    eventually(lambda: pair.metrics()["garrison_outpost_workers"] == 2, "two workers again")
    stop.set()
    for prober in probers:
        prober.join()
    # 0: a connection that a killed worker had accepted.
    assert statuses - {0} == {SIGN_IN}


def test_a_revocation_outlives_the_workers_that_were_to_serve_it(control: FakeControl, pair: OutpostProcess) -> None:
    stalled = pair.workers
    for pid in stalled:
        _signal(pid, signal.SIGSTOP)
    ended = resources_pb2.Ended(session="s1")
    ended.before.FromSeconds(int(time.time()))
    ended.until.FromSeconds(int(time.time()) + 86400)
    revision = control.hold(resources_pb2.Resource(key="ended/session/s1", digest="d", ended=ended))
    # Where they die of the change or in the middle of it makes no difference.
    for pid in stalled:
        _kill(pid)
    assert not control.settled(revision).rejected
    assert pair.metrics()["garrison_outpost_rejected_resources"] == 0
    assert pair.metrics()["garrison_outpost_resources"] == 3


def test_a_first_configuration_is_waited_for(tmp_path: Path) -> None:
    with FakeControl() as control, OutpostProcess(tmp_path, control.environment()) as outpost:
        eventually(lambda: control.hellos, "the outpost has called")
        answers: list[int] = []
        early = threading.Thread(target=lambda: answers.append(_check(outpost)))
        early.start()
        control.settled(control.hold(options(), provider()))
        early.join()
        assert answers == [SIGN_IN]


def test_an_outpost_without_control_says_so_rather_than_nothing(tmp_path: Path) -> None:
    environment = {"AUTHENTIK_HOST": "http://127.0.0.1:9", "AUTHENTIK_TOKEN": "t"}
    with OutpostProcess(tmp_path, environment) as outpost:
        eventually(lambda: outpost.get("/", "wiki.example.com", outpost.http_port)[0] == 503, "an answer")
        assert outpost.get("/-/health/ready/")[0] == 503


def test_idle_connections_by_the_hundred_leave_room_for_others(tmp_path: Path) -> None:
    with FakeControl() as control:
        control.hold(options(), provider())
        with ExitStack() as idle:
            with _soft_limit(128):
                outpost = idle.enter_context(OutpostProcess(tmp_path, control.environment()))
            outpost.ready()
            for _ in range(300):
                idle.enter_context(socket.create_connection(("127.0.0.1", outpost.http_port)))
            assert outpost.ping() == 204


@contextmanager
def _soft_limit(descriptors: int) -> Iterator[None]:
    """For programs that are started meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_killed_supervisor_leaves_no_worker(pair: OutpostProcess) -> None:
    workers = pair.workers
    assert len(workers) == 2
    pair.signal(signal.SIGKILL)
    pair.wait()
    eventually(lambda: not any(alive(pid) for pid in workers), "all workers are gone")


def test_workers_that_keep_ending_are_said_everywhere(control: FakeControl, pair: OutpostProcess) -> None:
    stop = threading.Event()

    def plague() -> None:
        while not stop.wait(0.02):
            for pid in pair.workers:
                with suppress(ProcessLookupError):
                    _signal(pid, signal.SIGSEGV)

    assert healthcheck(pair) == 0
    killing = threading.Thread(target=plague)
    killing.start()
    try:
        status, reason = eventually(lambda: _unready(pair), "it is not ready")
        assert status == 503
        assert re.match(r"no worker serves: worker 0 keeps ending \(\d+ times in a row", reason)
        assert "the last time killed by SIGSEGV)" in reason
        assert pair.get("/-/health/live/")[0] == 503
        assert healthcheck(pair) == 1
        assert pair.get("/outpost.goauthentik.io/ping")[0] == 204
        assert pair.metrics()["garrison_outpost_worker_crash_loops"] == 2
        assert pair.metrics()["garrison_outpost_ready"] == 0
        eventually(lambda: "keeps ending" in control.healths[-1].last_error, "control is told")
    finally:
        stop.set()
        killing.join()
    eventually(lambda: pair.get("/-/health/ready/")[0] == 200, "it has recovered")
    assert healthcheck(pair) == 0


def _unready(outpost: OutpostProcess) -> tuple[int, str] | None:
    answer = outpost.get("/-/health/ready/")
    return answer if "keeps ending" in answer[1] else None


def healthcheck(outpost: OutpostProcess) -> int:
    """The exit status of what a container is asked."""
    command = [sys.executable, "-m", "dataplane.main", "healthcheck", "--metrics", f"127.0.0.1:{outpost.metrics_port}"]
    return subprocess.run(command, check=False, timeout=20).returncode


def test_one_replacement_after_all_have_died_is_no_reason_to_send_people_elsewhere(pair: OutpostProcess) -> None:
    for victim in pair.workers:
        _kill(victim)
    answers: set[int] = set()

    def back() -> bool:
        answers.add(pair.get("/-/health/ready/")[0])
        return pair.metrics().get("garrison_outpost_worker_restarts_total") == 2

    eventually(back, "replacements")
    eventually(lambda: pair.metrics()["garrison_outpost_workers"] == 2, "two workers again")
    assert answers == {200}


def test_workers_ignore_a_signal_that_a_service_manager_sends_to_all(pair: OutpostProcess) -> None:
    for pid in pair.workers:
        _signal(pid, signal.SIGTERM)
    assert pair.ping() == 204
    assert pair.metrics()["garrison_outpost_worker_restarts_total"] == 0


def test_counts_are_added_up_over_workers_and_outlive_them(pair: OutpostProcess) -> None:
    for _ in range(40):
        assert pair.ping() == 204
    eventually(lambda: _requests(pair) == 40, "both have told")
    for victim in pair.workers:
        _kill(victim)
    eventually(lambda: pair.metrics().get("garrison_outpost_worker_restarts_total") == 2, "replacements")
    eventually(lambda: pair.metrics().get("garrison_outpost_workers") == 2, "two workers again")
    assert _requests(pair) >= 40


def test_metrics_have_their_known_names(pair: OutpostProcess) -> None:
    uid = (pair.state / "instance").read_text().strip()
    who = f'outpost_name="edge",outpost_type="proxy",uuid="{uid}"'
    metrics = pair.metrics()
    assert metrics[f"authentik_outpost_connection{{{who}}}"] == 1
    what = f'build="",{who},version="{version("garrison")}"'
    assert metrics[f"authentik_outpost_info{{{what}}}"] == 1
    assert metrics[f"authentik_outpost_last_update{{{what}}}"] == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_the_request_in_flight(tmp_path: Path, number: signal.Signals) -> None:
    with SlowControl(tmp_path / "web.sock") as slow:
        environment = {"GARRISON_CONTROL_SOCKET": str(tmp_path / "web.sock")}
        with OutpostProcess(tmp_path, environment) as outpost:
            outpost.ready()
            answers: list[tuple[int, str]] = []
            client = threading.Thread(target=lambda: answers.append(outpost.get("/slow", port=outpost.http_port)))
            client.start()
            assert slow.asked.wait(10)
            outpost.signal(number)
            outpost.logged("told to stop")
            eventually(lambda: outpost.ping() == 0, "new connections are refused")
            slow.answer.set()
            client.join()
            assert answers == [(200, "at last")]
            assert outpost.wait() == 0


def test_a_front_door_without_a_token_passes_everything_on(tmp_path: Path) -> None:
    with SlowControl(tmp_path / "web.sock") as slow:
        slow.answer.set()
        environment = {"GARRISON_CONTROL_SOCKET": str(tmp_path / "web.sock")}
        with OutpostProcess(tmp_path, environment) as outpost:
            outpost.ready()
            assert outpost.get("/anything", "auth.example.com", outpost.http_port) == (200, "at last")


class SlowControl:
    """A web server on a unix socket that answers one request when it is told to."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self.asked = threading.Event()
        self.answer = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.set()
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        peer, _ = self._socket.accept()
        with peer:
            while b"\r\n\r\n" not in peer.recv(65536):
                pass
            self.asked.set()
            self.answer.wait()
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nat last")


def _requests(outpost: OutpostProcess) -> float:
    name = "authentik_outpost_proxy_request_duration_seconds_count"
    return sum(value for sample, value in outpost.metrics().items() if sample.startswith(name))


def _check(outpost: OutpostProcess) -> int:
    """The status that nginx gets for somebody without a session; 0 when the connection breaks."""
    return ask_patiently(outpost, "auth/nginx", "")


def _kill(pid: int) -> None:
    _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)

"""Nothing is lost under load: not by a change, not by a worker that dies or hangs, not by a stop of the outpost.

Clients ask the outpost itself and through nginx; every answer and every error is counted. What a worker had accepted
when it was killed is lost, and nothing else: the kernel tells which connections those are.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from protos.outpost.v1 import link_pb2, resources_pb2
from tests.support.fake_authority import Authority
from tests.support.fake_control import FakeControl, eventually, options, provider
from tests.support.load import Fate, Load, Tally, Waiting, accepted, get
from tests.support.outpost_process import OutpostProcess, alive
from tests.support.peers import start_nginx
from tests.support.peers_program import free_port

pytestmark = pytest.mark.interop

HOST = "wiki.example.com"
CHECK = "/outpost.goauthentik.io/auth/nginx"
OPEN = get(CHECK, HOST, f"X-Original-URL: https://{HOST}/public/page")
QUESTIONS = (OPEN, get(CHECK, HOST, f"X-Original-URL: https://{HOST}/page"), get("/outpost.goauthentik.io/ping", HOST))
EXPECTED = {200, 401, 204}
ENOUGH = 300
SOME = 6
RESTARTS = "garrison_outpost_worker_restarts_total"
"""Answers before and after whatever happens."""


def wiki(ident: str = "wiki", certificate: str = "") -> resources_pb2.Resource:
    """A provider with a path that needs no sign-in."""
    made = provider(ident, f"https://{ident}.example.com", certificate=certificate)
    made.proxy_provider.skip_path_regex.append("^/public/")
    return made


def certificate(ident: str) -> resources_pb2.Resource:
    """A new certificate under the same key."""
    pair = Authority().issue("wiki.example.com")
    body = resources_pb2.Certificate(id=ident, name=ident, chain=pair.certificate, private_key=pair.key)
    return resources_pb2.Resource(key=f"certificate/{ident}", digest=os.urandom(4).hex(), certificate=body)


@contextmanager
def outpost(control: FakeControl, folder: Path, workers: int = 2) -> Iterator[OutpostProcess]:
    """An outpost whose workers all serve."""
    folder.mkdir(exist_ok=True)
    with OutpostProcess(folder, control.environment(), workers=workers) as running:
        running.ready()
        eventually(lambda: running.metrics().get("garrison_outpost_workers") == workers, "all workers serve")
        yield running


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        running.hold(options(), wiki())
        yield running


@pytest.fixture
def pair(control: FakeControl, tmp_path: Path) -> Iterator[OutpostProcess]:
    """Two workers."""
    with outpost(control, tmp_path / "outpost") as running:
        yield running


def more(load: Load, answers: int = ENOUGH) -> None:
    """Wait for so many more answers."""
    wanted = load.answered() + answers
    eventually(lambda: load.answered() >= wanted, f"{answers} more answers")


def nothing_lost(tally: Tally) -> None:
    """Every request was answered as it should be, or its client knows that it may ask again."""
    assert not tally.losses, tally.fates
    assert set(tally.statuses) <= EXPECTED, tally.statuses


def change_for(control: FakeControl, load: Load) -> None:
    """Change the configuration again and again while there are answers, one change after the other."""
    until = load.answered() + 3 * ENOUGH
    changes = 0
    while load.answered() < until or changes < SOME:
        changes += 1
        pages = wiki(f"pages{changes % 5}", certificate="certificate/web")
        applied = control.settled(control.hold(wiki(), pages, certificate("web")))
        assert not applied.rejected


class TestTheOutpostItself:
    def test_changes_are_not_noticed(self, control: FakeControl, pair: OutpostProcess) -> None:
        with Load(pair.http_port, QUESTIONS) as load:
            change_for(control, load)
            tally = load.stop()
        assert set(tally.fates) == {Fate.ANSWERED}
        nothing_lost(tally)

    def test_a_killed_worker_takes_only_its_own_connections_along(self, pair: OutpostProcess) -> None:
        with ExitStack() as stack:
            load = stack.enter_context(Load(pair.http_port, QUESTIONS, stubborn=True))
            more(load)
            victim = max(pair.workers, key=lambda pid: len(accepted(pid, pair.http_port)))
            os.kill(victim, signal.SIGSTOP)
            # About half of these wait in the queue of the one that is about to die.
            waiting = stack.enter_context(Waiting(pair.http_port, OPEN, 40))
            own = accepted(victim, pair.http_port)
            os.kill(victim, signal.SIGKILL)
            restarted(pair, 1)
            more(load)
            tally = load.stop()
            assert own
            assert not own & waiting.ports
            assert waiting.answers() == {"HTTP/1.1 200 OK": 40}
        assert {event.port for event in tally.losses} <= own
        assert len(tally.losses) <= len(own)

    def test_a_worker_that_hangs_is_replaced(self, pair: OutpostProcess) -> None:
        victim = pair.workers[1]
        with ExitStack() as stack:
            load = stack.enter_context(Load(pair.http_port, QUESTIONS, stubborn=True))
            more(load)
            os.kill(victim, signal.SIGSTOP)
            stopped = time.monotonic()
            waiting = stack.enter_context(Waiting(pair.http_port, OPEN, 40))
            own = accepted(victim, pair.http_port)
            eventually(lambda: pair.metrics().get(RESTARTS) == 1, "it is given up")
            assert time.monotonic() - stopped < 12
            restarted(pair, 1)
            more(load)
            tally = load.stop()
            assert not own & waiting.ports
            assert waiting.answers() == {"HTTP/1.1 200 OK": 40}
        assert {event.port for event in tally.losses} <= own
        assert not alive(victim)

    @pytest.mark.parametrize("how", ["signal", "command"])
    def test_a_stop_loses_nobody(self, control: FakeControl, pair: OutpostProcess, how: str) -> None:
        with ExitStack() as stack:
            load = stack.enter_context(Load(pair.http_port, QUESTIONS))
            more(load)
            for worker in pair.workers:
                os.kill(worker, signal.SIGSTOP)
            waiting = stack.enter_context(Waiting(pair.http_port, OPEN, 40))
            if how == "signal":
                pair.signal(signal.SIGTERM)
            else:
                control.tell(link_pb2.WatchResponse(command=link_pb2.Command(drain=link_pb2.Drain())))
            pair.logged("told to stop" if how == "signal" else "control asks for a drain")
            for worker in pair.workers:
                os.kill(worker, signal.SIGCONT)
            assert waiting.answers() == {"HTTP/1.1 200 OK": 40}
            assert pair.wait() == 0
            tally = load.stop()
        nothing_lost(tally)
        assert tally.fates[Fate.REFUSED]

    def test_a_stop_serves_even_those_whose_worker_is_gone(self, control: FakeControl, tmp_path: Path) -> None:
        with outpost(control, tmp_path / "outpost", workers=1) as alone:
            (victim,) = alone.workers
            os.kill(victim, signal.SIGSTOP)
            with Waiting(alone.http_port, OPEN, 20) as waiting:
                os.kill(victim, signal.SIGKILL)
                alone.signal(signal.SIGTERM)
                assert waiting.answers() == {"HTTP/1.1 200 OK": 20}
            assert alone.wait() == 0

    def test_a_stop_before_there_is_anything_to_serve_says_so_to_who_waits(self, tmp_path: Path) -> None:
        with FakeControl() as empty, OutpostProcess(tmp_path, empty.environment()) as early:
            eventually(lambda: empty.hellos, "the outpost has called")
            with Waiting(early.http_port, OPEN, 5) as waiting:
                early.signal(signal.SIGTERM)
                assert set(waiting.answers()) <= {"HTTP/1.1 404 Not Found", "HTTP/1.1 503 Service Unavailable"}
            assert early.wait() == 0


class Slow:
    """A web server on a unix socket that takes a third of a second for each answer."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(256)
        self.asked = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        # Who asked may have been killed.
        with peer, suppress(ConnectionError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(65536)
            self.asked += 1
            threading.Event().wait(0.3)
            peer.sendall(self.ANSWER)


def test_what_the_front_door_passes_on_is_finished(tmp_path: Path) -> None:
    body = b"POST /upload HTTP/1.1\r\nHost: sso.example.com\r\nContent-Length: 5\r\n\r\nhello"
    with Slow(tmp_path / "web.sock") as slow:
        environment = {"GARRISON_CONTROL_SOCKET": str(slow.path)}
        with OutpostProcess(tmp_path, environment, workers=2) as door:
            door.ready()
            with Load(door.http_port, (get("/", "sso.example.com"), body), clients=24) as load:
                eventually(lambda: slow.asked > 60, "answers are being made")
                door.signal(signal.SIGTERM)
                assert door.wait() == 0
                tally = load.stop()
    assert not tally.losses, tally.fates
    assert set(tally.statuses) == {200}


NGINX = """
upstream outpost {{ {servers} keepalive 8; }}
server {{
    listen 127.0.0.1:{port};
    root {folder};
    location / {{
        auth_request /outpost.goauthentik.io/auth/nginx;
        try_files /page.html =404;
    }}
    location = /outpost.goauthentik.io/auth/nginx {{
        internal;
        proxy_pass http://outpost;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host wiki.example.com;
        proxy_set_header X-Original-URL https://wiki.example.com$request_uri;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }}
}}
"""


@contextmanager
def nginx(folder: Path, *outposts: OutpostProcess) -> Iterator[int]:
    """nginx before outposts, and its port."""
    port = free_port()
    folder.mkdir()
    (folder / "page.html").write_text("a page")
    # It is not to shun for ten seconds whoever has just been stopped and is back.
    servers = " ".join(f"server 127.0.0.1:{each.http_port} max_fails=0;" for each in outposts)
    program = start_nginx(folder, NGINX.format(servers=servers, port=port, folder=folder), [port])
    try:
        yield port
    finally:
        program.stop()


PAGE = (get("/public/page", HOST),)


class TestThroughNginx:
    def test_changes_are_not_noticed(self, control: FakeControl, pair: OutpostProcess, tmp_path: Path) -> None:
        with nginx(tmp_path / "nginx", pair) as port, Load(port, PAGE) as load:
            change_for(control, load)
            tally = load.stop()
        assert set(tally.fates) == {Fate.ANSWERED}
        assert set(tally.statuses) == {200}

    def test_a_killed_worker_is_hardly_noticed(self, pair: OutpostProcess, tmp_path: Path) -> None:
        victim = pair.workers[0]
        with nginx(tmp_path / "nginx", pair) as port, Load(port, PAGE) as load:
            more(load)
            os.kill(victim, signal.SIGSTOP)
            own = accepted(victim, pair.http_port)
            os.kill(victim, signal.SIGKILL)
            restarted(pair, 1)
            more(load)
            tally = load.stop()
        assert set(tally.fates) == {Fate.ANSWERED}
        # What it was answering when it died; nginx asks again where it had used the connection before.
        assert tally.statuses.total() - tally.statuses[200] <= len(own)

    def test_one_of_two_outposts_can_be_stopped_and_started(self, control: FakeControl, tmp_path: Path) -> None:
        with ExitStack() as stack:
            first, second = (stack.enter_context(outpost(control, tmp_path / name, 1)) for name in ("one", "two"))
            port = stack.enter_context(nginx(tmp_path / "nginx", first, second))
            load = stack.enter_context(Load(port, PAGE))
            for each in (first, second):
                more(load)
                each.signal(signal.SIGTERM)
                assert each.wait() == 0
                more(load)
                each.start()
                each.ready()
            more(load)
            tally = load.stop()
        assert set(tally.fates) == {Fate.ANSWERED}
        assert set(tally.statuses) == {200}


class TestAKilledSupervisor:
    """All its workers are gone within a second, whatever they are at."""

    @pytest.mark.parametrize("state", ["serving", "stopped"])
    def test_of_workers_that_serve_or_stand_still(self, pair: OutpostProcess, state: str) -> None:
        workers = pair.workers
        with Load(pair.http_port, QUESTIONS, stubborn=True) as load:
            more(load)
            if state == "stopped":
                for worker in workers:
                    os.kill(worker, signal.SIGSTOP)
            self.killed(pair, workers)

    def test_of_workers_with_long_answers(self, tmp_path: Path) -> None:
        with Slow(tmp_path / "web.sock") as slow:
            environment = {"GARRISON_CONTROL_SOCKET": str(slow.path)}
            with OutpostProcess(tmp_path, environment, workers=2) as door:
                door.ready()
                workers = door.workers
                with Load(door.http_port, (get("/", "sso.example.com"),)):
                    eventually(lambda: slow.asked, "an answer is being made")
                    self.killed(door, workers)

    def test_of_workers_deep_in_c(self, control: FakeControl, pair: OutpostProcess) -> None:
        """Certificates by the hundred: OpenSSL doesn't look up for anything."""
        workers = pair.workers
        many = [certificate("web")] * 300
        for number, each in enumerate(many):
            many[number] = resources_pb2.Resource(key=f"certificate/{number}", digest="1", certificate=each.certificate)
        before = processor_ticks(workers[0])
        control.hold(*many)
        eventually(lambda: processor_ticks(workers[0]) > before + 2, "it is busy")
        self.killed(pair, workers)

    @staticmethod
    def killed(outpost: OutpostProcess, workers: list[int]) -> None:
        assert len(workers) == 2
        outpost.signal(signal.SIGKILL)
        outpost.wait()
        eventually(lambda: not any(alive(pid) for pid in workers), "all workers are gone", deadline=10)


def processor_ticks(pid: int) -> int:
    """The processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def restarted(outpost: OutpostProcess, times: int) -> None:
    """Wait for replacements that serve."""
    eventually(lambda: outpost.metrics().get(RESTARTS) == times, "a replacement")
    eventually(lambda: outpost.metrics().get("garrison_outpost_workers") == 2, "two workers again")

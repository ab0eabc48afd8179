"""One worker of two can't follow a change: nobody serves a mix, control learns why, and what has ended has ended."""

import http.client
import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from protos.outpost.v1 import resources_pb2
from tests.contract.test_outpost_signout import cookie_for
from tests.support.fake_authority import Authority
from tests.support.fake_control import FakeControl, eventually, options, provider
from tests.support.load import accepted
from tests.support.outpost_process import OutpostProcess

HOST = "wiki.example.com"


class Pair:
    """An outpost with two workers, and a connection to each of them that stays open."""

    def __init__(self, control: FakeControl, outpost: OutpostProcess) -> None:
        self.control = control
        self.outpost = outpost
        self.workers = outpost.workers
        self.alice = cookie_for(control, "s1")
        self._stack = ExitStack()
        self._lines: dict[int, http.client.HTTPConnection] = {}
        while len(self._lines) < len(self.workers):
            self._connect()

    def _connect(self) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self.outpost.http_port, timeout=30)
        self._stack.callback(line.close)
        line.request("GET", "/outpost.goauthentik.io/ping", headers={"Host": HOST})
        line.getresponse().read()
        port = line.sock.getsockname()[1]
        (served_by,) = [pid for pid in self.workers if port in accepted(pid, self.outpost.http_port)]
        self._lines.setdefault(served_by, line)

    def ask(self, pid: int, path: str = "/", cookie: str = "") -> int:
        """What this worker says to a check."""
        line = self._lines[pid]
        headers = {"Host": HOST, "X-Original-URL": f"https://{HOST}{path}", "Cookie": cookie}
        line.request("GET", "/outpost.goauthentik.io/auth/nginx", headers=headers)
        answer = line.getresponse()
        answer.read()
        return answer.status

    def close(self) -> None:
        self._stack.close()


def wiki(control: FakeControl, *open_paths: str) -> resources_pb2.Resource:
    """The provider as it is, with these paths open."""
    made = resources_pb2.Resource()
    made.CopyFrom(control.resources["provider/wiki"])
    made.digest = os.urandom(4).hex()
    made.proxy_provider.skip_path_regex[:] = open_paths
    return made


def ended(session: str) -> resources_pb2.Resource:
    body = resources_pb2.Ended(session=session)
    body.before.FromSeconds(int(time.time()))
    body.until.FromSeconds(int(time.time()) + 86400)
    return resources_pb2.Resource(key=f"ended/session/{session}", digest="d", ended=body)


def certificate() -> resources_pb2.Resource:
    pair = Authority().issue(HOST)
    body = resources_pb2.Certificate(id="c", name="web", chain=pair.certificate, private_key=pair.key)
    return resources_pb2.Resource(key="certificate/c", digest=os.urandom(4).hex(), certificate=body)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with FakeControl() as control:
        revision = control.hold(options(), provider())
        with OutpostProcess(tmp_path, control.environment(), workers=2) as outpost:
            control.settled(revision)
            eventually(lambda: outpost.metrics().get("garrison_outpost_workers") == 2, "two workers")
            made = Pair(control, outpost)
            yield made
            made.close()


def test_one_that_has_no_descriptors_left(pair: Pair) -> None:
    """A certificate takes one to load; that a worker has none is no verdict on it, and the others could serve it."""
    short, other = pair.workers
    limits = resource.prlimit(short, resource.RLIMIT_NOFILE)
    resource.prlimit(short, resource.RLIMIT_NOFILE, (3, limits[1]))
    change = (certificate(), wiki(pair.control, "^/new"), ended("s1"))
    applied = pair.control.settled(pair.control.hold(*change))
    assert {each.key for each in applied.rejected} == {"certificate/c", "provider/wiki"}
    assert all("Too many open files" in each.reason for each in applied.rejected)
    for pid in (short, other):
        assert pair.ask(pid, "/new") == 401
        assert pair.ask(pid, cookie=pair.alice) == 401
    assert pair.outpost.metrics()["garrison_outpost_rejected_resources"] == 2

    resource.prlimit(short, resource.RLIMIT_NOFILE, limits)
    applied = pair.control.settled(pair.control.hold(certificate(), wiki(pair.control, "^/new")))
    assert not applied.rejected
    assert [pair.ask(pid, "/new") for pid in (short, other)] == [200, 200]
    assert pair.outpost.workers == [short, other]


def test_one_that_stands_still(pair: Pair) -> None:
    still, other = pair.workers
    assert [pair.ask(pid, cookie=pair.alice) for pid in pair.workers] == [200, 200]
    os.kill(still, signal.SIGSTOP)
    began = time.monotonic()
    revision = pair.control.hold(wiki(pair.control, "^/new"), ended("s1"))
    eventually(lambda: pair.ask(other, cookie=pair.alice) == 401, "the session is over", deadline=2)
    # The rest has to wait until it is clear that the one won't follow.
    assert pair.ask(other, "/new") == 401
    assert not pair.control.settled(revision).rejected
    assert time.monotonic() - began < 12
    assert pair.ask(other, "/new") == 200
    eventually(lambda: pair.outpost.metrics().get("garrison_outpost_workers") == 2, "two workers again")
    again = Pair(pair.control, pair.outpost)
    assert [again.ask(pid, "/new") for pid in again.workers] == [200, 200]
    assert [again.ask(pid, cookie=pair.alice) for pid in again.workers] == [401, 401]
    again.close()

"""A site that opens one port only: `garrison serve` and an outpost that reach each other by the HTTPS port alone.

The link listens on another address of this machine than the one that the outpost knows, so that its own port is closed
to the outpost although it is advertised first, as it is by default.
"""

import json
import os
import resource
import signal
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.dataplane.sansio.test_clienthello import made_by_python
from tests.support.browser_http import Visitor
from tests.support.garrison import Garrison, Outpost, short_folder
from tests.support.peers_http import Answer, ask
from tests.support.peers_program import eventually, free_port

HOST = "wiki.example.test"
PASSWORD = "correct-horse-battery"


@pytest.fixture(scope="module")
def garrison() -> Iterator[Garrison]:
    with short_folder() as folder:
        link = free_port()
        flags = ["--link", f"127.0.0.2:{link}", "--no-embedded-outpost"]
        # A worker for each core; a flood is to be more than all of them can take, however busy the machine.
        core = str(min(os.sched_getaffinity(0)))
        running = Garrison(folder, flags=flags, link=link, pinned=("taskset", "-c", core)).start()
        yield running
        running.stop()


@pytest.fixture(scope="module")
def outpost(garrison: Garrison) -> Iterator[Outpost]:
    environment = {
        "AUTHENTIK_HOST": f"https://127.0.0.1:{garrison.https}",
        "AUTHENTIK_INSECURE": "true",
        "AUTHENTIK_HOST_BROWSER": garrison.url,
    }
    edge = Outpost(garrison, "edge", garrison.folder / "edge", environment=environment)
    garrison.apply(
        {
            "users": [{"username": "alice", "name": "Alice", "password": PASSWORD}],
            "providers": [
                {"name": "wiki", "type": "proxy", "mode": "forward_single", "external_host": f"http://{HOST}:{edge.http}"}
            ],
            "applications": [{"slug": "wiki", "name": "Wiki", "provider": "wiki", "bindings": [{"user": "alice"}]}],
            "outposts": [{"name": "edge", "type": "proxy", "providers": ["wiki"]}],
        }
    )  # fmt: skip
    edge.start()
    yield edge
    edge.stop()


def question(outpost: Outpost, path: str, cookies: str = "") -> Answer:
    """What nginx asks."""
    host = f"{HOST}:{outpost.http}"
    headers = [("X-Original-URL", f"http://{host}{path}"), ("Cookie", cookies)]
    return ask(outpost.http, "/outpost.goauthentik.io/auth/nginx", host=host, headers=headers)


def passing(garrison: Garrison) -> float:
    """How many connections the front door passes on to the link."""
    lines = ask(garrison.metrics, "/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("garrison_proxy_link_connections"))


def change(garrison: Garrison, outpost: Outpost, path: str) -> None:
    """Open a path to everybody, and see it open at the outpost."""
    assert question(outpost, path).status == 401
    garrison.apply({"providers": [{"name": "wiki", "type": "proxy", "skip_path_regex": f"^{path}$"}]})
    eventually(lambda: question(outpost, path).status == 200, f"{path} is open at the outpost")


def test_the_outpost_finds_the_way_and_hears_of_changes(garrison: Garrison, outpost: Outpost) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", garrison.link), 5)
    eventually(lambda: outpost.links == [f"127.0.0.1:{garrison.https}"], "it tells where the link is")
    assert passing(garrison) >= 1
    eventually(lambda: connected(garrison), "control lists it")
    change(garrison, outpost, "/open")


def test_a_sign_in_is_redeemed(garrison: Garrison, outpost: Outpost) -> None:
    visitor = Visitor()
    site = f"http://{HOST}:{outpost.http}"
    page = visitor.sign_in(f"{site}/outpost.goauthentik.io/start?rd={site}/page", "alice", PASSWORD)
    # Behind a reverse proxy this would be the application's page; here the outpost alone answers.
    assert page.url == f"{site}/page"
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies(HOST).items())
    answer = question(outpost, "/page", cookies)
    assert (answer.status, answer.header("X-authentik-username")) == (200, "alice")
    # The supervisor's stream and the worker's calls.
    assert passing(garrison) >= 2


def test_browsers_at_the_same_port_get_the_front_door(garrison: Garrison) -> None:
    answer = ask(garrison.https, "/-/health/ready/", host=f"{garrison.host}:{garrison.https}", tls=True)
    assert answer.status in (200, 204)


FLOOD, PACE = 3_000, 0.001
"""Connections held open, more than the front door has places for newcomers; seconds between two."""


class Strangers(threading.Thread):
    """Open connections for the link from eight addresses, while `come` is set, and say no more than a ClientHello."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.come, self.go = threading.Event(), threading.Event()
        self._port = port
        self._hello = made_by_python("link.garrison.internal", ssl.TLSVersion.TLSv1_3)

    def run(self) -> None:
        opened = deque[socket.socket]()
        while not self.go.wait(PACE):
            if self.come.is_set():
                opened.append(self._open(f"127.0.0.{2 + len(opened) % 8}"))
            if len(opened) > FLOOD:
                opened.rotate(-1)
                opened.pop().close()
        for each in opened:
            each.close()

    def _open(self, source: str) -> socket.socket:
        stranger = socket.socket()
        stranger.bind((source, 0))
        with suppress(OSError):
            stranger.connect(("127.0.0.1", self._port))
            stranger.sendall(self._hello)
        return stranger


@contextmanager
def flood(garrison: Garrison) -> Iterator[Strangers]:
    """Strangers at the front door."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * FLOOD), hard))
    strangers = Strangers(garrison.https)
    strangers.start()
    try:
        yield strangers
    finally:
        strangers.go.set()
        strangers.join()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def fill(garrison: Garrison, strangers: Strangers) -> None:
    """Let them come until they have all there is for them."""
    before = cut(garrison, "link_newcomers")
    strangers.come.set()
    eventually(lambda: cut(garrison, "link_newcomers") > before, "the places of newcomers are taken", within=30)


def cut(garrison: Garrison, limit: str) -> float:
    """How often a limit of the front door was hit."""
    lines = ask(garrison.metrics, "/metrics").text.splitlines()
    found = (line for line in lines if line.startswith("garrison_proxy_limits_total") and f'"{limit}"' in line)
    return sum(float(line.split()[-1]) for line in found)


def test_strangers_keep_no_outpost_out(garrison: Garrison, outpost: Outpost) -> None:
    """Neither one that is connected nor one that comes, right after a flood from eight addresses and during it."""
    with flood(garrison) as strangers:
        fill(garrison, strangers)
        strangers.come.clear()
        start_anew(garrison, outpost)
        losses = lost(outpost)
        fill(garrison, strangers)
        change(garrison, outpost, "/flooded")
        assert lost(outpost) == losses
        start_anew(garrison, outpost)


def start_anew(garrison: Garrison, outpost: Outpost) -> None:
    """Stop the outpost and start it, and have it connected within a few seconds."""
    outpost.stop()
    eventually(lambda: not connected(garrison), "the outpost is away")
    program = outpost.launch()
    # How long Python takes to begin is up to the machine.
    eventually(lambda: '"the outpost is up"' in program.output(), "the outpost has begun", alive=program)
    eventually(lambda: connected(garrison), "the outpost is in", within=7)


def test_when_the_link_comes_back_so_does_the_outpost(garrison: Garrison, outpost: Outpost) -> None:
    # Control knows a moment before the outpost does, which counts no loss of what it never had.
    eventually(lambda: counted(outpost, "connections") > lost(outpost), "the outpost is in, to its own mind")
    losses = lost(outpost)
    processes = json.loads((garrison.data / "run" / "processes.json").read_text())
    os.kill(next(each["pid"] for each in processes if each["name"] == "link"), signal.SIGKILL)
    eventually(lambda: lost(outpost) > losses, "the loss is seen")
    eventually(lambda: connected(garrison), "the outpost is back", within=30)
    change(garrison, outpost, "/later")


def lost(outpost: Outpost) -> float:
    """How often the outpost has lost the link."""
    return counted(outpost, "losses")


def counted(outpost: Outpost, what: str) -> float:
    """What the outpost has counted of its link: connections or losses."""
    lines = ask(outpost.metrics, "/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"garrison_outpost_link_{what}_total"))


def connected(garrison: Garrison) -> bool:
    return [row["state"] for row in garrison.instances("edge")] == ["connected"]


def test_restarting_all_takes_no_longer_for_what_passes(garrison: Garrison, outpost: Outpost) -> None:
    """`stop` has none killed for being late; what passes is cut, so the front door has nothing to wait for."""
    garrison.stop()
    garrison.start()
    eventually(lambda: connected(garrison), "the outpost is back", within=30)
    change(garrison, outpost, "/last")

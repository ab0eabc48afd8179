"""What goes on when something is gone: control, an outpost, one of two, a child process."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.faults.stage import metric
from tests.interop.world import PASSWORD, applications, asked, providers
from tests.support.browser_http import PAGE, Visitor
from tests.support.garrison import Garrison, Outpost, short_folder
from tests.support.peers import Echo
from tests.support.peers_dialects import Front, Ports
from tests.support.peers_http import ask
from tests.support.peers_program import eventually
from tests.support.peers_sites import Site, traefik

pytestmark = pytest.mark.interop
# Each test signs in somebody else, as some are locked out for good.
STAFF = ("carol", "dave", "erin", "frank")


@dataclass
class Pair:
    """One application, two copies of its outpost; browsers reach it through the first."""

    garrison: Garrison
    first: Outpost
    second: Outpost
    site: Site

    def sign_in(self, username: str) -> Visitor:
        """A visitor with a session."""
        visitor = Visitor()
        page = visitor.sign_in(self.site.url + "/", username, PASSWORD)
        assert page.status == 200, page.text[:2000]
        return visitor

    def status(self, outpost: Outpost, visitor: Visitor) -> int:
        """What an outpost answers for the visitor."""
        return asked(outpost, self.site, self.site.cookie_header(visitor)).status


@pytest.fixture(scope="module")
def running() -> Iterator[Pair]:
    with short_folder() as folder:
        yield from start(folder)


def start(folder: Path) -> Iterator[Pair]:
    """All of it, and its end."""
    garrison = Garrison(folder / "garrison").start()
    echo = Echo()
    own_name = {"AUTHENTIK_HOST_BROWSER": garrison.url}
    outposts = [Outpost(garrison, "pair", folder / name, environment=own_name) for name in ("first", "second")]
    front = Front(traefik(), Ports(outpost=outposts[0].http, application=echo.port))
    site = Site(provider="pair", host="pair.example.test", scheme="http", port=front.port)
    garrison.apply(
        {
            "groups": [{"name": "staff"}],
            "users": [{"username": name, "password": PASSWORD, "groups": ["staff"]} for name in STAFF],
            "providers": providers({"pair": site}),
            "applications": applications({"pair": site}),
            "outposts": [{"name": "pair", "type": "proxy", "providers": ["pair"]}],
        }
    )
    yield Pair(garrison=garrison, first=outposts[0].start(), second=outposts[1].start(), site=site)
    front.close()
    echo.close()
    for outpost in outposts:
        outpost.stop()
    garrison.stop()


@pytest.fixture
def pair(running: Pair) -> Pair:
    """Both copies are at work, whatever the test before did to them."""
    eventually(lambda: is_connected(running.first) and is_connected(running.second), "connected again", within=60)
    return running


def is_connected(outpost: Outpost) -> bool:
    return metric(outpost.metrics, "authentik_outpost_connection") == 1


def connected(garrison: Garrison) -> int:
    return sum(row["state"] == "connected" for row in garrison.instances("pair"))


def test_sessions_outlive_restarts_replicas_and_the_loss_of_control(pair: Pair) -> None:
    visitor = pair.sign_in("carol")
    assert pair.status(pair.second, visitor) == 200, "the replica does not know the session"
    assert connected(pair.garrison) == 2

    pair.first.stop()
    pair.first.start()
    assert pair.status(pair.first, visitor) == 200, "a restart lost the session"

    pair.garrison.program.kill()
    assert pair.status(pair.first, visitor) == 200
    pair.second.stop()
    pair.second.start()
    assert pair.status(pair.second, visitor) == 200, "the last good state was not served"
    anonymous = Visitor().get(pair.site.url + "/", headers=PAGE, follow=0)
    assert anonymous.status == 302, "without control an anonymous visitor is still asked to sign in"

    pair.garrison.start()
    eventually(lambda: connected(pair.garrison) == 2, "both are connected again", within=60)
    pair.garrison.apply({"users": [{"username": "carol", "active": False}]})
    for outpost in (pair.first, pair.second):
        eventually(lambda outpost=outpost: pair.status(outpost, visitor) == 401, "the change arrives", within=5)  # type: ignore[misc]  # mypy can't infer a lambda's default


def test_what_was_ended_while_an_outpost_was_away_is_ended_when_it_is_back(pair: Pair) -> None:
    visitor = pair.sign_in("dave")
    pair.second.stop()
    pair.garrison.apply({"users": [{"username": "dave", "active": False}]})
    pair.second.start()
    eventually(lambda: pair.status(pair.second, visitor) == 401, "the ended session is known", within=5)


def test_signing_out_while_control_is_away_bites_here_and_reaches_the_others_later(pair: Pair) -> None:
    visitor = pair.sign_in("erin")
    kept = pair.site.cookie_header(visitor)
    pair.garrison.program.kill()
    visitor.get(pair.site.own("sign_out"), follow=0)
    assert asked(pair.first, pair.site, kept).status == 401, "the cookie is still good where it was signed out"
    assert asked(pair.second, pair.site, kept).status == 200
    pair.garrison.start()
    eventually(lambda: asked(pair.second, pair.site, kept).status == 401, "the other outpost hears of it", within=60)


def test_an_outpost_without_its_state_recovers_from_control(pair: Pair) -> None:
    visitor = pair.sign_in("frank")
    pair.second.stop()
    for path in sorted((pair.second.folder / "state").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    pair.second.start()
    assert pair.status(pair.second, visitor) == 200


def test_a_wrong_token_is_named_as_the_reason_and_never_shown(pair: Pair, folder: Path) -> None:
    wrong = "A" * 43
    stranger = Outpost(pair.garrison, "pair", folder / "stranger", environment={"AUTHENTIK_TOKEN": wrong})
    program = stranger.launch()
    eventually(lambda: "calling control again" in program.output(), "it tries again", alive=program)
    assert "token" in program.output().lower()
    assert wrong not in program.output()
    assert not stranger.is_ready()
    stranger.stop()


def processes(garrison: Garrison) -> dict[str, dict[str, object]]:
    rows = json.loads((garrison.data / "run" / "processes.json").read_text())
    return {row["name"]: row for row in rows}


@pytest.fixture(scope="module")
def only() -> Iterator[Garrison]:
    with short_folder() as folder:
        garrison = Garrison(folder / "garrison").start()
        yield garrison
        if not garrison.program.ended():
            garrison.stop()


@pytest.fixture
def alone(only: Garrison) -> Garrison:
    """It runs, whatever the test before did to it."""
    return only.start() if only.program.ended() else only


@pytest.mark.parametrize("name", ["web", "link", "proxy"])
def test_a_child_that_is_killed_comes_back_and_it_shows(alone: Garrison, name: str) -> None:
    before = processes(alone)[name]
    os.kill(int(str(before["pid"])), signal.SIGKILL)

    def back() -> bool:
        now = processes(alone)[name]
        return now["state"] == "running" and now["pid"] != before["pid"] and now["restarts"] == 1

    eventually(back, f"{name} runs again", within=30)
    eventually(alone.is_ready, "ready again", within=30)
    metrics = ask(alone.metrics, "/metrics").text
    assert "garrison_" in metrics
    assert Visitor().get(alone.url + "/").form("username", "password")


def test_killing_the_parent_leaves_nobody_behind(alone: Garrison) -> None:
    children = [int(str(row["pid"])) for row in processes(alone).values()]
    os.kill(alone.program.process.pid, signal.SIGKILL)
    alone.program.process.wait(5)
    eventually(
        lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()], "all children have ended", within=10
    )

    def closed() -> bool:
        try:
            ask(alone.http, "/")
        except ConnectionRefusedError:
            return True
        return False

    eventually(closed, "nothing listens any more", within=10)
    alone.program.kill()
    alone.start()


def test_sigterm_lets_a_request_finish_and_ends_in_time(alone: Garrison) -> None:
    assert Visitor().get(alone.url + "/").form("username", "password")
    alone.stop()


def test_two_on_one_port_is_said_plainly(alone: Garrison, folder: Path) -> None:
    other = Garrison(folder / "other", http=alone.http)
    with pytest.raises(AssertionError) as caught:
        other.start()
    assert str(alone.http) in str(caught.value)
    if not other.program.ended():
        other.program.kill()

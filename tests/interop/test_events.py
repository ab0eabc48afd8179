"""Who came in where, told by an outpost for the audit trail: each once, whoever is killed or away meanwhile."""

import json
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.interop.faults.stage import Edge, Stage, metric, staged
from tests.support.garrison import Outpost, short_folder
from tests.support.peers_http import ask
from tests.support.peers_program import eventually

pytestmark = pytest.mark.interop
CHECK = "/outpost.goauthentik.io/auth/nginx"
SIGN_OUT = "/outpost.goauthentik.io/sign_out"
EVERY_SECOND = {"GARRISON_EVENT_INTERVAL": "1"}
# Nobody comes from there but by this test: where browsers and fronts come from is the machine itself.
NETWORK = "203.0.113."
LOOKS = 20


@dataclass
class Crowd:
    """People at one edge, and how often each has been let in from where."""

    edge: Edge
    cookies: dict[str, str]
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    number: int = 0
    looks: deque[float] = field(default_factory=lambda: deque(maxlen=LOOKS))

    def browse(self, times: int) -> None:
        """Everybody asks so often, from three addresses in turn."""
        for _ in range(times):
            self.number += 1
            for name in self.cookies:
                assert self.is_let_in(name, f"{NETWORK}{self.number % 3}")

    def is_let_in(self, name: str, client: str) -> bool:
        """Whether that person is, who asks once more."""
        status = self.ask(CHECK, self.cookies[name], client)
        assert status in {200, 401}
        self.asked[name, client] += status == 200
        return status == 200

    def ask(self, path: str, cookies: str, client: str) -> int:
        """The status of a request that a reverse proxy passes on for a client."""
        site = self.edge.site
        headers = [("X-Original-URL", site.url + "/"), ("Cookie", cookies), ("X-Forwarded-For", client)]
        return ask(self.edge.outpost.http, path, host=f"{site.host}:{site.port}", headers=headers).status

    def on_disk(self) -> float:
        """How many events wait, once workers have told all that they counted and the disk has it; 0 before.

        Seen several times in a row: what a worker has just told is on its way for a moment, and counted nowhere.
        """
        port = self.edge.outpost.metrics
        untold = metric(port, "garrison_proxy_events_untold") + metric(port, "garrison_outpost_events_unsaved")
        self.looks.append(0.0 if untold else metric(port, "garrison_outpost_events_waiting"))
        return self.looks[-1] if self.looks.count(self.looks[-1]) == LOOKS else 0.0


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """An installation without edges."""
    with short_folder() as folder, staged(folder) as stage:
        yield stage


def edge_that_tells(stage: Stage, name: str) -> Edge:
    """An outpost whose workers tell every second, behind no relay."""
    environment = {"AUTHENTIK_HOST_BROWSER": stage.garrison.url, **EVERY_SECOND}
    return stage.with_application(
        Outpost(stage.garrison, name, stage.folder / name, workers=2, environment=environment)
    )


def crowd_at(stage: Stage, edge: Edge, count: int) -> Crowd:
    names = stage.people(count)
    return Crowd(edge, {name: edge.site.cookie_header(edge.sign_in(name)) for name in names})


def trail(stage: Stage, edge: Edge) -> list[dict[str, Any]]:
    """What the audit trail has of an outpost's telling."""
    return [json.loads(line) for line in stage.garrison.run("audit", "--outpost", edge.name).splitlines()]


def admitted(stage: Stage, edge: Edge) -> Counter[tuple[str, str]]:
    """By person and address, of those that the test made."""
    counts: Counter[tuple[str, str]] = Counter()
    for event in trail(stage, edge):
        if event["action"] == "admitted" and event["address"].startswith(NETWORK):
            counts[event["actor"], event["address"]] += event["count"]
    return counts


def test_nothing_is_lost_or_doubled_while_control_is_away(stage: Stage) -> None:
    edge = edge_that_tells(stage, "teller")
    crowd = crowd_at(stage, edge, 3)
    leaver, cookies = next(iter(crowd.cookies.items()))
    crowd.browse(7)
    eventually(lambda: admitted(stage, edge) == crowd.asked, "control has what was before", within=30)

    stage.garrison.program.kill()
    crowd.browse(7)
    assert crowd.ask(SIGN_OUT, cookies, f"{NETWORK}9") == 302
    # The other worker hears of it a moment later.
    eventually(lambda: not crowd.is_let_in(leaver, f"{NETWORK}9"), "the session is over here")
    del crowd.cookies[leaver]
    waiting = eventually(crowd.on_disk, "the disk has all of them", within=30)
    edge.outpost.program.kill()
    edge.outpost.start()
    assert metric(edge.outpost.metrics, "garrison_outpost_events_waiting") == waiting
    crowd.browse(7)
    eventually(lambda: crowd.on_disk() > waiting, "more of them wait", within=30)

    stage.garrison.start()
    eventually(lambda: admitted(stage, edge) == +crowd.asked, "control has all of it", within=60)
    eventually(lambda: metric(edge.outpost.metrics, "garrison_outpost_events_waiting") == 0, "nothing waits")
    events = trail(stage, edge)
    assert len({event["id"] for event in events}) == len(events)
    (out,) = [event for event in events if event["action"] == "signed_out"]
    assert (out["actor"], out["address"], out["count"]) == (leaver, f"{NETWORK}9", 1)
    away = [event for event in events if event["action"] == "turned_away" and event["actor"] == leaver]
    assert sum(event["count"] for event in away) >= 1
    assert not [event for event in events if event["action"] == "events_lost"]
    assert metric(edge.outpost.metrics, "garrison_outpost_events_lost_total") == 0


def test_hosts_that_strangers_make_up_fill_no_trail(stage: Stage) -> None:
    edge = edge_that_tells(stage, "scanned")
    crowd = crowd_at(stage, edge, 1)
    crowd.browse(5)
    for number in range(300):
        host = f"h{number}.example.net"
        headers = [("X-Original-URL", f"http://{host}/"), ("X-Forwarded-For", f"198.51.100.{number % 250}")]
        assert ask(edge.outpost.http, CHECK, host=host, headers=headers).status == 404
    # Whoever ends tells first; what control was too slow to take then is told at the next start.
    edge.restart()

    def told() -> list[int]:
        return [event["count"] for event in trail(stage, edge) if event["action"] == "misconfigured"]

    eventually(lambda: sum(told()) == 300, "control has all of them", within=30)
    # Two workers with 32 each and one for the rest, which is told once more at the end.
    assert len(told()) <= 2 * 34
    eventually(lambda: admitted(stage, edge) == crowd.asked, "and who was let in", within=30)

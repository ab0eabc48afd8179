"""An installation whose outposts reach control over lines that a test breaks, and the people who work there meanwhile.

Each edge is an outpost of its own behind a relay, with one application before it. A `Trial` is one fault at one edge:
who was signed in before, what is done while it lasts, and how long it takes until all of that is so everywhere.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.interop.world import PASSWORD, applications, asked, providers
from tests.support.browser_http import Page, Visitor
from tests.support.chaos import Asker, Probe, seconds_until
from tests.support.garrison import Garrison, Outpost
from tests.support.peers import Echo
from tests.support.peers_dialects import Front, Ports
from tests.support.peers_http import ask
from tests.support.peers_sites import Site, traefik
from tests.support.relay import Relay

HEALS_WITHIN = 45.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Healing:
    """Seconds from the end of a fault until its traces were gone, and what signed-in people saw meanwhile.

    `worst` is the longest that a check took, in seconds; `found` how long each end took to notice, where it had to.
    """

    fault: str
    link: float
    change: float
    lock_out: float
    sign_out: float
    worst: float
    checks: int
    found: dict[str, float] = field(default_factory=dict)


def metric(port: int, name: str) -> float:
    """The sum of a metric's samples on a metrics port."""
    lines = [line for line in ask(port, "/metrics").text.splitlines() if line.startswith((name + "{", name + " "))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@dataclass
class Edge:
    """An outpost with one application before it and a line behind it."""

    name: str
    garrison: Garrison
    outpost: Outpost
    site: Site
    line: Relay | None = None

    @property
    def relay(self) -> Relay:
        """The line between this outpost and control, where it is a relay."""
        assert self.line is not None
        return self.line

    def sign_in(self, username: str) -> Visitor:
        """A visitor with a session at the application."""
        visitor = Visitor()
        page = visitor.sign_in(self.site.url + "/", username, PASSWORD)
        assert page.status == 200, f"{username}: {page.status} {page.url}\n{page.text[:2000]}"
        return visitor

    def probe(self, username: str) -> Probe:
        """A signed-in user who asks all the time."""
        visitor = self.sign_in(username)
        host = f"{self.site.host}:{self.site.port}"
        cookies = self.site.cookie_header(visitor)
        asker = Asker(username=username, host=host, url=self.site.url + "/", cookies=cookies)
        return Probe(asker, [("127.0.0.1", self.outpost.http)])

    def status(self, cookies: str) -> int:
        """What the outpost answers to these cookies."""
        return asked(self.outpost, self.site, cookies).status

    def is_connected(self) -> bool:
        """Whether the outpost believes so."""
        return metric(self.outpost.metrics, "authentik_outpost_connection") == 1

    def is_listed(self) -> bool:
        """Whether control believes so."""
        lines = ask(self.garrison.metrics, "/metrics").text.splitlines()
        mine = [line for line in lines if line.startswith("authentik_outposts_connected{") and f'"{self.name}"' in line]
        return any(float(line.rpartition(" ")[2]) >= 1 for line in mine)

    def restart(self) -> None:
        """End the outpost and start it again."""
        self.outpost.stop()
        self.outpost.start()


@dataclass
class Stage:
    """One control with its edges."""

    garrison: Garrison
    folder: Path
    echo: Echo
    stack: ExitStack

    def people(self, count: int) -> list[str]:
        """New members of the staff, with the password of all."""
        names = [f"person{next(_numbers)}" for _ in range(count)]
        self.garrison.apply(
            {
                "users": [
                    {"username": name, "name": name.title(), "password": PASSWORD, "groups": ["staff"]}
                    for name in names
                ]
            }
        )
        return names

    def edge(self, name: str) -> Edge:
        """Start an outpost behind a relay, with its application; it ends with the stage."""
        relay = self.stack.enter_context(Relay(("127.0.0.1", self.garrison.link)))
        environment = {"AUTHENTIK_HOST_BROWSER": self.garrison.url, "GARRISON_LINK": relay.address}
        outpost = Outpost(self.garrison, name, self.folder / name, environment=environment)
        edge = self.with_application(outpost)
        edge.line = relay
        return edge

    def with_application(self, outpost: Outpost, validity: str = "hours=24") -> Edge:
        """Start an outpost with an application before it that bears its name; it ends with the stage."""
        name = outpost.name
        front = Front(traefik(), Ports(outpost=outpost.http, application=self.echo.port))
        self.stack.callback(front.close)
        site = Site(provider=name, host=f"{name}.example.test", scheme="http", port=front.port)
        self.garrison.apply(
            {
                "providers": [{**each, "access_token_validity": validity} for each in providers({name: site})],
                "applications": applications({name: site}),
                "outposts": [{"name": name, "type": "proxy", "providers": [name]}],
            }
        )
        outpost.start()
        self.stack.callback(outpost.stop)
        return Edge(name=name, garrison=self.garrison, outpost=outpost, site=site)


@contextmanager
def staged(folder: Path, garrison: Garrison | None = None) -> Iterator[Stage]:
    """An installation with people, without edges; all ends with the block."""
    with ExitStack() as stack:
        garrison = (garrison or Garrison(folder / "garrison")).start()
        stack.callback(garrison.stop)
        echo = Echo()
        stack.callback(echo.close)
        garrison.apply({"groups": [{"name": "staff"}]})
        yield Stage(garrison=garrison, folder=folder, echo=echo, stack=stack)


class Trial:
    """One fault at one edge. Made before it; `disturb` while it lasts; `heals` from its end on."""

    def __init__(self, stage: Stage, edge: Edge, fault: str) -> None:
        self.stage = stage
        self.edge = edge
        self.fault = fault
        self.found: dict[str, float] = {}
        first, second, leaver, departing, self.newcomer = stage.people(5)
        self.steady = [edge.probe(first), edge.probe(second)]
        self.leaver = edge.probe(leaver)
        self.departing = edge.sign_in(departing)
        self.kept = edge.site.cookie_header(self.departing)
        self.began = time.monotonic()

    def disturb(self) -> None:
        """An administrator renames one, locks out another; a third signs out at the outpost."""
        first = self.steady[0].asker.username
        self.stage.garrison.apply(
            {
                "users": [
                    {"username": first, "name": f"{first} changed"},
                    {"username": self.leaver.asker.username, "active": False},
                ]
            }
        )
        page = self.departing.get(self.edge.site.own("sign_out"), follow=0)
        assert page.status == 302, f"{page.status} {page.text[:2000]}"
        assert self.edge.status(self.kept) == 401, "the sign-out did not bite at once"

    def tries_to_sign_in(self) -> Page:
        """What somebody new is shown who signs in now, or who would like to."""
        visitor = Visitor()
        page = visitor.get(self.edge.site.url + "/")
        return page if page.status == 503 else visitor.submit(page, {"username": self.newcomer, "password": PASSWORD})

    def is_explained(self, page: Page) -> None:
        """A page for people that says it can't be done just now, and when to try again."""
        assert page.status == 503, f"{page.status} {page.url}\n{page.text[:2000]}"
        assert urlsplit(page.url).hostname == self.edge.site.host
        assert int(page.headers["retry-after"]) > 0
        assert "<html" in page.text

    def notices(self, since: float, within: float = 20.0) -> None:
        """Both ends know that the link is gone."""
        believes: dict[str, Callable[[], bool]] = {"outpost": self.edge.is_connected, "control": self.edge.is_listed}
        while believes and time.monotonic() < since + within:
            for end in [end for end, connected in believes.items() if not connected()]:
                self.found[end] = time.monotonic() - since
                del believes[end]
            time.sleep(0.05)
        assert not believes, f"{self.fault}: {sorted(believes)} did not notice within {within:g} s"

    def is_locked_out(self) -> bool:
        """Whether the outpost refuses the user who was locked out."""
        return self.leaver.last.status == 401

    def heals(self, since: float, within: float = HEALS_WITHIN) -> Healing:
        """Wait until all that was done is so at the outpost and at control; nobody else has seen an error."""
        edge = self.edge
        link = seconds_until(lambda: edge.is_connected() and edge.is_listed(), f"{self.fault}: link", within, since)
        lock_out = seconds_until(self.is_locked_out, f"{self.fault}: locked out", within, since)
        renamed = f"{self.steady[0].asker.username} changed"
        change = seconds_until(lambda: self.steady[0].last.name == renamed, f"{self.fault}: renamed", within, since)
        sign_out = seconds_until(self._signed_out_at_control, f"{self.fault}: signed out", within, since)
        page = self.tries_to_sign_in()
        assert page.status == 200, f"sign-in after {self.fault}: {page.status} {page.url}\n{page.text[:2000]}"
        worst = self.judge()
        checks = sum(len(probe.answers) for probe in self.steady)
        return Healing(
            fault=self.fault, link=link, change=change, lock_out=lock_out, sign_out=sign_out,
            worst=worst, checks=checks, found=self.found,
        )  # fmt: skip

    def judge(self) -> float:
        """End the probes; nobody who may pass was refused, nobody locked out came back. The slowest answer."""
        for probe in (*self.steady, self.leaver):
            probe.close()
        for probe in self.steady:
            errors = probe.errors()
            assert not errors, f"{self.fault}: {probe.asker.username} saw {len(errors)} errors: {errors[:5]}"
        strange = [seen for seen in self.leaver.answers if seen.status not in (200, 401)]
        assert not strange, f"{self.fault}: who is locked out is told so, and sees no error: {strange[:5]}"
        refused = self.leaver.refused_at()
        assert refused is not None
        assert not self.leaver.let_in_after(refused), f"{self.fault}: who was locked out came back"
        return max(probe.worst() for probe in (*self.steady, self.leaver))

    def _signed_out_at_control(self) -> bool:
        """Control asks for a password again: the sign-out made at the outpost has arrived."""
        page = self.departing.get(self.stage.garrison.url + "/")
        return 'name="password"' in page.text

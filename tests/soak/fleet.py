"""The fleet: one control, groups of outposts with several copies each, a line before each copy, people at each group.

A group is one outpost of control. People reach it as through a load balancer, so that an error is what they see when no
copy answers, or one wrongly; faults leave two copies of each group alone.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from control.settings import Given, read_settings
from control.settings.opening import open_store
from control.store import Store
from tests.interop.world import PASSWORD
from tests.support.browser_http import Visitor
from tests.support.chaos import Address, Asker, Probe
from tests.support.garrison import Garrison
from tests.support.outpost_process import children
from tests.support.peers import Echo
from tests.support.peers_dialects import Front, Ports
from tests.support.peers_http import ask
from tests.support.peers_program import Program, eventually, free_port
from tests.support.peers_sites import Site, traefik
from tests.support.relay import Relay

COPIES = 5
APPLICATIONS = 3


@dataclass
class Member:
    """One copy of an outpost: a supervisor with one worker. `trouble` is what is wrong with it, by our doing."""

    name: str
    folder: Path
    environment: dict[str, str]
    line: Relay
    http: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)
    trouble: str = ""
    programs: list[Program] = field(default_factory=list)

    @property
    def program(self) -> Program:
        """The newest process."""
        return self.programs[-1]

    @property
    def pid(self) -> int:
        """The supervisor's."""
        return self.program.process.pid

    @property
    def workers(self) -> list[int]:
        """The workers' pids."""
        return children(self.pid)

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    @property
    def uid(self) -> str:
        """What control knows this copy by."""
        return (self.state / "instance").read_text().strip()

    def launch(self) -> None:
        """Start it, without waiting."""
        local = "127.0.0.1:{}".format
        places = ["--http", local(self.http), "--metrics", local(self.metrics), "--state", str(self.state)]
        command = [sys.executable, "-m", "dataplane.main", "proxy", "--workers", "1", *places]
        self.programs.append(Program(self.name, command, {**self.environment, "GARRISON_LINK": self.line.address}))

    def is_ready(self) -> bool:
        """Whether it serves a configuration."""
        try:
            return ask(self.metrics, "/-/health/ready/").status == 200
        except OSError:
            return False

    def send(self, number: signal.Signals) -> None:
        """Signal the supervisor, if it is there."""
        if not self.program.ended():
            os.kill(self.pid, number)

    def send_to_worker(self, number: signal.Signals) -> None:
        """Signal the worker, if it is there."""
        for pid in self.workers:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def forget(self) -> None:
        """Lose the state."""
        shutil.rmtree(self.state, ignore_errors=True)


@dataclass
class Group:
    """An outpost of control with its copies. `balancer` leads to one that is well; `site` is the first application."""

    name: str
    members: list[Member]
    balancer: Relay
    front: Front
    site: Site
    providers: list[str]

    @property
    def well(self) -> list[Member]:
        """Copies that nothing is wrong with."""
        return [member for member in self.members if not member.trouble]

    @property
    def addresses(self) -> list[Address]:
        """Where all copies listen."""
        return [("127.0.0.1", member.http) for member in self.members]

    def balance(self) -> None:
        """Lead whoever signs in now to a copy that is well."""
        self.balancer.target = ("127.0.0.1", self.well[0].http)

    def sign_in(self, username: str) -> Asker:
        """Sign somebody in, who then asks with that session."""
        visitor = Visitor()
        page = visitor.sign_in(self.site.url + "/", username, PASSWORD)
        assert page.status == 200, f"{username}: {page.status} {page.url}\n{page.text[:2000]}"
        host = f"{self.site.host}:{self.site.port}"
        return Asker(username=username, host=host, url=self.site.url + "/", cookies=self.site.cookie_header(visitor))


@dataclass
class Person:
    """Somebody who signed in at a group before anything broke, and what a session like theirs is worth by now."""

    username: str
    group: Group
    asker: Asker
    probe: Probe
    name: str
    ended: bool = False
    in_staff: bool = True

    @property
    def expected(self) -> int:
        """The status that every copy has to answer in the end."""
        return 401 if self.ended else 200 if self.in_staff else 403


@dataclass
class Fleet:
    """Everything that runs. `steady` people are never locked out, `others` are."""

    garrison: Garrison
    store: Store
    echo: Echo
    groups: list[Group]
    steady: list[Person] = field(default_factory=list)
    others: list[Person] = field(default_factory=list)

    @property
    def members(self) -> list[Member]:
        """All copies of all groups."""
        return [member for group in self.groups for member in group.members]

    @property
    def probes(self) -> list[Probe]:
        """All who ask."""
        return [person.probe for person in (*self.steady, *self.others)]

    def processes(self) -> dict[str, int]:
        """Control's processes by name: those that run now."""
        rows = json.loads((self.garrison.data / "run" / "processes.json").read_text())
        return {row["name"]: int(row["pid"]) for row in rows if row["state"] == "running" and row["pid"]}

    def close(self) -> None:
        """End all that is no process of Garrison."""
        for probe in self.probes:
            probe.close()
        for group in self.groups:
            group.front.close()
        self.echo.close()


def start(folder: Path, outposts: int) -> Iterator[Fleet]:
    """Start a fleet, in steps so that somebody can say how far it is; it is complete with the last one."""
    garrison = Garrison(folder / "garrison").start()
    echo = Echo()
    groups = [_group(folder, garrison, echo, number, outposts) for number in range(max(1, outposts // COPIES))]
    garrison.apply(blueprint(groups))
    settings = read_settings(Given(data=str(garrison.data), url=garrison.url), {})
    fleet = Fleet(garrison=garrison, store=open_store(settings, migrate=False), echo=echo, groups=groups)
    for group in groups:
        token = garrison.token(group.name)
        for member in group.members:
            member.environment["AUTHENTIK_TOKEN"] = token
            member.launch()
        yield fleet
    for member in fleet.members:
        eventually(member.is_ready, f"{member.name} is ready", within=180, alive=member.program)
    for group in groups:
        fleet.steady += [_person(group, "steady", number) for number in range(2)]
        fleet.others += [_person(group, "other", number) for number in range(2)]
        yield fleet


def _group(folder: Path, garrison: Garrison, echo: Echo, number: int, outposts: int) -> Group:
    name = f"edge{number}"
    count = max(1, outposts // COPIES)
    copies = outposts // count + (number < outposts % count)
    members = [_member(folder, garrison, f"{name}-{copy}") for copy in range(copies)]
    balancer = Relay(("127.0.0.1", members[0].http)).__enter__()
    front = Front(traefik(), Ports(outpost=balancer.port, application=echo.port))
    site = Site(provider=f"{name}-app0", host=f"{name}.example.test", scheme="http", port=front.port)
    providers = [f"{name}-app{number}" for number in range(APPLICATIONS)]
    return Group(name=name, members=members, balancer=balancer, front=front, site=site, providers=providers)


def _member(folder: Path, garrison: Garrison, name: str) -> Member:
    line = Relay(("127.0.0.1", garrison.link)).__enter__()
    environment = {"AUTHENTIK_HOST": f"http://127.0.0.1:{garrison.http}", "AUTHENTIK_HOST_BROWSER": garrison.url}
    (folder / name).mkdir()
    return Member(name=name, folder=folder / name, environment=environment, line=line)


def _person(group: Group, kind: str, number: int) -> Person:
    username = f"{kind}-{group.name}-{number}"
    asker = group.sign_in(username)
    # Each is balanced to another copy first.
    addresses = group.addresses[2 * number :] + group.addresses[: 2 * number]
    return Person(username=username, group=group, asker=asker, probe=Probe(asker, addresses, pace=0.25), name=username)


def blueprint(groups: list[Group]) -> dict[str, object]:
    """What control begins with."""
    people = [f"{kind}-{group.name}-{number}" for group in groups for kind in ("steady", "other") for number in (0, 1)]
    hosts = {name: f"https://{name}.example.test" for group in groups for name in group.providers}
    hosts |= {group.site.provider: group.site.external_host for group in groups}
    return {
        "groups": [{"name": "staff"}],
        "users": [{"username": name, "name": name, "password": PASSWORD, "groups": ["staff"]} for name in people],
        "providers": [
            {"name": name, "type": "proxy", "mode": "forward_single", "external_host": host}
            for name, host in hosts.items()
        ],
        "applications": [
            {"slug": name, "name": name, "provider": name, "bindings": [{"group": "staff"}]} for name in hosts
        ],
        "outposts": [{"name": group.name, "type": "proxy", "providers": group.providers} for group in groups],
    }

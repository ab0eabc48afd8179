"""Two control replicas on PostgreSQL behind HAProxy, as the documentation has it.

What one does the other acts on, and when one is gone nobody who is signed in notices.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.interop.world import PASSWORD, applications, asked, people, providers
from tests.support.browser_http import Visitor
from tests.support.garrison import Outpost, short_folder
from tests.support.peers import Echo
from tests.support.peers_dialects import Front, Ports
from tests.support.peers_program import eventually
from tests.support.peers_sites import Site, traefik
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.replicas import Cluster, Insistent, Replica, cluster, losing

pytestmark = pytest.mark.interop

EDGE, EMBEDDED = "edge", "Embedded outpost"


@dataclass
class World:
    """The replicas, and an application behind one outpost with two instances, each connected to another replica."""

    cluster: Cluster
    server: PostgresServer
    outposts: list[Outpost]
    site: Site

    def person(self, name: str) -> str:
        """A new member of the staff."""
        user = {"username": name, "password": PASSWORD, "groups": ["staff"]}
        self.cluster.a.apply({"users": [user]})
        return name

    def signed_in(self, name: str) -> str:
        """The cookies of somebody who signed in at the application."""
        visitor = Visitor()
        page = visitor.sign_in(self.site.url + "/", name, PASSWORD)
        assert page.status == 200, f"{page.status} {page.url}\n{page.text[:2000]}"
        return self.site.cookie_header(visitor)

    def status(self, outpost: Outpost, cookies: str) -> int:
        """What an outpost answers nginx for these cookies."""
        return asked(outpost, self.site, cookies).status

    def is_everywhere(self, cookies: str, status: int) -> bool:
        """Whether all outposts answer so."""
        return all(self.status(outpost, cookies) == status for outpost in self.outposts)

    def are_held_by(self, *replicas: Replica) -> bool:
        """Whether both instances are connected, and to these replicas."""
        holders = self.cluster.holders(EDGE)
        return len(holders) == 2 and set(holders.values()) <= {replica.holder for replica in replicas}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with short_folder() as folder, postgres_server() as server, cluster(folder, server) as running:
        echo = Echo()
        environment = {
            "AUTHENTIK_HOST": f"https://127.0.0.1:{running.balancer.web}",
            "AUTHENTIK_INSECURE": "true",
            "AUTHENTIK_HOST_BROWSER": running.url,
        }
        outposts = [Outpost(running.a, EDGE, folder / name, environment=environment) for name in ("one", "two")]
        front = Front(traefik(), Ports(outpost=outposts[0].http, application=echo.port))
        site = Site(provider="app", host="app.example.test", scheme="http", port=front.port)
        running.a.apply(
            {
                **people(),
                "providers": providers({"app": site}),
                "applications": applications({"app": site}),
                "outposts": [{"name": EDGE, "type": "proxy", "providers": ["app"]}],
            }
        )
        for outpost, replica in zip(outposts, ("a", "b"), strict=True):
            with running.balancer.only("link", replica):
                outpost.start()
        yield World(running, server, outposts, site)
        front.close()
        echo.close()
        for outpost in outposts:
            outpost.stop()


def test_both_began_at_once_and_made_everything_once(world: World) -> None:
    ask = world.cluster.ask
    assert ask("SELECT count(*) FROM audit_events WHERE action = 'created' AND name = 'akadmin'") == [(1,)]
    assert ask("SELECT count(*) FROM authorities") == ask("SELECT count(*) FROM signing_keys") == [(1,)]
    assert ask("SELECT name FROM outposts WHERE embedded") == [(EMBEDDED,)]


def test_the_front_doors_are_instances_of_one_outpost(world: World) -> None:
    holders = {world.cluster.a.holder, world.cluster.b.holder}
    eventually(lambda: set(world.cluster.holders(EMBEDDED).values()) == holders, "both front doors are connected")
    eventually(lambda: world.are_held_by(world.cluster.a, world.cluster.b), "both outposts are connected")
    shown = world.cluster.b.instances(EDGE)
    assert [row["state"] for row in shown] == ["connected", "connected"]


def test_a_change_made_on_one_reaches_outposts_of_the_other(world: World) -> None:
    cookies = world.signed_in(world.person("carol"))
    assert world.is_everywhere(cookies, 200)
    for replica, active, status in ((world.cluster.a, False, 401), (world.cluster.b, True, 401)):
        replica.apply({"users": [{"username": "carol", "active": active}]})
        eventually(lambda status=status: world.is_everywhere(cookies, status), "it is everywhere", within=4)  # type: ignore[misc]  # mypy can't infer a lambda's default


def test_a_sign_in_begun_on_one_is_finished_on_the_other(world: World) -> None:
    only, visitor = world.cluster.balancer.only, Visitor()
    with only("web", "a"):
        page = visitor.get(world.site.url + "/")
    with only("web", "b"):
        page = visitor.submit(page, {"username": world.person("dave"), "password": PASSWORD})
    assert (page.status, page.url) == (200, world.site.url + "/")
    for replica in ("a", "b"):
        with only("web", replica):
            assert "dave" in visitor.get(world.cluster.url + "/").text


@contextmanager
def nobody_notices(world: World, name: str, *, pages: bool = True) -> Iterator[None]:
    """Somebody is signed in and goes on using the application, and control's own pages where `pages`."""
    visitor = Visitor()
    assert visitor.sign_in(world.site.url + "/", world.person(name), PASSWORD).status == 200
    cookies = world.site.cookie_header(visitor)
    uses = [Insistent(partial(world.status, outpost, cookies)) for outpost in world.outposts]
    if pages:
        uses.append(Insistent(lambda: visitor.get(world.cluster.url + "/", follow=0).status))
    with ExitStack() as stack:
        for use in uses:
            stack.enter_context(use)
        go_on(uses)
        yield
        go_on(uses)
    for use in uses:
        assert set(use.seen) == {200}, use.seen


def go_on(uses: list[Insistent]) -> None:
    """Wait until each has asked some times more."""
    before = [use.seen.total() for use in uses]
    eventually(
        lambda: all(use.seen.total() > count + 10 for use, count in zip(uses, before, strict=True)), "it goes on"
    )


def pair(world: World, name: str) -> tuple[Replica, Replica]:
    """The replica of that name and the other, both at work and used by the load balancer."""
    one, other = world.cluster.replicas[name], world.cluster.replicas[{"a": "b", "b": "a"}[name]]
    eventually(world.cluster.balancer.uses_both, "the load balancer uses both", within=15)
    return one, other


@pytest.mark.parametrize(
    ("name", "end"),
    [("a", lambda replica: replica.program.kill()), ("b", Replica.stop)],
    ids=["killed", "stopped"],
)
def test_when_a_replica_ends_its_outposts_are_at_the_other_and_nobody_notices(
    world: World, name: str, end: Callable[[Replica], None]
) -> None:
    one, other = pair(world, name)
    with nobody_notices(world, f"eve-{name}"):
        end(one)
        eventually(lambda: world.are_held_by(other), "its outposts are at the other", within=10)
    assert world.is_everywhere(world.signed_in(world.person(f"frank-{name}")), 200)
    one.start()


def test_when_a_machine_is_gone_without_a_word_its_outposts_are_at_the_other(world: World) -> None:
    one, other = pair(world, "a")
    eventually(lambda: world.are_held_by(one), "it holds both, the other having been away")
    with nobody_notices(world, "grace", pages=False), losing([one.link, one.http]):
        eventually(lambda: world.are_held_by(other), "its outposts are at the other", within=10)


def test_postgresql_restarted_heals_by_itself(world: World) -> None:
    a, b = pair(world, "a")
    pids = a.pids(), b.pids()
    visitor = Visitor()
    assert visitor.sign_in(world.site.url + "/", world.person("heidi"), PASSWORD).status == 200
    cookies = world.site.cookie_header(visitor)
    world.server.stop()
    try:
        assert world.is_everywhere(cookies, 200)
        for name in ("a", "b"):
            with world.cluster.balancer.only("web", name):
                away = visitor.get(world.cluster.url + "/")
            assert (away.status, "retry-after" in away.headers) == (503, True)
    finally:
        world.server.start()
    for replica in (a, b):
        eventually(replica.is_ready, "it is ready again", within=30)
    assert visitor.get(world.cluster.url + "/").status == 200
    world.signed_in(world.person("ivan"))
    a.apply({"users": [{"username": "heidi", "active": False}]})
    eventually(lambda: world.is_everywhere(cookies, 401), "changes arrive again", within=10)
    assert (a.pids(), b.pids()) == pids, "nothing had to be started again"
    eventually(lambda: world.are_held_by(a, b), "its outposts are as before", within=10)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, "secret.key: found 'no file'; expected the key of the database that is there, or GARRISON_SECRET_KEY"),
        ("x" * 40, "GARRISON_SECRET_KEY: found 'another key'; expected the key that the database was made with"),
    ],
)
def test_a_replica_without_the_key_does_not_start(world: World, key: str | None, said: str) -> None:
    environment = {**world.cluster.environment, "GARRISON_SECRET_KEY": key or ""}
    told = world.cluster.refused(environment)
    assert said in told
    assert len(told.splitlines()) == 1


def test_the_password_of_the_database_is_nowhere(world: World) -> None:
    for replica in (world.cluster.a, world.cluster.b):
        written = replica.program.output() + "".join(
            path.read_text(errors="replace") for path in replica.data.rglob("*") if path.is_file()
        )
        assert "of%2Fthe" not in written
        assert "of/the@database" not in written
        commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in replica.pids().values()]
        assert not any(b"%2F" in command for command in commands)

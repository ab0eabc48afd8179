"""Outposts that deploy themselves, from the form in Chromium to the program that uses them, on a real engine.

The tests are one life, in this order: made, used, broken by hand, changed, given a bad image, upgraded, removed, also
while the engine is away. Control sees the engine through a proxy that lets through what the page about Docker says and
no more. Registries are never reached: the names lead to a port where nobody listens.
"""

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from playwright.sync_api import Page, expect

from tests.support.browser import chromium, profile
from tests.support.engine import GATEWAY, Engine
from tests.support.engine_proxy import WIDE, Call, engine_proxy
from tests.support.garrison import ADMIN, ADMIN_PASSWORD, Garrison, short_folder
from tests.support.peers_program import eventually, free_port, plain_environment, require

pytestmark = [pytest.mark.interop, pytest.mark.timeout(420)]
REGISTRY = "localhost:1"
LOCAL, FAR = "Local Docker connection", "far"
BASE, ALICE = "dc=ldap,dc=example,dc=test", "correct-horse-battery"
LABEL = "io.goauthentik.outpost-uuid"
# Until control has seen a change, carried it out and is sure of it; until a page shows what is known.
SECONDS, SHOWN = 40.0, 30_000
OBJECTS: dict[str, Any] = {
    "users": [{"username": "alice", "name": "Alice", "password": ALICE}],
    "providers": [
        {"name": "wiki", "type": "proxy", "mode": "forward_single", "external_host": "https://wiki.example.test"},
        {"name": "directory", "type": "ldap", "base_dn": BASE},
    ],
    "applications": [
        {"slug": "wiki", "name": "Wiki", "provider": "wiki"},
        {"slug": "directory", "name": "Directory", "provider": "directory"},
    ],
}


@dataclass(kw_only=True)
class Way:
    """The socket at which control finds the engine; it can be taken away."""

    folder: Path
    engine: str
    refused: list[Call] = field(default_factory=list)
    _open: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        """What an integration is told."""
        return f"unix://{self._path}"

    @property
    def _path(self) -> Path:
        return self.folder / "engine.sock"

    def open(self) -> "Way":
        """Let control reach the engine."""
        proxy = self._open.enter_context(engine_proxy(self.folder, self.engine, WIDE))
        # One list for all times that it was open.
        proxy.refused = self.refused
        self._path.symlink_to(proxy.url.removeprefix("unix://"))
        return self

    def close(self) -> None:
        """The engine is away."""
        self._path.unlink()
        self._open.close()


@dataclass(kw_only=True)
class Site:
    """An installation, and the engine that it deploys to as any other client of it sees it."""

    engine: Engine
    client: APIClient
    garrison: Garrison
    far: Way

    def containers(self, beginning: str) -> list[dict[str, Any]]:
        """The containers of outposts whose name begins so, running or not."""
        found = self.client.containers(all=True, filters={"label": LABEL, "name": f"^/{beginning}"})
        return [self.client.inspect_container(each["Id"]) for each in found]

    def becomes(self, name: str, outpost: str, label: str = "", image: str = "") -> dict[str, Any]:
        """Wait until it is the only one of its outpost, runs with this label and image if named, and is connected."""

        def look() -> dict[str, Any]:
            found = self.containers(name)
            assert [each["Name"] for each in found] == [f"/{name}"]
            (container,) = found
            assert container["State"]["Running"], container["State"]
            assert label in container["Config"]["Labels"] or not label, container["Config"]["Labels"]
            assert image in container["Config"]["Image"], container["Config"]["Image"]
            # Last, as it takes a process.
            states = [row["state"] for row in self.garrison.instances(outpost)]
            log = self.client.logs(container["Id"], tail=20).decode()
            assert [state for state in states if state != "disconnected"] == ["connected"], (states, log)
            return container

        return eventually(look, f"{name} is up", within=SECONDS) or {}

    def gone(self, name: str) -> None:
        """Wait until there is none of that name."""
        eventually(lambda: not self.containers(name), f"{name} is gone", within=2 * SECONDS)

    def told(self, action: str, outpost: str) -> list[dict[str, Any]]:
        """What the audit trail has of an action on an outpost, the oldest first."""
        lines = self.garrison.run("audit", "--action", action, "--kind", "outpost", "--name", outpost)
        return [json.loads(line) for line in lines.splitlines()]

    def configure(self, outpost: str, **config: object) -> None:
        """Change settings of an outpost; those not named stay as they are made here."""
        own = {"authentik_host": f"http://{GATEWAY}:{self.garrison.http}"}
        self.garrison.apply({"outposts": [{"name": outpost, "config": own | config}]})


def installed(engine: Engine, folder: Path, **environment: str) -> Garrison:
    """An installation that containers reach, and that finds the engine by itself."""
    http_port, link = free_port(), free_port()
    own = {
        "AUTHENTIK_OUTPOSTS__DISCOVER": "true",
        "DOCKER_HOST": engine.environment["DOCKER_HOST"],
        "AUTHENTIK_OUTPOSTS__CONTAINER_IMAGE_BASE": f"{REGISTRY}/outpost-%(type)s:%(version)s",
    }
    flags = ["--http", f":{http_port}", "--link", f":{link}"]
    return Garrison(folder, flags=flags, environment=own | environment, http=http_port, link=link)


def built(engine: Engine, image: str, *lines: str) -> str:
    """An image of these lines of a Dockerfile; its name."""
    text = "\\n".join(lines)
    engine.run("sh", "-euc", f"printf '{text}' | docker build --quiet --tag {image} -")
    return image


@pytest.fixture(scope="module")
def site(engine: Engine, outpost_image: str) -> Iterator[Site]:
    """An installation with applications, and none of its outposts yet."""
    version = outpost_image.rpartition(":")[2]
    for kind in ("proxy", "ldap"):
        engine.run("docker", "tag", outpost_image, f"{REGISTRY}/outpost-{kind}:{version}")
    with short_folder() as folder:
        far = Way(folder=folder, engine=engine.environment["DOCKER_HOST"].removeprefix("unix://")).open()
        client = APIClient(base_url=engine.environment["DOCKER_HOST"], version="1.41")
        garrison = installed(engine, folder / "garrison").start()
        site = Site(engine=engine, client=client, garrison=garrison, far=far)
        site.garrison.apply(OBJECTS)
        yield site
        site.garrison.stop()
        far.close()
        for container in site.containers(""):
            client.remove_container(container["Id"], force=True, v=True)
        client.close()


@pytest.fixture(scope="module")
def page(site: Site) -> Iterator[Page]:
    """The administrator's page, signed in."""
    with chromium() as browser, profile(browser, [site.garrison.host]) as (context, _):
        page = context.new_page()
        page.goto(f"{site.garrison.url}/admin/outposts/")
        page.get_by_label("Username").fill(ADMIN)
        page.get_by_label("Password").fill(ADMIN_PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{site.garrison.url}/admin/outposts/")
        yield page


def make_outpost(page: Page, site: Site, name: str, kind: str, application: str) -> None:
    """Fill in the form for a new outpost; where it is deployed stays as the form has it."""
    page.goto(f"{site.garrison.url}/admin/outposts/")
    page.get_by_role("link", name="Create").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_role("radio", name=kind).check(force=True)
    dialog.get_by_role("checkbox", name=application).check()
    dialog.get_by_text("Advanced settings").click()
    # The name in the browser's address bar is of this machine alone.
    dialog.get_by_label("Settings (YAML)").fill(f"authentik_host: http://{GATEWAY}:{site.garrison.http}")


def deployed(page: Page, name: str) -> None:
    """Send the form, and see on the outpost's page how it comes up."""
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.locator("#managed")).to_contain_text("Deployed", timeout=SHOWN)
    expect(page.locator("#instances")).to_contain_text("Connected", timeout=SHOWN)


def test_a_proxy_outpost_from_the_form_to_its_port(site: Site, page: Page) -> None:
    eventually(lambda: LOCAL in site.garrison.run("audit", "--kind", "integration"), "it is found", within=SECONDS)
    make_outpost(page, site, "edge", "Proxy", "wiki")
    assert page.get_by_role("dialog").get_by_label("Integration").locator("option:checked").inner_text() == LOCAL
    deployed(page, "edge")
    container = site.becomes("ak-outpost-edge", "edge")
    config, host = container["Config"], container["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["RestartPolicy"]["Name"]) == (True, ["ALL"], "unless-stopped")
    assert "wiki.example.test" in config["Labels"]["traefik.http.routers.ak-outpost-edge-router.rule"]
    assert forward_auth() == 401


def forward_auth() -> int:
    """What the outpost answers a reverse proxy of this machine, through the mapped port, about a visitor."""
    connection = http.client.HTTPConnection(GATEWAY, 9000, timeout=30)
    try:
        headers = {"Host": "wiki.example.test", "X-Original-URL": "https://wiki.example.test/"}
        connection.request("GET", "/outpost.goauthentik.io/auth/nginx", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_an_ldap_outpost_on_an_integration_made_by_hand(site: Site, page: Page) -> None:
    page.goto(f"{site.garrison.url}/admin/integrations/")
    page.get_by_role("link", name="Create").first.click()
    page.get_by_role("link", name="On this machine").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(FAR)
    dialog.get_by_label("URL", exact=True).fill(site.far.url)
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(FAR)
    expect(page.get_by_label("Health")).to_contain_text("Healthy", timeout=SHOWN)
    make_outpost(page, site, "directory", "LDAP", "directory")
    page.get_by_role("dialog").get_by_label("Integration").select_option(label=FAR)
    deployed(page, "directory")
    site.becomes("ak-outpost-directory", "directory")
    assert whoami(389) == f"dn:cn=alice,ou=users,{BASE}"


def whoami(port: int) -> str:
    """Whom the directory takes alice for, through the mapped port."""
    who = ["-x", "-H", f"ldap://{GATEWAY}:{port}", "-D", f"cn=alice,ou=users,{BASE}", "-w", ALICE]
    done = subprocess.run(
        [require("ldapwhoami", "ldap-utils"), *who],
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_is_broken_by_hand_is_mended_and_told(site: Site) -> None:
    killed, removed = site.becomes("ak-outpost-directory", "directory"), site.becomes("ak-outpost-edge", "edge")
    site.engine.run("docker", "kill", killed["Id"])
    site.engine.run("docker", "rm", "--force", "--volumes", removed["Id"])
    # What happens often on an engine is looked at once a minute.
    for before in (killed, removed):
        eventually(partial(runs_anew, site, before), f"{before['Name']} runs again", within=2 * SECONDS)
    assert site.becomes("ak-outpost-directory", "directory")["Id"] == killed["Id"]
    assert site.becomes("ak-outpost-edge", "edge")["Id"] != removed["Id"]
    for outpost in ("directory", "edge"):
        eventually(partial(site.told, "deployment mended", outpost), "it is told")


def runs_anew(site: Site, before: dict[str, Any]) -> bool:
    """Whether a container of that name runs that has been started since."""
    found = site.containers(before["Name"].removeprefix("/"))
    started = [each["State"]["StartedAt"] for each in found if each["State"]["Running"]]
    return bool(started) and started[0] > before["State"]["StartedAt"]


def test_settings_are_followed(site: Site) -> None:
    before = site.becomes("ak-outpost-edge", "edge")
    site.configure(
        "edge", docker_labels={"team": "doors"}, docker_map_ports=False, object_naming_template="door-%(name)s"
    )
    renamed = site.becomes("door-edge", "edge", label="team")
    # Labels of Traefik have the name in them, so another container it is; the old one goes when the new one is up.
    site.gone("ak-outpost-edge")
    assert renamed["Id"] != before["Id"]
    assert renamed["HostConfig"]["PortBindings"] in ({}, None)
    assert [event["outcome"] for event in site.told("deployment failed", "edge")] == []
    assert renamed["Name"] == "/door-edge"


def test_a_bad_image_is_rolled_back_and_said(site: Site, page: Page) -> None:
    before = site.becomes("ak-outpost-directory", "directory")
    bad = built(
        site.engine, f"{REGISTRY}/bad:1", f"FROM {before['Config']['Image']}", 'ENTRYPOINT ["python", "-c", "exit(7)"]'
    )
    site.configure("directory", container_image=bad)
    eventually(lambda: site.told("deployment rolled back", "directory"), "it is told", within=SECONDS)
    after = site.becomes("ak-outpost-directory", "directory")
    assert after["Image"] == before["Image"]
    page.goto(f"{site.garrison.url}/admin/outposts/")
    page.get_by_role("link", name="directory", exact=True).click()
    expect(page.locator("#managed")).to_contain_text("Rolled back", timeout=SHOWN)
    expect(page.locator("#managed")).to_contain_text("exit code 7", timeout=SHOWN)
    site.configure("directory")
    eventually(lambda: whoami(389), "it serves", within=SECONDS)


def test_an_upgrade_of_control_upgrades_its_outposts(site: Site, page: Page) -> None:
    before = {
        name: site.becomes(f"{prefix}-{name}", name) for prefix, name in (("door", "edge"), ("ak-outpost", "directory"))
    }
    for kind, outpost in (("proxy", "edge"), ("ldap", "directory")):
        built(
            site.engine, f"{REGISTRY}/outpost-{kind}:next", f"FROM {before[outpost]['Config']['Image']}", "LABEL next=1"
        )
    # Nothing polls what is away.
    page.goto("about:blank")
    site.garrison.stop()
    site.garrison.environment = {
        **site.garrison.environment,
        "AUTHENTIK_OUTPOSTS__CONTAINER_IMAGE_BASE": f"{REGISTRY}/outpost-%(type)s:next",
    }
    site.garrison.start()
    site.becomes("door-edge", "edge", image="outpost-proxy:next")
    site.becomes("ak-outpost-directory", "directory", image="outpost-ldap:next")
    eventually(lambda: site.told("deployment replaced", "directory"), "it is told", within=SECONDS)


def test_what_is_removed_while_the_engine_is_away_is_no_orphan(site: Site, page: Page) -> None:
    site.becomes("ak-outpost-directory", "directory")
    site.far.close()
    site.garrison.apply({"outposts": [{"name": "directory", "state": "absent"}]})
    page.goto(f"{site.garrison.url}/admin/integrations/")
    page.get_by_role("link", name=FAR, exact=True).click()
    expect(page.get_by_label("Outposts")).to_contain_text("deleted", timeout=SHOWN)
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_label("Health")).to_contain_text("Unhealthy", timeout=SHOWN)
    assert site.containers("ak-outpost-directory")
    site.far.open()
    # Who follows its events notices within a few seconds.
    expect(page.get_by_label("Health")).to_contain_text("Healthy", timeout=SHOWN)
    site.gone("ak-outpost-directory")
    eventually(lambda: site.told("deployment removed", "directory"), "it is told", within=SECONDS)


def test_what_is_removed_goes(site: Site) -> None:
    site.becomes("door-edge", "edge")
    site.garrison.apply({"outposts": [{"name": "edge", "state": "absent"}]})
    site.gone("door-edge")
    assert site.containers("") == []
    listed = ("docker", "volume", "ls", "--quiet", "--filter", "dangling=true")
    eventually(lambda: site.engine.run(*listed) == "", "its volumes go with it", within=SECONDS)


def test_nothing_else_was_asked_of_the_engine(site: Site) -> None:
    assert site.far.refused == []

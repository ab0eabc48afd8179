"""What deploy/compose has is what runs: read by Compose, brought up on a real engine, hardened as it says."""

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.interop.docker.conftest import CONTROL, OUTPOST
from tests.support.engine import GATEWAY, Engine
from tests.support.garrison import ADMIN_PASSWORD, short_folder
from tests.support.garrison_docs import ROOT
from tests.support.peers_program import eventually, free_port, require

pytestmark = [pytest.mark.interop, pytest.mark.timeout(420)]
FOLDER = ROOT / "deploy" / "compose"
STACKS = {
    "all-in-one": ("all-in-one.yaml",),
    "all-in-one with Docker": ("all-in-one.yaml", "with-docker.yaml"),
    "postgresql": ("postgresql.yaml",),
    "postgresql with Docker": ("postgresql.yaml", "with-docker.yaml"),
    "outpost": ("outpost.yaml",),
}
# What each file asks for and can't know.
TOLD = {
    "GARRISON_URL": "https://id.example.com",
    "POSTGRES_PASSWORD": "abc123",
    "DOCKER_GROUP": "990",
    "AUTHENTIK_HOST": "https://id.example.com",
    "AUTHENTIK_TOKEN": "a-token",
}
SMALL = "network_mode", "bridge"  # the engine's one network: another one could be one that this machine has
LOCAL = "Local Docker connection"
REGISTERED = "localhost:1/outpost:1"
OWN = {"garrison": CONTROL, "outpost": OUTPOST}


def compose(name: str, files: tuple[Path, ...], environment: Mapping[str, str], *words: str) -> list[str]:
    """The command line of Compose for a project of these files."""
    named = [word for file in files for word in ("--file", str(file))]
    given = [f"{key}={value}" for key, value in environment.items()]
    return ["env", *given, require("docker-compose", "docker-compose"), "--project-name", name, *named, *words]


def read(stack: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What Compose makes of a stack with these variables and no other."""
    files = tuple(FOLDER / name for name in STACKS[stack])
    command = compose("read", files, environment, "config")
    return subprocess.run(
        command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("stack", STACKS)
def test_it_runs_our_images_without_privileges(stack: str) -> None:
    done = read(stack, TOLD)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    ours = {name: service for name, service in services.items() if name in OWN}
    assert {name: service["image"] for name, service in ours.items()} == {name: OWN[name] for name in ours}
    for service in ours.values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "cap_add", "user", "pid", "network_mode"} & set(service)
    published = [port["target"] for service in services.values() for port in service.get("ports", ())]
    assert 9300 not in published, "metrics have no password"
    assert 5432 not in published, "the database is for control alone"


@pytest.mark.parametrize(
    ("stack", "name"),
    [
        ("all-in-one", "GARRISON_URL"),
        ("all-in-one with Docker", "DOCKER_GROUP"),
        ("postgresql", "POSTGRES_PASSWORD"),
        ("outpost", "AUTHENTIK_TOKEN"),
    ],
)
def test_it_says_what_it_needs_to_be_told(stack: str, name: str) -> None:
    done = read(stack, {key: value for key, value in TOLD.items() if key != name})
    assert done.returncode != 0
    assert name in done.stderr


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A project of Compose that is up."""

    engine: Engine
    name: str
    files: tuple[Path, ...]
    environment: Mapping[str, str]

    def compose(self, *words: str) -> str:
        """What a command of Compose prints."""
        return self.engine.run(*compose(self.name, self.files, self.environment, *words))

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows of the one container of a service."""
        # Compose itself takes a second to say so.
        label = "label=com.docker.compose."
        named = ["--filter", f"{label}project={self.name}", "--filter", f"{label}service={service}"]
        return self.engine.inspect(self.engine.run("docker", "ps", "--all", "--quiet", *named).strip())

    def is_healthy(self, service: str) -> bool:
        """Whether its own health check says so; what it wrote if not."""
        container = self.container(service)
        health = container["State"]["Health"]
        assert health["Status"] == "healthy", (
            health,
            self.engine.run("docker", "logs", "--tail", "20", container["Id"]),
        )
        return True


def up(engine: Engine, folder: Path, name: str, environment: Mapping[str, str], *overrides: Any) -> Stack:
    """Bring up a stack of deploy/compose, with overrides of the test's own."""
    own = []
    for number, override in enumerate(overrides):
        own.append(folder / f"{name.replace(' ', '-')}-{number}.json")
        own[-1].write_text(json.dumps({"services": override}))
    files = (*(FOLDER / file for file in STACKS[name]), *own)
    stack = Stack(engine=engine, name=f"g{os.getpid()}{name[:3]}", files=files, environment=environment)
    stack.compose("up", "--detach")
    return stack


@pytest.fixture(scope="module")
def control(engine: Engine, control_image: str, outpost_image: str) -> Iterator[Stack]:
    """All in one, with the engine's own socket."""
    assert (control_image, outpost_image) == (CONTROL, OUTPOST)
    socket = Path(engine.environment["DOCKER_HOST"].removeprefix("unix://"))
    http, https, link = free_port(), free_port(), free_port()
    environment = {
        "GARRISON_URL": f"http://{GATEWAY}:{http}",
        "GARRISON_BOOTSTRAP_PASSWORD": ADMIN_PASSWORD,
        "GARRISON_HTTP_PORT": str(http),
        "GARRISON_HTTPS_PORT": str(https),
        "GARRISON_LINK_PORT": str(link),
        "DOCKER_SOCKET": str(socket),
        "DOCKER_GROUP": str(socket.stat().st_gid),
    }
    # Who publishes the link at another port says so. The registry is a port where nobody listens.
    told = {"GARRISON_LINK_ADVERTISE": f":{link}", "AUTHENTIK_OUTPOSTS__CONTAINER_IMAGE_BASE": REGISTERED}
    engine.run("docker", "tag", outpost_image, REGISTERED)
    # The image's own check, asked more often.
    override = {"garrison": {SMALL[0]: SMALL[1], "environment": told, "healthcheck": {"interval": "1s"}}}
    with short_folder() as folder:
        stack = up(engine, folder, "all-in-one with Docker", environment, override)
        eventually(lambda: stack.is_healthy("garrison"), "control is healthy", within=60)
        yield stack
        stack.compose("down", "--volumes", "--timeout", "15")


def garrison(stack: Stack, *words: str) -> str:
    """What a command of garrison prints inside the container of control."""
    return stack.engine.run("docker", "exec", stack.container("garrison")["Id"], "garrison", *words)


def test_all_in_one(control: Stack) -> None:
    container = control.container("garrison")
    assert container["HostConfig"]["ReadonlyRootfs"]
    page = read_text(control, "/sign-in")
    assert "Sign in" in page
    style = re.search(r'href="(/[^"]+\.css)"', page)
    assert style is not None, page
    assert "{" in read_text(control, style[1]), "pages have their style sheet"
    assert garrison(control, "healthcheck") == ""


def read_text(stack: Stack, path: str) -> str:
    """What a page has, by the published port."""
    with urllib.request.urlopen(stack.environment["GARRISON_URL"] + path, timeout=30) as answer:
        return bytes(answer.read()).decode()


def make_outpost(control: Stack, folder: Path, name: str, **more: object) -> None:
    """Have control make an outpost, by a blueprint on its standard input."""
    blueprint = folder / "outpost.json"
    blueprint.write_text(json.dumps({"version": 1, "outposts": [{"name": name, **({"type": "proxy"} | more)}]}))
    container = control.container("garrison")["Name"].removeprefix("/")
    command = f"docker exec --interactive {container} garrison apply /dev/stdin < {blueprint}"
    control.engine.run("sh", "-euc", command)


def is_connected(control: Stack, outpost: str) -> bool:
    """Whether control says so."""
    rows = [row for row in json.loads(garrison(control, "outposts", "--json")) if row["outpost"] == outpost]
    return [row.get("state") for row in rows] == ["connected"]


def test_all_in_one_deploys_outposts_beside_itself(control: Stack, engine: Engine, folder: Path) -> None:
    eventually(lambda: LOCAL in garrison(control, "audit", "--kind", "integration"), "the engine is found", within=30)
    config = {"docker_map_ports": False}
    make_outpost(control, folder, "beside", integration=LOCAL, config=config)
    eventually(lambda: is_connected(control, "beside"), "it is connected", within=60)
    assert engine.inspect("ak-outpost-beside")["Config"]["Image"] == REGISTERED
    make_outpost(control, folder, "beside", state="absent", type="proxy")
    eventually(
        lambda: "ak-outpost-beside" not in engine.run("docker", "ps", "--all"), "it goes with its outpost", within=60
    )


def test_an_outpost_alone(control: Stack, engine: Engine, folder: Path) -> None:
    make_outpost(control, folder, "alone")
    environment = {
        "AUTHENTIK_HOST": control.environment["GARRISON_URL"],
        "AUTHENTIK_TOKEN": garrison(control, "token", "alone").strip(),
        "OUTPOST_HTTP_PORT": str(free_port()),
        "OUTPOST_HTTPS_PORT": str(free_port()),
    }
    stack = up(engine, folder, "outpost", environment, {"outpost": {SMALL[0]: SMALL[1]}})
    try:
        eventually(lambda: is_connected(control, "alone"), "it is connected", within=60)
    finally:
        stack.compose("down", "--volumes", "--timeout", "15")

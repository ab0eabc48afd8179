"""What deploy/compose has is what runs: read by Compose, brought up on a real engine, hardened as it says."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.interop.docker.conftest import CONTROL, OUTPOST
from tests.support.browser_http import Visitor
from tests.support.engine import HOST, Engine
from tests.support.garrison import ADMIN, ADMIN_PASSWORD, short_folder
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
        return self.engine.inspect(self.compose("ps", "--quiet", service).strip())

    def is_healthy(self, service: str) -> bool:
        """Whether its own health check says so; what it wrote if not."""
        container = self.container(service)
        health = container["State"]["Health"]
        assert health["Status"] == "healthy", (health, self.compose("logs", "--tail", "20", service))
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
        "GARRISON_URL": f"http://{HOST}:{http}",
        "GARRISON_BOOTSTRAP_PASSWORD": ADMIN_PASSWORD,
        "GARRISON_HTTP_PORT": str(http),
        "GARRISON_HTTPS_PORT": str(https),
        "GARRISON_LINK_PORT": str(link),
        "DOCKER_SOCKET": str(socket),
        "DOCKER_GROUP": str(socket.stat().st_gid),
    }
    # Who publishes the link at another port says so.
    override = {"garrison": {SMALL[0]: SMALL[1], "environment": {"GARRISON_LINK_ADVERTISE": f":{link}"}}}
    with short_folder() as folder:
        stack = up(engine, folder, "all-in-one with Docker", environment, override)
        yield stack
        stack.compose("down", "--volumes", "--timeout", "15")


def garrison(stack: Stack, *words: str) -> str:
    """What a command of garrison prints inside the container of control."""
    return stack.compose("exec", "-T", "garrison", "garrison", *words)


def test_all_in_one(control: Stack) -> None:
    eventually(lambda: control.is_healthy("garrison"), "control is healthy", within=60)
    container = control.container("garrison")
    assert container["HostConfig"]["ReadonlyRootfs"]
    url = control.environment["GARRISON_URL"]
    page = Visitor().sign_in(f"{url}/admin/outposts/", ADMIN, ADMIN_PASSWORD)
    assert "Embedded outpost" in page.text
    assert " ".join(garrison(control, "healthcheck").split()) == ""


def test_an_outpost_alone(control: Stack, engine: Engine, folder: Path) -> None:
    eventually(lambda: control.is_healthy("garrison"), "control is healthy", within=60)
    blueprint = folder / "outpost.json"
    blueprint.write_text(json.dumps({"version": 1, "outposts": [{"name": "alone", "type": "proxy"}]}))
    name = control.container("garrison")["Name"].removeprefix("/")
    engine.run("sh", "-euc", f"docker exec --interactive {name} garrison apply /dev/stdin < {blueprint}")
    environment = {
        "AUTHENTIK_HOST": control.environment["GARRISON_URL"],
        "AUTHENTIK_TOKEN": garrison(control, "token", "alone").strip(),
        "OUTPOST_HTTP_PORT": str(free_port()),
        "OUTPOST_HTTPS_PORT": str(free_port()),
    }
    stack = up(engine, folder, "outpost", environment, {"outpost": {SMALL[0]: SMALL[1]}})
    try:
        eventually(lambda: stack.is_healthy("outpost"), "the outpost is healthy", within=60)
        rows = json.loads(garrison(control, "outposts", "--json"))
        (row,) = (row for row in rows if row["outpost"] == "alone" and row.get("instance"))
        assert row["state"] == "connected"
    finally:
        stack.compose("down", "--volumes", "--timeout", "15")

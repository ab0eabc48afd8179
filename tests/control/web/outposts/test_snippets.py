"""The deployment snippets, run or parsed by what they are written for, with hostile values in them."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from control.domain.outpost import Outpost, OutpostType
from control.fleet.options import parse_options
from control.store import Store
from control.web.outposts.snippets import Deployment, deployment_snippets
from tests.support import builders
from tests.support.site import Site

UNIT_LINES = 23
HOSTILE = ["edge", "x'; touch pwned; '", 'q"$(touch pwned)`touch pwned`', "a\nRUN touch pwned", "$HOME ${X} $$", "END"]


def make(site: Site, text: str, **config: Any) -> dict[str, str]:
    """The snippets of an outpost whose every free text is `text`."""
    account = builders.user("service")
    outpost = Outpost(
        id=account.id,
        name=text,
        type=OutpostType.PROXY,
        service_account=account.id,
        created=builders.WHEN,
    )
    options = parse_options(config)
    deployment = Deployment(outpost=outpost, options=options, host=f"https://g/{text}", token=text, version="0.1.0")
    with site.app.test_request_context():
        return {snippet.key: snippet.text for snippet in deployment_snippets(deployment)}


def expected(text: str) -> dict[str, str]:
    return {"AUTHENTIK_HOST": f"https://g/{text}", "AUTHENTIK_TOKEN": text, "AUTHENTIK_INSECURE": "false"}


def run_with(tmp_path: Path, script: str, program: str) -> list[str]:
    """Run a shell script in which `program` writes its arguments and environment down; what it was called with."""
    fake = tmp_path / "bin" / program
    fake.parent.mkdir(exist_ok=True)
    fake.write_text('#!/bin/sh\nprintf "%s\\0" "$@" > args\nenv -0 > env\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{fake.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run(["/bin/sh", "-eu", "-c", script], cwd=tmp_path, env=environment, check=True)
    assert not (tmp_path / "pwned").exists()
    return (tmp_path / "args").read_text().split("\0")[:-1]


@pytest.mark.parametrize("text", HOSTILE)
def test_the_command_line(site: Site, tmp_path: Path, text: str) -> None:
    arguments = run_with(tmp_path, make(site, text)["command"], "garrison-outpost")
    assert arguments[:2] == ["proxy", "--state"]
    lines = (tmp_path / "env").read_text().split("\0")
    assert {f"{name}={value}" for name, value in expected(text).items()} <= set(lines)


@pytest.mark.parametrize("text", HOSTILE)
def test_docker_run(site: Site, tmp_path: Path, text: str) -> None:
    arguments = run_with(tmp_path, make(site, text)["docker"], "docker")
    given = {arguments[place + 1] for place, argument in enumerate(arguments) if argument == "--env"}
    assert given == {f"{name}={value}" for name, value in expected(text).items()}
    assert arguments[-2:] == ["garrison-outpost:0.1.0", "proxy"]


@pytest.mark.parametrize("text", HOSTILE)
def test_compose(site: Site, text: str) -> None:
    (service,) = yaml.safe_load(make(site, text)["compose"])["services"].values()
    assert {name: value.replace("$$", "$") for name, value in service["environment"].items()} == expected(text)
    assert (service["image"], service["command"]) == ("garrison-outpost:0.1.0", ["proxy"])


@pytest.mark.parametrize("text", HOSTILE)
def test_kubernetes(site: Site, text: str) -> None:
    config = {"kubernetes_replicas": 3, "kubernetes_namespace": "edge", "kubernetes_service_type": "LoadBalancer"}
    secret, deployment, service = yaml.safe_load_all(make(site, text, **config)["kubernetes"])
    assert secret["stringData"] == expected(text)
    names = {document["metadata"]["name"] for document in (secret, deployment, service)}
    assert len(names) == 1
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"secretRef": {"name": names.pop()}}]
    assert (deployment["spec"]["replicas"], service["spec"]["type"]) == (3, "LoadBalancer")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert all(document["metadata"]["namespace"] == "edge" for document in (secret, deployment, service))


@pytest.mark.parametrize("text", HOSTILE)
def test_systemd(site: Site, tmp_path: Path, text: str) -> None:
    script = make(site, text)["systemd"]
    fake = 'sudo() { case "$*" in *stdin*) eval "last=\\${$#}"; cat > "$(basename "$last")";; esac; }\n'
    subprocess.run(["/bin/sh", "-eu", "-c", fake + script], cwd=tmp_path, check=True)
    assert not (tmp_path / "pwned").exists()
    (environment,) = tmp_path.glob("*.env")
    (unit,) = tmp_path.glob("*.service")
    lines = environment.read_text().splitlines()
    assert [line.partition("=")[0] for line in lines] == list(expected(text))
    assert f"EnvironmentFile=/etc/garrison/{environment.name}" in unit.read_text()
    assert unit.read_text().count("\n") == UNIT_LINES


def test_the_page_shows_them_as_text(site: Site, store: Store) -> None:
    site.admin.submit("/admin/outposts/new", name="it's <b>$(id)<b>")
    with store.read() as unit:
        outpost = next(each for each in unit.outposts.all() if not each.embedded)
    page = site.admin.get(f"/admin/outposts/{outpost.id}/").text
    assert "<b>$(id)" not in page
    assert shlex.quote("ak-outpost-it-s-b-id-b") in page

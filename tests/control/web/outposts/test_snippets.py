"""The deployment snippets, run or parsed by what they are written for, with hostile values in them."""

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from control.domain.outpost import Outpost, OutpostType
from control.fleet.launch import Launch
from control.fleet.options import parse_options
from control.store import Store
from control.web.outposts.snippets import deployment_snippets
from tests.support import builders
from tests.support.site import Site

UNIT_LINES = 23
LABEL = "io.goauthentik.outpost-uuid"
HOSTILE = ["edge", "x'; touch pwned; '", 'q"$(touch pwned)`touch pwned`', "a\nRUN touch pwned", "$HOME ${X} $$", "END"]


def deployment_of(text: str, image_base: str = "", /, **config: Any) -> Launch:
    """What is known of an outpost whose every free text is `text`."""
    account = builders.user("service")
    outpost = Outpost(
        id=account.id,
        name=text,
        type=OutpostType.PROXY,
        service_account=account.id,
        created=builders.WHEN,
        config=config,
    )
    return Launch(
        outpost=outpost,
        options=parse_options(config),
        host=f"https://g/{text}",
        token=text,
        version="0.1.0",
        image_base=image_base,
    )


def make(site: Site, text: str, **config: Any) -> dict[str, str]:
    """The snippets of such an outpost."""
    return rendered(site, deployment_of(text, **config))


def rendered(site: Site, deployment: Launch) -> dict[str, str]:
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


def test_each_type_has_its_ports(site: Site) -> None:
    proxy = deployment_of("edge")
    snippets = rendered(site, replace(proxy, outpost=replace(proxy.outpost, type=OutpostType.LDAP)))
    for name in ("docker", "compose", "kubernetes"):
        assert {port for port in ("3389", "6636", "9000", "9443") if port in snippets[name]} == {"3389", "6636"}, name
    assert "--publish 3389:3389 \\\n  --publish 6636:6636" in snippets["docker"]
    (service,) = (each for each in yaml.safe_load_all(snippets["compose"]))
    assert service["services"]["ak-outpost-edge"]["ports"] == ["3389:3389", "6636:6636"]
    manifests = {each["kind"]: each for each in yaml.safe_load_all(snippets["kubernetes"]) if each}
    ports = manifests["Service"]["spec"]["ports"]
    assert [(each["name"], each["port"], each["targetPort"]) for each in ports] == [
        ("ldap", 3389, "ldap"),
        ("ldaps", 6636, "ldaps"),
    ]
    assert "garrison-outpost ldap --state" in snippets["command"]


@pytest.mark.parametrize("text", HOSTILE)
def test_the_command_line(site: Site, tmp_path: Path, text: str) -> None:
    arguments = run_with(tmp_path, make(site, text)["command"], "garrison-outpost")
    assert arguments[:2] == ["proxy", "--state"]
    lines = (tmp_path / "env").read_text().split("\0")
    assert {f"{name}={value}" for name, value in expected(text).items()} <= set(lines)


def values_of(arguments: list[str], flag: str) -> list[str]:
    return [arguments[place + 1] for place, argument in enumerate(arguments) if argument == flag]


@pytest.mark.parametrize("text", HOSTILE)
def test_docker_run(site: Site, tmp_path: Path, text: str) -> None:
    # The engine reads the file while the command runs; afterwards it is gone.
    script = make(site, text, docker_labels={text: text})["docker"].replace("\nrm ", "\nls -l *.env >mode; mv ")
    arguments = run_with(tmp_path, script + " kept", "docker")
    lines = (tmp_path / "kept").read_text().splitlines()
    flat = " ".join(text.splitlines())
    assert lines == [f"{name}={value}" for name, value in expected(flat).items()]
    assert (tmp_path / "mode").read_text().startswith("-rw-------")
    assert not any(argument.startswith("AUTHENTIK_") for argument in arguments)
    assert values_of(arguments, "--publish") == ["9000:9000", "9443:9443"]
    label, own = values_of(arguments, "--label")
    assert (label, own.partition("=")[0]) == (f"{text}={text}", LABEL)
    assert arguments[-2:] == ["garrison-outpost:0.1.0", "proxy"]


def test_docker_run_leaves_no_file_with_the_token(site: Site, tmp_path: Path) -> None:
    run_with(tmp_path, make(site, "edge")["docker"], "docker")
    assert not list(tmp_path.glob("*.env"))


@pytest.mark.parametrize(
    ("config", "network", "publishes"),
    [
        ({}, None, True),
        ({"docker_map_ports": False}, None, False),
        ({"docker_network": "it's $(id)".replace(" ", "")}, "it's$(id)", True),
        ({"docker_network": "host"}, "host", False),
        ({"docker_network": "container:vpn"}, "container:vpn", False),
    ],
)
def test_networks_and_ports_of_containers(
    site: Site, tmp_path: Path, config: dict[str, Any], network: str | None, publishes: bool
) -> None:
    texts = make(site, "edge", **config)
    arguments = run_with(tmp_path, texts["docker"], "docker")
    assert values_of(arguments, "--network") == ([network] if network else [])
    assert bool(values_of(arguments, "--publish")) == publishes
    compose = yaml.safe_load(texts["compose"])
    (service,) = compose["services"].values()
    assert ("ports" in service) == publishes
    named = [each["name"].replace("$$", "$") for each in compose.get("networks", {}).values() if each["external"]]
    assert [service["network_mode"]] if "network_mode" in service else named == ([network] if network else [])
    assert set(service.get("networks", [])) == set(compose.get("networks", {}))


@pytest.mark.parametrize("text", HOSTILE)
def test_compose(site: Site, text: str) -> None:
    compose = yaml.safe_load(make(site, text, docker_labels={"x": text, LABEL: "another's"})["compose"])
    (service,) = compose["services"].values()
    assert {name: value.replace("$$", "$") for name, value in service["environment"].items()} == expected(text)
    assert (service["image"], service["command"]) == ("garrison-outpost:0.1.0", ["proxy"])
    assert service["labels"].keys() == {"x", LABEL}
    assert service["labels"]["x"].replace("$$", "$") == text
    assert UUID(service["labels"][LABEL])
    assert service["volumes"] == [f"{volume}:/var/lib/garrison" for volume in compose["volumes"]]


@pytest.mark.parametrize("text", HOSTILE)
def test_kubernetes(site: Site, text: str) -> None:
    config = {"kubernetes_replicas": 3, "kubernetes_namespace": "edge", "kubernetes_service_type": "LoadBalancer"}
    secrets = {"kubernetes_image_pull_secrets": ["one", "it's:{two}"]}
    secret, deployment, service = yaml.safe_load_all(make(site, text, **config, **secrets)["kubernetes"])
    assert secret["stringData"] == expected(text)
    names = {document["metadata"]["name"] for document in (secret, deployment, service)}
    assert len(names) == 1
    pod = deployment["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "one"}, {"name": "it's:{two}"}]
    container = pod["containers"][0]
    assert container["envFrom"] == [{"secretRef": {"name": names.pop()}}]
    # Of the volume itself, which belongs to root, an outpost could not make a private folder.
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert [Path(mount) / "state" for mount in mounts] == [Path(container["args"][2])]
    assert (deployment["spec"]["replicas"], service["spec"]["type"]) == (3, "LoadBalancer")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} < ports
    assert all(document["metadata"]["namespace"] == "edge" for document in (secret, deployment, service))


def test_kubernetes_without_what_is_disabled(site: Site) -> None:
    text = make(site, "edge", kubernetes_disabled_components=["secret", "service"])["kubernetes"]
    (deployment,) = yaml.safe_load_all(text)
    assert deployment["kind"] == "Deployment"
    assert "imagePullSecrets" not in deployment["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("base", "config", "image", "own"),
    [
        ("", {}, "garrison-outpost:0.1.0", True),
        ("r.example:5000/ak-%(type)s:%(version)s", {}, "r.example:5000/ak-proxy:0.1.0", False),
        ("r.example/%(type)s", {"container_image": "mine@sha256:00"}, "mine@sha256:00", False),
    ],
)
def test_which_image(site: Site, base: str, config: dict[str, Any], image: str, own: bool) -> None:
    deployment = deployment_of("edge", base, **config)
    texts = rendered(site, deployment)
    assert (deployment.image, deployment.is_own_image) == (image, own)
    assert yaml.safe_load(texts["compose"])["services"]["ak-outpost-edge"]["image"] == image
    assert f" {image} proxy\n" in texts["docker"]
    assert f'image: "{image}"' in texts["kubernetes"]


def test_no_two_outposts_have_one_name() -> None:
    long = "x" * 60
    texts = ["o2 $(id)", "o2-id", "o2.id", "O2-ID", "o2--id", "日本", "☃", long, f"{long}y"]
    names = {deployment_of(text).name for text in texts}
    assert len(names) == len(texts)
    assert "ak-outpost-o2-id" in names
    assert len({deployment_of(text, object_naming_template="outpost").name for text in texts}) == len(texts)


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


@pytest.mark.parametrize(
    ("host", "config", "loopback", "plain"),
    [
        ("http://localhost:9000", {}, True, ""),
        ("http://garrison.localhost", {}, True, ""),
        ("http://127.0.0.2:9000", {}, True, ""),
        ("https://[::1]:9443", {}, True, ""),
        ("http://0.0.0.0:9000", {}, True, ""),
        ("https://garrison.example.com", {}, False, ""),
        ("http://garrison.example.com", {}, False, "http://garrison.example.com"),
        ("http://10.0.0.7:9000", {"authentik_host_browser": "https://garrison.example.com"}, False, ""),
        ("https://10.0.0.7", {"authentik_host_browser": "http://g.example.com"}, False, "http://g.example.com"),
    ],
)
def test_hosts_that_wont_do(host: str, config: dict[str, Any], loopback: bool, plain: str) -> None:
    deployment = replace(deployment_of("edge", **config), host=host)
    assert (deployment.is_loopback, deployment.plain_url) == (loopback, plain)


def test_the_page_says_what_is_wanting(site: Site, store: Store) -> None:
    site.admin.submit("/admin/outposts/new", name="edge", config="kubernetes_ingress_class_name: nginx")
    with store.read() as unit:
        url = f"/admin/outposts/{unit.outposts.get_named('edge').id}"
    page = site.admin.get(f"{url}/").text
    for words in (
        "can&#39;t reach Garrison at",
        "<code>make image</code>",
        "<code>kubernetes_ingress_class_name</code>",
    ):
        assert words.replace("&#39;", "'") in page
    site.admin.submit(f"{url}/edit", config="authentik_host: http://g.example.com\ncontainer_image: mine")
    page = site.admin.get(f"{url}/").text
    assert "Browsers sign in at <code>http://g.example.com</code>" in page
    for words in ("can't reach", "make image", "not part of this text"):
        assert words not in page

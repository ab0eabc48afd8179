"""Every snippet of the page about Docker is what runs: keys, certificates, an engine with them, a proxy before one."""

import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from control.domain.integration import PERMISSIONS
from control.integrations.docker.connect import Connection, connect
from control.integrations.docker.preflight import preflight
from control.integrations.docker.ssh_config import SshHost, host_of
from control.integrations.docker.ssh_keys import key_of
from control.integrations.model import Checked, TargetAway
from tests.support.engine import Engine
from tests.support.garrison import Garrison
from tests.support.garrison_docs import ROOT, snippet, snippets, unnamed_blocks
from tests.support.peers_program import Program, eventually, free_port, require

pytestmark = pytest.mark.interop
PAGE = "docs/integrations/docker.md"
NAME = "docker.example.com"
# What nobody gets through the proxy: what runs or reads in containers, what changes the machine, and what looks like
# something that is allowed.
REFUSED = (
    ("POST", "/containers/ak/exec"),
    ("POST", "/exec/ak/start"),
    ("GET", "/containers/ak/logs"),
    ("GET", "/containers/ak/archive?path=/"),
    ("POST", "/containers/ak/attach"),
    ("POST", "/containers/ak/update"),
    ("POST", "/containers/ak/stop"),
    ("POST", "/containers/prune"),
    ("GET", "/containers/ak/top"),
    ("GET", "/networks"),
    ("POST", "/networks/create"),
    ("POST", "/volumes/create"),
    ("POST", "/build"),
    ("POST", "/images/load"),
    ("DELETE", "/images/ak"),
    ("GET", "/info"),
    ("GET", "/secrets"),
    ("POST", "/swarm/init"),
    ("DELETE", "/containers/ak/exec"),
    ("POST", "/containers/json"),
    ("GET", "/containers/ak/logs?x=/containers/json"),
    ("GET", "/containers/ak/logs#/json"),
    ("GET", "/containers/../networks/json"),
    ("GET", "//networks"),
    ("GET", "/containers/ak%2flogs"),
)


def test_every_snippet_is_run() -> None:
    assert set(snippets(PAGE)) == {
        "blueprint", "haproxy", "compose-proxy", "certificates", "daemon", "ssh-key", "compose-ssh", "ssh-config",
        "push",
    }  # fmt: skip
    assert [language for language, _ in unnamed_blocks(PAGE)] == [""], "only the drawing has no name"


def test_the_page_names_each_permission_as_the_product_does() -> None:
    text = (ROOT / PAGE).read_text()
    assert [name for name in PERMISSIONS if f"\n| {name} |" not in text] == []


def test_the_blueprint(folder: Path) -> None:
    garrison = Garrison(folder)
    path = folder / "page.yaml"
    path.write_text(snippet(PAGE, "blueprint"))
    lines = garrison.run("apply", str(path)).splitlines()
    assert lines == ["created integration machine", "created outpost edge"]


def sent(port: int, method: str, path: str) -> int:
    """The status of one call, sent as it is written."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()


@contextmanager
def running(name: str, command: list[str]) -> Iterator[Program]:
    """A program while the block runs."""
    program = Program(name, command)
    try:
        yield program
    finally:
        program.stop(within=20)


def checked(connection: Connection) -> Checked:
    """What control finds out about an engine."""
    with connect(connection) as engine:
        return preflight(engine)


def answer(connection: Connection) -> Checked | None:
    """The same, or None while nobody answers."""
    try:
        return checked(connection)
    except TargetAway:
        return None


def test_the_proxy_lets_through_what_control_needs_and_nothing_else(engine: Engine, folder: Path) -> None:
    port = free_port()
    text = snippet(PAGE, "haproxy")
    assert ":2375" in text
    config = folder / "haproxy.cfg"
    place = engine.environment["DOCKER_HOST"].removeprefix("unix://")
    config.write_text(text.replace(":2375", f"127.0.0.1:{port}").replace("/var/run/docker.sock", place))
    with running("haproxy", [require("haproxy", "haproxy"), "-db", "-f", str(config)]) as program:
        connection = Connection(url=f"tcp://127.0.0.1:{port}")
        found = eventually(lambda: answer(connection), "it answers", within=15, alive=program)
        assert found.missing == ()
        assert found.version
        with connect(connection) as connected:
            assert connected.can_rename
            assert connected.is_allowed("GET", "/events", {"since": "1", "until": "1"})
        let_through = [call for call in REFUSED if sent(port, *call) not in {400, 403}]
        assert let_through == []


@pytest.mark.parametrize("name", ["compose-proxy", "compose-ssh"])
def test_compose_takes_it_beside_all_in_one(name: str, folder: Path) -> None:
    own = folder / "own.yaml"
    own.write_text(snippet(PAGE, name))
    files = ["--file", str(ROOT / "deploy/compose/all-in-one.yaml"), "--file", str(own)]
    done = subprocess.run(
        [require("docker-compose", "docker-compose"), *files, "config", "--quiet"],
        env={"PATH": os.environ["PATH"], "GARRISON_URL": "https://id.example.com"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


@contextmanager
def engine_with(folder: Path) -> Iterator[int]:
    """An engine that is started with the page's daemon.json, in other places; its port."""
    port = free_port()
    text = snippet(PAGE, "daemon").replace("/etc/docker", str(folder)).replace("0.0.0.0:2376", f"127.0.0.1:{port}")
    own = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    config = json.loads(text) | {key: str(folder / name) for key, name in own.items()}
    config["hosts"] = [each.replace("/var/run", str(folder)) for each in config["hosts"]]
    (folder / "daemon.json").write_text(json.dumps(config))
    network = ["--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
    command = [require("dockerd", "docker.io"), "--config-file", str(folder / "daemon.json"), *network]
    try:
        with running("dockerd with TLS", command) as program:
            yield eventually(lambda: port if _listens(port) else None, "it listens", within=30, alive=program)
    finally:
        # dockerd leaves the machine's own network mounted there.
        subprocess.run(["umount", str(folder / "exec/netns/default")], capture_output=True, check=False)


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def test_certificates_and_an_engine_with_them(folder: Path) -> None:
    script = snippet(PAGE, "certificates")
    assert NAME in script
    subprocess.run(["sh", "-euc", script.replace(NAME, "localhost")], cwd=folder, capture_output=True, check=True)
    ca, certificate, key = ((folder / name).read_text() for name in ("ca.pem", "cert.pem", "key.pem"))
    with engine_with(folder) as port:
        url = f"tcp://localhost:{port}"
        assert checked(Connection(url=url, ca=ca, certificate=certificate, key=key)).missing == ()
        with pytest.raises(TargetAway) as refused:
            checked(Connection(url=url, ca=ca))
        assert refused.value.code == "tls_refused"


def test_the_key_pair_for_ssh(folder: Path) -> None:
    subprocess.run(["sh", "-euc", snippet(PAGE, "ssh-key")], cwd=folder, capture_output=True, check=True)
    private, public = (folder / "garrison-key.pem").read_text(), (folder / "garrison.pub").read_text().split()
    key = key_of(private)
    assert [key.get_name(), key.get_base64()] == public


def test_the_configuration_of_ssh(folder: Path) -> None:
    config = folder / "config"
    config.write_text(snippet(PAGE, "ssh-config"))
    known_hosts = (folder / "known_hosts", folder / "known_hosts2", Path("/etc/ssh/ssh_known_hosts"))
    assert host_of(NAME, config) == SshHost(
        name=NAME,
        port=2222,
        user="deploy",
        identities=(Path("/authentik/.ssh/id_ed25519"),),
        certificates=(Path("/authentik/.ssh/id_ed25519-cert.pub"),),
        jumps=("bastion.example.com",),
        known_hosts=known_hosts,
    )


def test_the_image_under_the_name_of_a_registry(engine: Engine, outpost_image: str) -> None:
    tag, push = snippet(PAGE, "push").splitlines()
    assert tag.split()[:3] == ["docker", "tag", outpost_image]
    assert push.split() == ["docker", "push", tag.split()[3]]
    engine.run(*tag.split())
    assert engine.inspect(tag.split()[3])["Id"] == engine.inspect(outpost_image)["Id"]
    engine.run("docker", "rmi", tag.split()[3])

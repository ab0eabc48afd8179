"""A container engine of the tests' own: Debian's dockerd on its own socket and data folder, in a network of its own.

Nothing of an engine that may run on the machine already is touched, nor the machine's network, firewall or ports:
whoever is to reach containers, their published ports included, enters the engine's network. No registry is reached:
the base image of builds is Debian as mmdebstrap makes it, under the name of the one that the Dockerfile asks for.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.networks import Network
from tests.support.peers_program import Program, eventually, plain_environment, require

BASE = "python:3.11-slim-bookworm"
GATEWAY = "198.18.0.1"
"""Where containers find the engine's network, and everybody the ports that containers publish. No real network has it:
it is for measurements of devices (RFC 2544)."""
# Not docker0: that is taken away by any other engine that starts without networks, as some tests have one.
_BRIDGE = "engine"
# Bytes; both images with all that is built on the way take less than one GiB.
_ROOM = 4 << 30
# How this machine's pip reaches its index; the build has to, too.
PIP_FILES = ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
PIP_VARIABLES = ("PIP_INDEX_URL", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A running engine; `environment` leads any docker command to it."""

    environment: Mapping[str, str]
    network: Network
    host_network: Path
    """The file of what it takes for the host's network, once a container has asked for that."""

    def run(self, *command: str, folder: Path | None = None) -> str:
        """What a command prints, on either stream, that finds this engine."""
        done = subprocess.run(
            command,
            cwd=folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, f"{command[:3]}: {done.returncode}\n{done.stdout[-6000:]}"
        return done.stdout

    def inspect(self, name: str) -> dict[str, Any]:
        """All that the engine knows of a container or image."""
        found: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", name))
        return found[0]

    def build_arguments(self) -> str:
        """What a build here needs to be told, as arguments of `docker build`."""
        told = [f"--build-arg {name}" for name in PIP_VARIABLES if name in os.environ]
        told.append(f"--build-arg BUILDER={BASE}")
        return " ".join(["--network host", *told])


@contextmanager
def running_engine(folder: Path, network: Network) -> Iterator[Engine]:
    """An engine without any image, in that network."""
    environment = {**os.environ, **plain_environment(), "DOCKER_HOST": f"unix://{folder}/docker.sock"}
    engine = Engine(environment=environment, network=network, host_network=folder / "exec/netns/default")
    with _in_memory(folder / "data"):
        with network.entered():
            _make_bridge()
            program = Program("dockerd", _command(folder))
        try:
            eventually(lambda: _answers(engine), "the engine answers", within=60, alive=program)
            yield engine
        finally:
            program.stop(within=30)
            # dockerd leaves it mounted.
            subprocess.run(["umount", str(engine.host_network)], check=False, stderr=subprocess.DEVNULL)


def _command(folder: Path) -> list[str]:
    places = ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    files = ["--pidfile", str(folder / "docker.pid"), "--host", f"unix://{folder}/docker.sock"]
    # It may forward, in its own network: where this machine doesn't, the engine would warn beside all that it prints.
    network = ["--bridge", _BRIDGE, "--iptables=false", "--ip6tables=false", "--ip-masq=false"]
    # Not the one of an engine that this machine may have.
    config = folder / "daemon.json"
    config.write_text("{}")
    return [require("dockerd", "docker.io"), "--config-file", str(config), *places, *files, *network]


def _make_bridge() -> None:
    ip = require("ip", "iproute2")
    for command in (
        ["link", "add", "name", _BRIDGE, "type", "bridge"],
        ["address", "add", f"{GATEWAY}/24", "dev", _BRIDGE],
        ["link", "set", _BRIDGE, "up"],
    ):
        subprocess.run([ip, *command], check=True)


@contextmanager
def _in_memory(folder: Path) -> Iterator[None]:
    """A folder for what needn't outlast the block: builds wait for no disk, where there is memory enough."""
    folder.mkdir()
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < _ROOM:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_ROOM // 2}", "engine", str(folder)], check=True)
    try:
        yield
    finally:
        # With what an engine that was killed has left mounted in it.
        subprocess.run(["umount", "--recursive", "--lazy", str(folder)], check=True)


def _answers(engine: Engine) -> bool:
    return bool(engine.run("docker", "version", "--format", "{{.Server.Version}}"))


def import_base(engine: Engine, archive: Path) -> None:
    """Have the base image there, and builds reach what this machine does; the archive, made on the way, goes."""
    packages = ["--variant=apt", "--include=python3-venv,ca-certificates"]
    copies = [f"--customize-hook=copy-in {name} {Path(name).parent}" for name in PIP_FILES if Path(name).exists()]
    # In memory, and without waiting for the disk after each file of each package.
    memory = ["env", "TMPDIR=/dev/shm", require("mmdebstrap", "mmdebstrap"), "--quiet", "--dpkgopt=force-unsafe-io"]
    outside = [require("nsenter", "util-linux"), f"--net={engine.network.outside}"]
    engine.run(*outside, *memory, *packages, *copies, "bookworm", str(archive))
    engine.run("docker", "import", str(archive), BASE)
    archive.unlink()
    _lead_outside(engine)


def _lead_outside(engine: Engine) -> None:
    """Have `--network host` mean this machine's own network, for builds: what they need lies outside."""
    # The first container that asks for it has the engine mount its own there; the file is all that later ones get.
    engine.run("docker", "run", "--rm", "--network", "host", BASE, "true")
    subprocess.run(["umount", str(engine.host_network)], check=True)
    subprocess.run(["mount", "--bind", str(engine.network.outside), str(engine.host_network)], check=True)

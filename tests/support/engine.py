"""A container engine of the tests' own: Debian's dockerd on its own socket, data folder and bridge.

Nothing of an engine that may run on the machine already is touched, nor the firewall. No registry is reached: the base
image is Debian as mmdebstrap makes it, under the name of the one that the Dockerfile asks for.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.peers_program import Program, eventually, plain_environment, require

BASE = "python:3.11-slim-bookworm"
# For measurements of devices (RFC 2544): no real network has it. Another run at the same time has another part of it.
GATEWAY = f"198.18.{os.getpid() % 256}.1"
# How this machine's pip reaches its index; the build has to, too.
PIP_FILES = ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
PIP_VARIABLES = ("PIP_INDEX_URL", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A running engine; `environment` leads any docker command to it."""

    environment: Mapping[str, str]

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
def running_engine(folder: Path) -> Iterator[Engine]:
    """An engine with the base image, and the bridge at which its containers reach this machine."""
    environment = {**os.environ, **plain_environment(), "DOCKER_HOST": f"unix://{folder}/docker.sock"}
    engine = Engine(environment=environment)
    with _bridge(f"g-{os.getpid()}"[:15]) as bridge:
        program = Program("dockerd", _command(folder, bridge))
        try:
            eventually(lambda: _answers(engine), "the engine answers", within=60, alive=program)
            _import_base(engine, folder / "base.tar")
            yield engine
        finally:
            program.stop(within=30)
            # dockerd leaves the machine's own network mounted there.
            subprocess.run(["umount", str(folder / "exec/netns/default")], check=False)


def _command(folder: Path, bridge: str) -> list[str]:
    places = ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    files = ["--pidfile", str(folder / "docker.pid"), "--host", f"unix://{folder}/docker.sock"]
    network = ["--bridge", bridge, "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
    # Not the one of an engine that this machine may have.
    config = folder / "daemon.json"
    config.write_text("{}")
    return [require("dockerd", "docker.io"), "--config-file", str(config), *places, *files, *network]


@contextmanager
def _bridge(name: str) -> Iterator[str]:
    ip = require("ip", "iproute2")
    subprocess.run([ip, "link", "add", "name", name, "type", "bridge"], check=True)
    try:
        subprocess.run([ip, "address", "add", f"{GATEWAY}/24", "dev", name], check=True)
        subprocess.run([ip, "link", "set", name, "up"], check=True)
        yield name
    finally:
        subprocess.run([ip, "link", "delete", name], check=True)


def _answers(engine: Engine) -> bool:
    return bool(engine.run("docker", "version", "--format", "{{.Server.Version}}"))


def _import_base(engine: Engine, archive: Path) -> None:
    packages = ["--variant=apt", "--include=python3-venv,ca-certificates"]
    copies = [f"--customize-hook=copy-in {name} {Path(name).parent}" for name in PIP_FILES if Path(name).exists()]
    # In memory, and without waiting for the disk after each file of each package.
    memory = ["env", "TMPDIR=/dev/shm", require("mmdebstrap", "mmdebstrap"), "--quiet", "--dpkgopt=force-unsafe-io"]
    engine.run(*memory, *packages, *copies, "bookworm", str(archive))
    engine.run("docker", "import", str(archive), BASE)
    archive.unlink()

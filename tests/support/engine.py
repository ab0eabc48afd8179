"""A container engine of the tests' own: Debian's dockerd on its own socket, data folder and bridge.

Nothing of an engine that may run on the machine already is touched, nor the firewall, nor any port: those that
containers publish are of a host of the bridge, `HOST`. No registry is reached: the base image of builds is Debian as
mmdebstrap makes it, under the name of the one that the Dockerfile asks for.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.peers_program import Program, eventually, plain_environment, require

BASE = "python:3.11-slim-bookworm"


def _is_here(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


# For measurements of devices (RFC 2544): no real network has it. Another run at the same time has another part of it.
_PARTS = (f"198.18.{(os.getpid() + step) % 256}" for step in range(256))
_NETWORK = next(part for part in _PARTS if not _is_here(f"{part}.1"))
GATEWAY = f"{_NETWORK}.1"
"""Where containers find this machine."""
HOST = f"{_NETWORK}.254"
"""Where this machine and containers find the ports that containers publish, whatever else listens on this machine."""
# Bytes; both images with all that is built on the way take less than one GiB.
_ROOM = 4 << 30
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
    """An engine without any image, and the bridge at which its containers reach this machine."""
    environment = {**os.environ, **plain_environment(), "DOCKER_HOST": f"unix://{folder}/docker.sock"}
    engine = Engine(environment=environment)
    name = f"g-{os.getpid()}"[:15]
    with _in_memory(folder / "data"), _bridge(name) as bridge, _host_of(bridge):
        program = Program("dockerd", _command(folder, bridge))
        try:
            eventually(lambda: _answers(engine), "the engine answers", within=60, alive=program)
            yield engine
        finally:
            program.stop(within=30)
            # dockerd leaves the machine's own network mounted there.
            subprocess.run(["umount", str(folder / "exec/netns/default")], check=False)


def _command(folder: Path, bridge: str) -> list[str]:
    places = ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    files = ["--pidfile", str(folder / "docker.pid"), "--host", f"unix://{folder}/docker.sock"]
    # Addresses of containers come from the lower half: HOST is in the other.
    addresses = ["--bridge", bridge, "--fixed-cidr", f"{_NETWORK}.0/25"]
    network = [*addresses, "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
    # Not the one of an engine that this machine may have.
    config = folder / "daemon.json"
    config.write_text("{}")
    proxy = folder / "docker-proxy"
    proxy.write_text(f'#!/bin/sh\nexec nsenter --net=/run/netns/{bridge} {require("docker-proxy", "docker.io")} "$@"\n')
    proxy.chmod(0o755)
    ports = ["--userland-proxy-path", str(proxy)]
    return [require("dockerd", "docker.io"), "--config-file", str(config), *places, *files, *network, *ports]


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


@contextmanager
def _host_of(bridge: str) -> Iterator[None]:
    """A network namespace of the bridge's name, joined to it as HOST: published ports are opened there."""
    ip, outside, inside = require("ip", "iproute2"), f"{bridge}h"[:15], "eth0"
    subprocess.run([ip, "netns", "add", bridge], check=True)
    try:
        pair = ["type", "veth", "peer", "name", inside, "netns", bridge]
        subprocess.run([ip, "link", "add", outside, "master", bridge, "up", *pair], check=True)
        for command in (
            ["address", "add", f"{HOST}/24", "dev", inside],
            ["link", "set", inside, "up"],
            ["link", "set", "lo", "up"],
        ):
            subprocess.run([ip, "-n", bridge, *command], check=True)
        yield
    finally:
        subprocess.run([ip, "netns", "delete", bridge], check=True)


def _answers(engine: Engine) -> bool:
    return bool(engine.run("docker", "version", "--format", "{{.Server.Version}}"))


def import_base(engine: Engine, archive: Path) -> None:
    """Have the base image there; the archive, which is made on the way, goes."""
    packages = ["--variant=apt", "--include=python3-venv,ca-certificates"]
    copies = [f"--customize-hook=copy-in {name} {Path(name).parent}" for name in PIP_FILES if Path(name).exists()]
    # In memory, and without waiting for the disk after each file of each package.
    memory = ["env", "TMPDIR=/dev/shm", require("mmdebstrap", "mmdebstrap"), "--quiet", "--dpkgopt=force-unsafe-io"]
    engine.run(*memory, *packages, *copies, "bookworm", str(archive))
    engine.run("docker", "import", str(archive), BASE)
    archive.unlink()

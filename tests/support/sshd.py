"""Debian's sshd with an engine behind it, in a mount namespace in which there is a user `authentik`.

Nothing of the machine's own accounts, keys or sshd is touched. Keys are made with OpenSSH's own tool.
"""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.peers_program import Program, eventually, free_port, require

USER = "authentik"
_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
{host_keys}
AuthorizedKeysFile {folder}/authorized
TrustedUserCAKeys {folder}/authorities
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
PidFile none
LogLevel VERBOSE
SetEnv DOCKER_HOST=unix://{engine}
"""
# sshd has to find its user; that one may use the engine's socket.
_START = 'mount --bind "$1/passwd" /etc/passwd && mkdir -p /run/sshd && exec "$2" -D -e -f "$1/sshd_config"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Sshd:
    """A running sshd: where, and what it shows."""

    port: int
    folder: Path
    program: Program

    def host_key(self, kind: str) -> str:
        """The public key of one of its kinds (`type base64`)."""
        return " ".join((self.folder / f"host_{kind}.pub").read_text().split()[:2])

    def trust(self, public_key: str) -> None:
        """Let the owner of a key in."""
        (self.folder / "authorized").write_text(public_key)

    def trust_authority(self, public_key: str) -> None:
        """Let in whoever has a certificate of an authority."""
        (self.folder / "authorities").write_text(public_key)


def new_key(path: Path, kind: str = "ed25519", form: str = "RFC4716") -> str:
    """A pair of keys: the private one in a file, in that form (-m of ssh-keygen), the public one returned."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-m", form, "-C", "test", "-f", str(path)], check=True)
    return path.with_name(f"{path.name}.pub").read_text()


@contextmanager
def running_sshd(folder: Path, engine: Path, kinds: tuple[str, ...] = ("ed25519",)) -> Iterator[Sshd]:
    """An sshd with host keys of these kinds, from which `docker` leads to the engine of a socket."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    for kind in kinds:
        new_key(folder / f"host_{kind}", kind)
    host_keys = "\n".join(f"HostKey {folder}/host_{kind}" for kind in kinds)
    (folder / "sshd_config").write_text(_CONFIG.format(port=port, host_keys=host_keys, folder=folder, engine=engine))
    (folder / "authorized").touch()
    (folder / "authorities").touch()
    (folder / "passwd").write_text(f"{Path('/etc/passwd').read_text()}{USER}:*:0:0::{folder}:/bin/sh\n")
    # Sessions are in groups of their own, and end with it, even if they are stopped.
    unshare = ["unshare", "--mount", "--propagation=slave", "--pid", "--fork", "--kill-child"]
    command = [*unshare, "sh", "-c", _START, "sh", str(folder), require("sshd", "openssh-server")]
    program = Program("sshd", command)
    try:
        eventually(lambda: _answers(port), "sshd answers", alive=program)
        yield Sshd(port=port, folder=folder, program=program)
    finally:
        program.kill()


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        return connection.recv(4) == b"SSH-"

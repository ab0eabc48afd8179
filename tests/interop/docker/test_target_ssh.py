"""Engines over SSH, through Debian's sshd: keys, host keys, and what a person's own configuration says."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from control.integrations.docker.connect import Connection, connect
from control.integrations.docker.preflight import preflight
from control.integrations.docker.target import DockerTarget
from control.integrations.model import Condition, TargetAway
from control.integrations.reconcile import reconcile
from tests.support.engine_wanted import QUICK, deaf, owner_and_name, wanted_container
from tests.support.garrison import short_folder
from tests.support.sshd import Sshd, new_key, running_sshd

pytestmark = pytest.mark.interop

_KEYS: dict[
    str, tuple[Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey], PrivateFormat]
] = {
    "rsa-pkcs1": (lambda: rsa.generate_private_key(65537, 2048), PrivateFormat.TraditionalOpenSSL),
    "rsa-pkcs8": (lambda: rsa.generate_private_key(65537, 2048), PrivateFormat.PKCS8),
    "ecdsa-sec1": (lambda: ec.generate_private_key(ec.SECP256R1()), PrivateFormat.TraditionalOpenSSL),
    "ecdsa-pkcs8": (lambda: ec.generate_private_key(ec.SECP384R1()), PrivateFormat.PKCS8),
    "ed25519-pkcs8": (ed25519.Ed25519PrivateKey.generate, PrivateFormat.PKCS8),
    "ed25519-openssh": (ed25519.Ed25519PrivateKey.generate, PrivateFormat.OpenSSH),
}


@pytest.fixture(scope="module")
def sshd(engine_socket: Path) -> Iterator[Sshd]:
    """An sshd with two host keys."""
    with short_folder() as folder, running_sshd(folder, engine_socket, ("ed25519", "rsa")) as sshd:
        yield sshd


@pytest.fixture(scope="module")
def key(sshd: Sshd) -> str:
    """PEM of a key that is let in."""
    pem, public = _pair("ed25519-pkcs8")
    sshd.trust(public)
    return pem


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("kind", _KEYS)
def test_signed_in_with_a_key_of_control_as_authentik(sshd: Sshd, kind: str) -> None:
    pem, public = _pair(kind)
    before = (sshd.folder / "authorized").read_text()
    sshd.trust(public)
    with connect(Connection(url=f"ssh://127.0.0.1:{sshd.port}", key=pem), QUICK) as engine:
        checked = preflight(engine)
    sshd.trust(before)

    assert (checked.version, checked.missing) == ("20.10.24+dfsg1", ())
    assert "for authentik from 127.0.0.1" in sshd.program.output()


@pytest.mark.usefixtures("tiny_images")
def test_a_deployment_over_ssh(sshd: Sshd, key: str) -> None:
    owner, name = owner_and_name()
    with connect(Connection(url=f"ssh://authentik@127.0.0.1:{sshd.port}", key=key), QUICK) as engine:
        target = DockerTarget(engine, lambda _: False)
        for image in ("well:1", "well:2"):
            outcome = reconcile(target, [wanted_container(owner, name, image)], frozenset({owner}), deaf)
            assert outcome.failed == ()
        (found,) = target.observe(frozenset({owner}))
        assert (found.condition, found.spec["image"]) == (Condition.RUNNING, "well:2")
        reconcile(target, [], frozenset({owner}), deaf)
        assert target.observe(frozenset({owner})) == ()


@pytest.mark.parametrize("pinned", ["ed25519", "rsa"])
def test_the_host_key_is_pinned_on_first_use(sshd: Sshd, key: str, pinned: str) -> None:
    """A host with several keys is asked for the one that is pinned."""
    first = Connection(url=f"ssh://127.0.0.1:{sshd.port}", key=key)
    with connect(first, QUICK) as engine:
        assert engine.host_key == sshd.host_key("ed25519")

    with connect(replace(first, host_key=sshd.host_key(pinned)), QUICK) as engine:
        assert engine.host_key == sshd.host_key(pinned)


def test_a_changed_host_key_is_refused(sshd: Sshd, key: str, folder: Path) -> None:
    new_key(folder / "other")
    other = " ".join((folder / "other.pub").read_text().split()[:2])

    away = _refused(Connection(url=f"ssh://127.0.0.1:{sshd.port}", key=key, host_key=other))

    assert (away.code, away.detail) == ("host_key_changed", sshd.host_key("ed25519"))


def test_a_key_that_is_not_let_in(sshd: Sshd) -> None:
    away = _refused(Connection(url=f"ssh://nobody@127.0.0.1:{sshd.port}", key=_pair("rsa-pkcs8")[0]))

    assert away.code == "ssh_refused"
    assert "nobody@127.0.0.1" in away.detail
    assert _refused(Connection(url=f"ssh://127.0.0.1:{sshd.port}", key="no key")).code == "bad_key"
    assert _refused(Connection(url=f"ssh://127.0.0.1:{sshd.port}")).detail.endswith("no key to sign in with")


def test_what_the_remote_docker_says(key: str, sshd: Sshd, folder: Path) -> None:
    with running_sshd(folder / "sshd", folder / "none.sock") as other:
        other.trust((sshd.folder / "authorized").read_text())
        away = _refused(Connection(url=f"ssh://127.0.0.1:{other.port}", key=key))

    assert away.code == "ssh_refused"
    assert f"{folder}/none.sock" in away.detail


class Configured:
    """A person's ~/.ssh, in a folder of the test's own."""

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        self.folder, self._sshd = folder, sshd
        folder.chmod(0o700)

    def connect(self, url: str, *lines: str) -> str:
        """The host key that was shown, with that configuration. Raises TargetAway."""
        (self.folder / "config").write_text("\n".join(lines))
        with connect(Connection(url=url, ssh_config=self.folder / "config"), QUICK) as engine:
            assert engine.api
            return engine.host_key


@pytest.fixture
def configured(folder: Path, sshd: Sshd) -> Iterator[Configured]:
    before = (sshd.folder / "authorized").read_text()
    sshd.trust(new_key(folder / "mine"))
    yield Configured(folder, sshd)
    sshd.trust(before)


def test_a_configuration_says_where_and_with_which_key(sshd: Sshd, configured: Configured) -> None:
    (configured.folder / "more").write_text(f"Host docker*\n  Port {sshd.port}\n  User authentik\n")
    shown = configured.connect(
        "ssh://docker1",
        "Include more",
        "Host docker1",
        "  HostName 127.0.0.1",
        f"  IdentityFile {configured.folder}/nothere",
        f"  IdentityFile {configured.folder}/mine",
        "Host *",
        "  User nobody",
        "  Port 1",
    )

    assert shown == sshd.host_key("ed25519")


def test_the_url_goes_before_the_configuration(sshd: Sshd, configured: Configured) -> None:
    lines = ["Host 127.0.0.1", "  Port 1", "  User nobody", f"  IdentityFile {configured.folder}/mine"]

    assert configured.connect(f"ssh://authentik@127.0.0.1:{sshd.port}", *lines)


def test_without_an_identity_the_usual_files_count(sshd: Sshd, configured: Configured) -> None:
    (configured.folder / "mine").rename(configured.folder / "id_ed25519")

    assert configured.connect(f"ssh://127.0.0.1:{sshd.port}")


def test_by_a_command(sshd: Sshd, configured: Configured) -> None:
    script = configured.folder / "pipe.py"
    script.write_text(_PIPE)
    command = f"{sys.executable} {script} 127.0.0.1 {sshd.port}"

    assert configured.connect(
        "ssh://hidden", "Host hidden", f"  ProxyCommand {command}", f"  IdentityFile {configured.folder}/mine"
    )
    assert _refused_with(configured, "ssh://hidden", "Host hidden", "  ProxyCommand /nosuch").code == "ssh_refused"


def test_through_other_hosts(sshd: Sshd, configured: Configured) -> None:
    lines = [
        f"IdentityFile {configured.folder}/mine",
        "Host inner",
        "  HostName 127.0.0.1",
        f"  Port {sshd.port}",
        f"  ProxyJump outer,authentik@127.0.0.1:{sshd.port}",
        "Host outer",
        "  HostName 127.0.0.1",
        f"  Port {sshd.port}",
    ]

    assert configured.connect("ssh://inner", *lines) == sshd.host_key("ed25519")
    lines[4] = "  ProxyJump inner"
    assert "through itself" in _refused_with(configured, "ssh://inner", *lines).detail


def test_with_a_certificate(sshd: Sshd, configured: Configured) -> None:
    folder = configured.folder
    sshd.trust_authority(new_key(folder / "authority"))
    new_key(folder / "other")
    sign = ["ssh-keygen", "-q", "-s", str(folder / "authority"), "-I", "control", "-n", "authentik"]
    subprocess.run([*sign, str(folder / "other.pub")], check=True)
    (folder / "other-cert.pub").rename(folder / "control.pub")
    lines = [
        "Host *",
        f"  Port {sshd.port}",
        f"  IdentityFile {folder}/other",
        f"  CertificateFile {folder}/control.pub",
    ]

    assert configured.connect("ssh://127.0.0.1", *lines)
    assert _refused_with(configured, "ssh://127.0.0.1", *lines[:3]).code == "ssh_refused"
    # As OpenSSH, which looks for it beside the key.
    (folder / "control.pub").rename(folder / "other-cert.pub")
    assert configured.connect("ssh://127.0.0.1", *lines[:3])
    sshd.trust_authority("")


def test_known_hosts_count(sshd: Sshd, configured: Configured) -> None:
    url, known = f"ssh://127.0.0.1:{sshd.port}", configured.folder / "known_hosts"
    lines = ["Host *", f"  IdentityFile {configured.folder}/mine", "  StrictHostKeyChecking yes"]
    assert _refused_with(configured, url, *lines).code == "ssh_refused"

    known.write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key('rsa')}\n")
    assert configured.connect(url, *lines) == sshd.host_key("rsa")

    other = " ".join((configured.folder / "mine.pub").read_text().split()[:2])
    known.write_text(f"[127.0.0.1]:{sshd.port} {other}\n")
    away = _refused_with(configured, url, *lines[:2])
    assert (away.code, away.detail) == ("host_key_changed", sshd.host_key("ed25519"))


def test_a_host_that_hangs(key: str, sshd: Sshd, folder: Path, engine_socket: Path) -> None:
    """Whoever asks is told in time, at any point where it may hang."""
    limits = replace(QUICK, connect=1, call=1)
    with running_sshd(folder / "sshd", engine_socket) as other:
        other.trust((sshd.folder / "authorized").read_text())
        connection = Connection(url=f"ssh://127.0.0.1:{other.port}", key=key)
        with connect(connection, limits) as engine:
            _signal(other.program.process.pid, signal.SIGSTOP)
            began = time.monotonic()
            with pytest.raises(TargetAway) as away:
                engine.containers("x")
            with pytest.raises(TargetAway), connect(connection, limits):
                pass
            assert time.monotonic() - began < QUICK.call
            _signal(other.program.process.pid, signal.SIGCONT)

    assert away.value.code == "engine_away"


def _signal(process: int, number: int) -> None:
    """Send it to a process and all below it: each session of sshd is in a group of its own."""
    # The parent first, so that it has no more children than those that are seen then; one may just end.
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(process, number)
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            _signal(int(child), number)


def _refused(connection: Connection) -> TargetAway:
    with pytest.raises(TargetAway) as away, connect(connection, QUICK):
        pass
    return away.value


def _refused_with(configured: Configured, url: str, *lines: str) -> TargetAway:
    with pytest.raises(TargetAway) as away:
        configured.connect(url, *lines)
    return away.value


def _pair(kind: str) -> tuple[str, str]:
    make, form = _KEYS[kind]
    key = make()
    pem = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    return pem, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + "\n"


_PIPE = """
import os, socket, sys, threading
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def back():
    while data := there.recv(65536):
        os.write(1, data)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    there.sendall(data)
"""

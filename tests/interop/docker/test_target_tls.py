"""Engines over the network with TLS: dockerd's own, held to a CA of the test's and asking for a certificate of it."""

import ipaddress
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from control.integrations.docker.connect import Connection, connect
from control.integrations.docker.preflight import preflight
from control.integrations.model import Checked, TargetAway
from tests.support.engine_wanted import QUICK
from tests.support.garrison import short_folder
from tests.support.peers_program import Program, eventually, free_port, require

pytestmark = pytest.mark.interop


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A certificate and its key, both as objects."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """An engine over TLS, and what leads to it."""

    connection: Connection
    path: Path
    """Its socket, for whoever is on the machine."""
    program: Program
    authority: Pair


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """A dockerd of its own, which needs no container to answer."""
    with short_folder() as folder:
        authority, port = _pair("authority"), free_port()
        server, client = _pair("engine", authority, ("127.0.0.1", "engine.example")), _pair("control", authority)
        for name, text in {"ca": authority.pem, "cert": server.pem, "key": server.key_pem}.items():
            (folder / f"{name}.pem").write_text(text)
        url = f"tcp://127.0.0.1:{port}"
        program = Program("dockerd-tls", _command(folder, url))
        connection = Connection(url=url, ca=authority.pem, certificate=client.pem, key=client.key_pem)
        try:
            eventually(partial(_listens, program), "the engine listens", within=60, alive=program)
            yield Guarded(connection=connection, path=folder / "docker.sock", program=program, authority=authority)
        finally:
            program.stop(within=30)
            subprocess.run(["umount", str(folder / "exec/netns/default")], check=False, stderr=subprocess.DEVNULL)


def test_a_certificate_of_the_same_authority_is_let_in(guarded: Guarded) -> None:
    with connect(guarded.connection, QUICK) as engine:
        checked = preflight(engine)

    assert checked == Checked(version="20.10.24+dfsg1", missing=())
    # What is asked to know that has no effect.
    for held in (["ps", "--all", "--quiet"], ["images", "--all", "--quiet"], ["volume", "ls", "--quiet"]):
        assert subprocess.check_output(["docker", "--host", f"unix://{guarded.path}", *held]) == b""


def test_without_our_certificate_the_engine_refuses(guarded: Guarded) -> None:
    away = _refused(replace(guarded.connection, certificate="", key=""))

    assert away.code == "tls_refused"
    assert "alert" in away.detail


def test_an_engine_of_another_authority_is_refused(guarded: Guarded) -> None:
    for ca in (_pair("other").pem, ""):
        away = _refused(replace(guarded.connection, ca=ca))

        assert away.code == "tls_refused"
        assert "self-signed certificate" in away.detail or "unable to get local issuer" in away.detail


def test_another_host_of_the_same_authority_is_refused(guarded: Guarded) -> None:
    url = guarded.connection.url.replace("127.0.0.1", "localhost")

    away = _refused(replace(guarded.connection, url=url))

    assert away.code == "tls_refused"
    assert "localhost" in away.detail


def test_plain_text_to_an_engine_that_wants_tls(guarded: Guarded) -> None:
    away = _refused(Connection(url=guarded.connection.url))

    assert away.code == "not_an_engine"
    assert "HTTPS" in away.detail


def test_what_is_no_certificate(guarded: Guarded) -> None:
    good = guarded.connection
    for bad in (replace(good, ca="no PEM"), replace(good, certificate="no PEM"), replace(good, key="no PEM")):
        assert _refused(bad).code == "bad_key"


def test_the_key_of_another_certificate(guarded: Guarded) -> None:
    assert _refused(replace(guarded.connection, key=_pair("other").key_pem)).code == "bad_key"


def _listens(program: Program) -> bool:
    # At the port and at its socket.
    return program.output().count("API listen") == 2


def _refused(connection: Connection) -> TargetAway:
    with pytest.raises(TargetAway) as away, connect(connection, QUICK):
        pass
    return away.value


def _command(folder: Path, url: str) -> list[str]:
    (folder / "daemon.json").write_text("{}")
    places = ["--config-file", "daemon.json", "--data-root", "data", "--exec-root", "exec", "--pidfile", "docker.pid"]
    named = [f"{folder}/{each}" if index % 2 else each for index, each in enumerate(places)]
    tls = [f"--tls{name}={folder}/{file}.pem" for name, file in (("cacert", "ca"), ("cert", "cert"), ("key", "key"))]
    network = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
    return [
        require("dockerd", "docker.io"),
        *named,
        "--host",
        url,
        "--host",
        f"unix://{folder}/docker.sock",
        "--tlsverify",
        *tls,
        *network,
    ]


def _pair(name: str, authority: Pair | None = None, hosts: tuple[str, ...] = ()) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .issuer_name(authority.certificate.subject if authority else subject)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
    )
    if hosts:
        names = [_general_name(each) for each in hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Pair(certificate=builder.sign(authority.key if authority else key, SHA256()), key=key)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)

"""The same by nslcd: names from the outpost, passwords to it, configured as the documentation says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.garrison import short_folder
from tests.support.ldap_site import CERTIFICATE, HOST, PASSWORD, STAFF, LdapSite
from tests.support.linux_host import NOBODY, LinuxHost, linux_host
from tests.support.peers_program import eventually

pytestmark = pytest.mark.interop
NAMES = "passwd: files ldap\ngroup: files ldap\nshadow: files\nhosts: files\n"
NEW = "another-battery-staple"


@pytest.fixture(scope="module")
def host(directory: LdapSite) -> Iterator[LinuxHost]:
    """The machine, when it knows people; nslcd itself runs as a user of its own."""
    files = {
        "/etc/nslcd.conf": directory.documented("nslcd"),
        CERTIFICATE: directory.certificate.read_text(),
        "/etc/hosts": f"127.0.0.1 localhost {HOST}\n",
        "/etc/nsswitch.conf": NAMES,
        "/etc/security/pwquality.conf": "dictcheck = 0\n",
        "/etc/passwd": Path("/etc/passwd").read_text() + "nslcd:x:199:199::/run/nslcd:/usr/sbin/nologin\n",
        "/etc/group": Path("/etc/group").read_text() + "nslcd:x:199:\n",
    }
    with short_folder() as folder, linux_host(folder, "ldap", files, ["nslcd", "-n"]) as host:
        eventually(lambda: host.run("getent", "passwd", "alice").code == 0, "nslcd knows alice", alive=host.program)
        yield host


def test_names_and_groups(host: LinuxHost) -> None:
    assert host.run("getent", "passwd", "alice").output.endswith(":Alice von der Alm:/home/alice:/bin/bash\n")
    assert {"engineers", STAFF} <= set(host.run("id", "-Gn", "alice").output.split())
    assert "alice" in host.run("getent", "group", "engineers").output


def test_everybody_is_listed(host: LinuxHost) -> None:
    names = {line.partition(":")[0] for line in host.run("getent", "passwd").output.splitlines()}
    assert {"alice", "bob", "Dave", "ALiskov4"} <= names


def test_passwords_are_checked_and_changed(directory: LdapSite, host: LinuxHost) -> None:
    name = directory.person()
    assert (
        host.run("su", name, "-s", "/bin/sh", "-c", "id -un", given=f"{PASSWORD}\n", user=NOBODY).output == f"{name}\n"
    )
    uid = int(host.run("id", "-u", name).output)
    changed = host.run("passwd", given=f"{PASSWORD}\n{NEW}\n{NEW}\n", user=uid)
    assert changed.code == 0, changed
    assert host.run("su", name, "-s", "/bin/sh", "-c", "true", given=f"{NEW}\n", user=NOBODY).code == 0
    assert host.run("su", name, "-s", "/bin/sh", "-c", "true", given=f"{PASSWORD}\n", user=NOBODY).code == 1

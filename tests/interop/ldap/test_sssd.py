"""A Linux machine whose people sign in by sssd, with the outpost as its directory, as the documentation says."""

import time
from collections.abc import Iterator

import pytest

from tests.support.garrison import short_folder
from tests.support.ldap_site import CERTIFICATE, HOST, PASSWORD, STAFF, LdapSite
from tests.support.linux_host import NOBODY, Done, LinuxHost, linux_host
from tests.support.peers_program import eventually

pytestmark = pytest.mark.interop
NEW = "another-battery-staple"
FIRST_NUMBER = 2000
NAMES = "passwd: files sss\ngroup: files sss\nshadow: files\nhosts: files\n"
# Debian's PAM has the quality of passwords checked with sssd; its dictionary is another package.
QUALITY = "dictcheck = 0\n"


@pytest.fixture(scope="module")
def host(directory: LdapSite) -> Iterator[LinuxHost]:
    """The machine, when it knows people."""
    files = {
        "/etc/sssd/sssd.conf": directory.documented("sssd"),
        CERTIFICATE: directory.certificate.read_text(),
        "/etc/hosts": f"127.0.0.1 localhost {HOST}\n",
        "/etc/nsswitch.conf": NAMES,
        "/etc/security/pwquality.conf": QUALITY,
    }
    with short_folder() as folder, linux_host(folder, "sss", files, ["sssd", "-i", "--logger=stderr"]) as host:
        eventually(lambda: host.run("getent", "passwd", "alice").code == 0, "sssd knows alice", alive=host.program)
        yield host


def fresh(host: LinuxHost, *command: str) -> Done:
    """What a command prints when sssd asks anew."""
    assert host.run("sss_cache", "-E").code == 0
    return host.run(*command)


def su(host: LinuxHost, username: str, password: str) -> Done:
    """Somebody without any rights becomes the user by the password."""
    return host.run("su", username, "-s", "/bin/sh", "-c", "id -un", given=f"{password}\n", user=NOBODY)


def test_a_user_is_an_account(host: LinuxHost) -> None:
    name, password, uid, gid, gecos, home, shell = host.run("getent", "passwd", "alice").output.strip().split(":")
    assert (name, password, gecos, home, shell) == ("alice", "*", "Alice von der Alm", "/home/alice", "/bin/bash")
    assert uid == gid
    assert int(uid) > FIRST_NUMBER


def test_numbers_of_ones_own_count(host: LinuxHost) -> None:
    assert host.run("id", "-u", "bob").output == "60001\n"
    assert host.run("id", "-g", "carol").output == "60002\n"


def test_groups_are_found_through_others(host: LinuxHost) -> None:
    groups = host.run("id", "-Gn", "alice").output.split()
    assert groups[0] == "alice"
    assert sorted(groups[1:]) == sorted(["engineers", "everyone", STAFF])
    members = host.run("getent", "group", "engineers").output.strip().split(":")
    assert members[2] == "70001"
    assert {"alice", "bob"} <= set(members[3].split(","))


def test_the_password_lets_in_and_no_other(host: LinuxHost) -> None:
    found = su(host, "alice", PASSWORD)
    assert (found.code, found.output) == (0, "alice\n"), found
    refused = su(host, "alice", "wrong")
    assert refused.code == 1
    assert "Authentication failure" in refused.errors


def test_unicode_and_spaces_in_names(host: LinuxHost) -> None:
    assert host.run("id", "-un", "dävid").output == "dävid\n"
    assert host.run("getent", "passwd", "comma, o'neil").output.startswith("comma, o'neil:*:")


def test_a_new_group_and_one_that_is_left(directory: LdapSite, host: LinuxHost) -> None:
    name = directory.person(STAFF)
    assert STAFF in fresh(host, "id", "-Gn", name).output.split()
    directory.change(name, groups=["engineers"])
    expected = [name, "engineers", "everyone", STAFF]
    eventually(
        lambda: sorted(fresh(host, "id", "-Gn", name).output.split()) == sorted(expected), "the groups are others"
    )


def test_whoever_is_deactivated_is_refused(directory: LdapSite, host: LinuxHost) -> None:
    name = directory.person(STAFF)
    assert su(host, name, PASSWORD).code == 0
    directory.change(name, active=False)
    began = time.monotonic()
    eventually(lambda: su(host, name, PASSWORD).code == 1, "refused")
    assert time.monotonic() - began < 10


def test_a_password_is_changed_by_its_owner(directory: LdapSite, host: LinuxHost) -> None:
    name = directory.person()
    uid = int(fresh(host, "id", "-u", name).output)
    changed = host.run("passwd", given=f"{PASSWORD}\n{NEW}\n{NEW}\n", user=uid)
    assert changed.code == 0, changed
    eventually(lambda: su(host, name, NEW).code == 0, "the new one is taken")
    assert su(host, name, PASSWORD).code == 1

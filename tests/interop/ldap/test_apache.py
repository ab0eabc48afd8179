"""Apache's mod_authnz_ldap asks the outpost who may see a page, configured as the documentation says."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.garrison import short_folder
from tests.support.ldap_site import PASSWORD, STAFF, LdapSite, group_dn
from tests.support.peers_http import ask
from tests.support.peers_program import Program, eventually, free_port, require

pytestmark = pytest.mark.interop
MODULES = (
    "mpm_event", "authn_core", "authz_core", "authz_user", "auth_basic", "ldap", "authnz_ldap", "dir",
)  # fmt: skip
FRAME = """
ServerRoot {folder}
ServerName localhost
User www-data
Group www-data
PidFile {folder}/pid
DefaultRuntimeDir {folder}
Listen 127.0.0.1:{port}
ErrorLog /dev/stderr
LogLevel warn authnz_ldap:info
DocumentRoot {folder}/pages
# Each request asks, so that a change of the directory is seen at once.
LDAPOpCacheTTL 0
LDAPCacheTTL 0
{modules}
{documented}
"""


def apache_config(directory: LdapSite, folder: Path, port: int) -> str:
    """The documented location for /, and others for requirements of other kinds."""
    documented = directory.documented("apache")
    requirement = f"Require ldap-group {group_dn(STAFF)}"
    assert requirement in documented
    others = {
        "attribute": "Require ldap-attribute mail=Alice.von.der.Alm@example.test",
        "filter": f"Require ldap-filter &(memberOf={group_dn(STAFF)})(ak-active=TRUE)",
        "anybody": "Require valid-user",
        "unique": f"AuthLDAPGroupAttribute uniqueMember\n    {requirement}",
        "direct": f"AuthLDAPMaxSubGroupDepth 0\n    {requirement}",
        "names": "AuthLDAPGroupAttribute memberUid\n    AuthLDAPGroupAttributeIsDN off\n    " + requirement,
    }
    _, found, location = documented.partition("<Location")
    assert found
    parts = [documented]
    for name, text in others.items():
        parts.append("<Location" + location.replace('"/"', f'"/{name}"').replace(requirement, text))
    modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES)
    return FRAME.format(folder=folder, port=port, modules=modules, documented="\n".join(parts))


@pytest.fixture(scope="module")
def apache(directory: LdapSite) -> Iterator[int]:
    """The port of an Apache whose every page is the same."""
    with short_folder() as folder:
        port = free_port()
        for name in ("", "attribute", "filter", "anybody", "unique", "direct", "names"):
            (folder / "pages" / name).mkdir(parents=True)
            (folder / "pages" / name / "index.html").write_text("in")
        folder.chmod(0o755)
        config = folder / "apache.conf"
        config.write_text(apache_config(directory, folder, port))
        command = [*directory.resolving, require("apache2", "apache2-bin"), "-D", "FOREGROUND", "-f", str(config)]
        program = Program("apache", command)
        eventually(lambda: ask(port, "/").status == 401, "Apache asks for a password", alive=program)
        yield port
        program.stop()
        shutil.rmtree(folder / "pages")


def status(port: int, path: str, username: str, password: str = PASSWORD) -> int:
    """What Apache answers to that password."""
    credentials = base64.b64encode(f"{username}:{password}".encode()).decode()
    return ask(port, path, headers=[("Authorization", f"Basic {credentials}")]).status


@pytest.mark.parametrize(
    ("path", "username", "expected"),
    [
        ("/", "alice", 200),
        ("/", "ALICE", 200),
        ("/", "bob", 200),  # through engineers
        ("/", "carol", 401),
        ("/unique/", "alice", 200),
        ("/unique/", "carol", 401),
        ("/names/", "alice", 200),
        ("/names/", "carol", 401),
        ("/direct/", "alice", 200),
        ("/direct/", "bob", 401),
        ("/attribute/", "alice", 200),
        ("/attribute/", "bob", 401),
        ("/filter/", "alice", 200),
        ("/filter/", "bob", 401),
        ("/anybody/", "bob", 200),
        ("/anybody/", "dävid", 200),
        ("/anybody/", "comma, o'neil", 200),
        ("/anybody/", "müller+söhne", 200),
        ("/anybody/", "nobody", 401),
        ("/anybody/", "frank", 401),
        ("/anybody/", "*", 401),
        ("/anybody/", "alice)(uid=*", 401),
    ],
)
def test_who_may_see_a_page(apache: int, path: str, username: str, expected: int) -> None:
    assert status(apache, path, username) == expected


def test_a_wrong_or_empty_password_is_refused(apache: int) -> None:
    assert status(apache, "/anybody/", "alice", "wrong") == 401
    assert status(apache, "/anybody/", "alice", "") == 401


def test_a_change_of_groups_counts_at_the_next_request(directory: LdapSite, apache: int) -> None:
    name = directory.person()
    assert status(apache, "/", name) == 401
    directory.change(name, groups=[STAFF])
    eventually(lambda: status(apache, "/", name) == 200, "let in")

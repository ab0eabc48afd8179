"""ldap-utils, the programs that everybody tries a directory with, against the outpost; and what outages do to binds."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from control.settings import Given, open_store, read_settings
from tests.support.browser_http import Visitor
from tests.support.garrison import short_folder
from tests.support.ldap_client import Ended, connected
from tests.support.ldap_site import BASE, HOST, PASSWORD, STAFF, LdapOutpost, LdapSite, group_dn, user_dn
from tests.support.peers_program import eventually, require
from tests.support.second_factors import code_of, enrol

pytestmark = pytest.mark.interop
SUCCESS, FALSE, TRUE, UNDEFINED, NO_SUCH_OBJECT = 0, 5, 6, 17, 32
INVALID, RIGHTS, UNAVAILABLE, UNWILLING, SERVER_DOWN = 49, 50, 52, 53, 255
SORTED = "1.2.840.113556.1.4.473"


@dataclass(frozen=True, slots=True)
class Done:
    """What a program of ldap-utils did. Their exit status is the result code, as far as it fits."""

    code: int
    out: str
    err: str

    def values(self, name: str) -> list[str]:
        """The values of an attribute in LDIF, in the order of the entries."""
        return re.findall(rf"^{name}: (.*)$", self.out, re.MULTILINE)


def run(site: LdapSite, program: str, *arguments: str, uri: str = "", password: str = "") -> Done:
    """A program of ldap-utils. It knows the certificate of the outpost, and by which name it goes."""
    config = site.folder / "ldap.conf"
    config.write_text(f"TLS_CACERT {site.certificate}\nTLS_REQCERT demand\n")
    given = ["-y", str(_kept(site.folder, password))] if password else []
    command = [*site.resolving, require(program, "ldap-utils"), "-x", "-H", uri or f"ldap://{HOST}:{site.port}"]
    done = subprocess.run(
        [*command, *given, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"LDAPCONF": str(config), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def _kept(folder: Path, password: str) -> Path:
    """On a command line others could read it; and ldap-utils take no more than is in the file."""
    path = folder / "password"
    path.write_text(password)
    return path


def search(site: LdapSite, *arguments: str, name: str = "search", password: str = PASSWORD) -> Done:
    """ldapsearch for somebody, as LDIF without comments."""
    return run(site, "ldapsearch", "-LLL", "-b", BASE, "-D", user_dn(name), *arguments, password=password)


def who(site: LdapSite, name: str, password: str = PASSWORD, *arguments: str, uri: str = "") -> Done:
    """ldapwhoami."""
    return run(site, "ldapwhoami", "-D", user_dn(name), *arguments, uri=uri, password=password)


# Binds.


def test_right_wrong_and_locked_out(directory: LdapSite) -> None:
    name = directory.person()
    assert who(directory, name).out == f"dn:{user_dn(name)}\n"
    wrong = who(directory, name, "wrong")
    assert (wrong.code, "wrong name or password" in wrong.err) == (INVALID, True)
    for _ in range(12):
        locked = who(directory, name, "wrong")
        assert (locked.code, locked.err) == (wrong.code, wrong.err), "a lockout tells nobody that it is one"
    anonymous = run(directory, "ldapwhoami")
    assert (anonymous.code, anonymous.out) == (SUCCESS, "anonymous\n")


def test_a_code_of_the_second_factor_goes_behind_the_password(directory: LdapSite) -> None:
    name = directory.person()
    store = open_store(read_settings(Given(data=directory.garrison.data), {}), migrate=False)
    with store.read() as unit:
        found = unit.users.find_named(name)
        assert found is not None
    phone, _ = enrol(store, found.id)
    directory.garrison.apply({"applications": [{"slug": "directory", "mfa": "required"}]} if False else {})
    due = who(directory, name)
    assert (due.code, "password;code" in due.err) == (INVALID, True)
    assert who(directory, name, f"{PASSWORD};000000").code == INVALID
    right = f"{PASSWORD};{code_of(store, phone.id)}"
    assert who(directory, name, right).out == f"dn:{user_dn(name)}\n"
    assert who(directory, name, right).code == INVALID, "a code is good once"


def test_an_app_password_binds_and_changes_no_password(directory: LdapSite) -> None:
    name = directory.person()
    secret = app_password(directory, name)
    assert who(directory, name, secret).code == SUCCESS
    changed = run(directory, "ldappasswd", "-D", user_dn(name), "-a", secret, "-s", "another-long-one", password=secret)
    assert changed.code != SUCCESS
    assert who(directory, name).code == SUCCESS


def app_password(site: LdapSite, username: str) -> str:
    visitor = Visitor()
    page = visitor.sign_in(f"{site.garrison.url}/account/app-passwords/new", username, PASSWORD)
    made = visitor.submit(page, {"name": "ldap"})
    found = re.search(r'id="app-password" value="([^"]+)"', made.text)
    assert found, made.text[:3000]
    return found[1]


# TLS.


def test_start_tls_and_ldaps_with_the_certificate_checked(directory: LdapSite) -> None:
    assert who(directory, "alice", PASSWORD, "-ZZ").out == f"dn:{user_dn('alice')}\n"
    ldaps = f"ldaps://{HOST}:{directory.outpost.ldaps}"
    assert who(directory, "alice", uri=ldaps).out == f"dn:{user_dn('alice')}\n"
    other = who(directory, "alice", uri=f"ldaps://localhost:{directory.outpost.ldaps}")
    assert other.code == SERVER_DOWN, "the certificate is for another name"
    twice = who(directory, "alice", PASSWORD, "-ZZ", uri=ldaps)
    assert twice.code != SUCCESS, "TLS within TLS"


# Searches.


def test_searching_and_comparing(directory: LdapSite) -> None:
    found = search(directory, "(uid=alice)", "cn", "memberOf")
    assert found.code == SUCCESS
    assert found.values("cn") == ["alice"]
    assert group_dn(STAFF) in found.values("memberOf")
    assert search(directory, "(uid=bob)", "dn", name="alice").out == "", "alice sees herself alone"
    assert run(directory, "ldapsearch", "-b", BASE).code == RIGHTS
    assert "namingContexts" in run(directory, "ldapsearch", "-b", "", "-s", "base", "+", "*").out
    assert search(directory, "-b", f"cn=nobody,ou=users,{BASE}").code == NO_SUCH_OBJECT
    for assertion, code in (("uid:alice", TRUE), ("uid:bob", FALSE), ("noSuchAttribute:x", UNDEFINED)):
        done = run(directory, "ldapcompare", "-D", user_dn("search"), user_dn("alice"), assertion, password=PASSWORD)
        assert done.code == code, done


def test_pages_and_order(directory: LdapSite) -> None:
    everybody = ("-b", f"ou=users,{BASE}", "(objectClass=inetOrgPerson)", "uid")
    whole = search(directory, *everybody).values("uid")
    assert len(whole) > 30
    paged = search(directory, "-E", "pr=7/noprompt", *everybody)
    assert paged.values("uid") == whole
    ordered = search(directory, "-E", "!sss=uid", *everybody)
    assert ordered.code == SUCCESS
    plain = [name for name in ordered.values("uid") if name.isascii()]
    assert plain == sorted(plain, key=str.lower)
    back = search(directory, "-E", "!sss=-uid", *everybody)
    assert [name for name in back.values("uid") if name.isascii()] == plain[::-1]
    both = search(directory, "-E", "pr=5/noprompt", "-E", "sss=uid", *everybody)
    assert both.values("uid") == ordered.values("uid")
    assert search(directory, "-z", "3", *everybody).code == 4


def test_changes_are_refused_with_a_reason(directory: LdapSite) -> None:
    done = run(directory, "ldapdelete", "-D", user_dn("search"), user_dn("alice"), password=PASSWORD)
    assert (done.code, "in Garrison" in done.err) == (UNWILLING, True)


# Passwords.


def test_changing_a_password(directory: LdapSite) -> None:
    name, new = directory.person(), "a-new-and-long-enough-one"
    own = ("-D", user_dn(name))
    assert run(directory, "ldappasswd", *own, "-s", new, password=PASSWORD).code == UNWILLING
    assert run(directory, "ldappasswd", *own, "-a", "wrong", "-s", new, password=PASSWORD).code == INVALID
    assert run(directory, "ldappasswd", *own, "-a", PASSWORD, "-s", "short", password=PASSWORD).code == 19
    other = run(directory, "ldappasswd", *own, "-a", PASSWORD, "-s", new, user_dn("alice"), password=PASSWORD)
    assert other.code == RIGHTS
    changed = run(directory, "ldappasswd", *own, "-a", PASSWORD, "-s", new, password=PASSWORD)
    assert changed.code == SUCCESS, changed
    eventually(lambda: who(directory, name, new).code == SUCCESS, "the new password binds")
    eventually(lambda: who(directory, name).code == INVALID, "the old one doesn't")
    generated = run(directory, "ldappasswd", *own, "-a", new, password=new)
    (made,) = re.findall(r"^New password: (\S+)$", generated.out, re.MULTILINE)
    eventually(lambda: who(directory, name, made).code == SUCCESS, "the generated password binds")


# What ends connections, and outages.


def test_a_user_who_is_disabled_loses_the_connection_at_once(directory: LdapSite) -> None:
    name = directory.person(STAFF)
    with connected(directory.port, (user_dn(name), PASSWORD)) as client:
        assert client.who_am_i() == f"dn:{user_dn(name)}"
        directory.change(name, active=False)
        notice = client.receive()
        assert notice.number == 0
        with pytest.raises(Ended):
            client.receive()
    assert who(directory, name).code == INVALID


@contextmanager
def second(site: LdapSite) -> Iterator[LdapSite]:
    """Another copy of the outpost, for outages of its own."""
    with short_folder() as folder:
        outpost = LdapOutpost(site.garrison, "directory", folder).start()
        try:
            yield LdapSite(folder=site.folder, garrison=site.garrison, outpost=outpost, certificate=site.certificate)
        finally:
            outpost.program.stop(within=15)

"""ldap-utils, the programs that everybody tries a directory with, against the outpost; and what outages do to binds."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from control.settings import Given, read_settings
from control.settings.opening import open_store
from tests.support import ldap_ber as ber
from tests.support.browser_http import Visitor
from tests.support.garrison import short_folder
from tests.support.ldap_client import Ended, Ldap, connected
from tests.support.ldap_site import BASE, HOST, PASSWORD, STAFF, LdapOutpost, LdapSite, group_dn, user_dn
from tests.support.peers_program import eventually, require
from tests.support.second_factors import code_of, enrol

pytestmark = pytest.mark.interop
SUCCESS, FALSE, TRUE, UNDEFINED, UNSUITABLE, NO_SUCH_OBJECT = 0, 5, 6, 17, 19, 32
INVALID, RIGHTS, UNAVAILABLE, UNWILLING, SERVER_DOWN = 49, 50, 52, 53, 255


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
    path.chmod(0o600)
    return path


def search(site: LdapSite, *arguments: str, name: str = "search", password: str = PASSWORD) -> Done:
    """ldapsearch for somebody, as LDIF without comments."""
    return run(site, "ldapsearch", "-LLL", "-b", BASE, "-D", user_dn(name), *arguments, password=password)


def who(site: LdapSite, name: str, password: str = PASSWORD, *arguments: str, uri: str = "") -> Done:
    """ldapwhoami."""
    return run(site, "ldapwhoami", "-D", user_dn(name), *arguments, uri=uri, password=password)


# Binds.


def test_right_and_wrong(directory: LdapSite) -> None:
    assert who(directory, "alice").out == f"dn:{user_dn('alice')}\n"
    wrong = who(directory, "alice", "wrong")
    assert (wrong.code, "wrong name or password" in wrong.err) == (INVALID, True)
    anonymous = run(directory, "ldapwhoami")
    assert (anonymous.code, anonymous.out) == (SUCCESS, "anonymous\n")


def test_a_lockout_tells_nobody_that_it_is_one(directory: LdapSite) -> None:
    name = directory.person()
    client = Ldap(directory.port, source="203.0.113.1")  # what fails there holds nobody else up
    answers = {(found.code, found.text) for found in (client.bind(user_dn(name), "wrong") for _ in range(20))}
    locked = client.bind(user_dn(name), PASSWORD)
    client.close()
    assert locked.code == INVALID
    assert answers == {(locked.code, locked.text)}


def test_a_code_of_the_second_factor_goes_behind_the_password(directory: LdapSite) -> None:
    name = directory.person()
    store = open_store(
        read_settings(Given(data=str(directory.garrison.data), url=directory.garrison.url), {}), migrate=False
    )
    with store.read() as unit:
        found = unit.users.find_named(name)
        assert found is not None
    phone, _ = enrol(store, found.id)
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
    code, _ = new_password(directory, name, secret, "-a", secret, "-s", "another-long-one")
    assert code == INVALID
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


def new_password(site: LdapSite, name: str, password: str, *arguments: str) -> tuple[int, str]:
    """The result code of ldappasswd, which it only prints, and the password that it shows, if any."""
    done = run(site, "ldappasswd", "-D", user_dn(name), *arguments, password=password)
    code = re.search(r"^Result: .* \((\d+)\)$", done.out, re.MULTILINE)
    shown = re.search(r"^New password: (\S+)$", done.out, re.MULTILINE)
    assert code or not done.code, done
    return int(code[1]) if code else SUCCESS, shown[1] if shown else ""


def test_changing_a_password(directory: LdapSite) -> None:
    name, new = directory.person(), "a-new-and-long-enough-one"
    for arguments, code in (
        (("-s", new), UNWILLING),
        (("-a", "wrong", "-s", new), INVALID),
        (("-a", PASSWORD, "-s", "short"), UNSUITABLE),
        (("-a", PASSWORD, "-s", new, user_dn("alice")), RIGHTS),
        (("-a", PASSWORD, "-s", new, user_dn(name)), SUCCESS),
    ):
        assert new_password(directory, name, PASSWORD, *arguments) == (code, ""), arguments
    eventually(lambda: who(directory, name).code == INVALID, "the old one doesn't bind any more")
    code, generated = new_password(directory, name, new, "-a", new)
    assert code == SUCCESS
    assert who(directory, name, generated).code == SUCCESS


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


KEPT, STRICT = "dc=kept,dc=test", "dc=strict,dc=test"


@contextmanager
def other_outpost(site: LdapSite) -> Iterator[LdapSite]:
    """An outpost of its own, at which one provider keeps what control says of passwords and one doesn't."""
    kinds = {"kept": (KEPT, "cached"), "strict": (STRICT, "direct")}
    site.garrison.apply(
        {
            "providers": [
                {"name": name, "type": "ldap", "base_dn": base, "bind_mode": mode, "search_group": "searchers"}
                for name, (base, mode) in kinds.items()
            ],
            "applications": [{"slug": name, "name": name, "provider": name} for name in kinds],
            "outposts": [{"name": "outages", "type": "ldap", "providers": [*kinds]}],
        }
    )
    with short_folder() as folder:
        outpost = LdapOutpost(site.garrison, "outages", folder).start()
        try:
            other = LdapSite(folder=site.folder, garrison=site.garrison, outpost=outpost, certificate=site.certificate)
            eventually(lambda: binds(other, KEPT), "it can ask control")
            yield other
        finally:
            outpost.stop()


def at(base: str, name: str = "search") -> str:
    return f"cn={name},ou=users,{base}"


def test_while_control_is_away(directory: LdapSite) -> None:
    with other_outpost(directory) as site, connected(site.port, (at(KEPT), PASSWORD)) as open_before:
        for base in (KEPT, STRICT):
            assert run(site, "ldapwhoami", "-D", at(base), password=PASSWORD).code == SUCCESS
        site.garrison.stop()
        try:
            kept = run(site, "ldapwhoami", "-D", at(KEPT), password=PASSWORD)
            assert (kept.code, kept.out) == (SUCCESS, f"dn:{at(KEPT)}\n"), "who came in before comes in"
            assert run(site, "ldapwhoami", "-D", at(KEPT), password="wrong").code == UNAVAILABLE
            assert run(site, "ldapwhoami", "-D", at(STRICT), password=PASSWORD).code == UNAVAILABLE
            found = open_before.search(ber.Search(base=KEPT, filter=ber.equal("uid", "alice")))
            assert found.dns == [at(KEPT, "alice")], "who is in goes on"
            site.outpost.stop()
            site.outpost.start()
            root = run(site, "ldapsearch", "-LLL", "-b", "", "-s", "base", "namingContexts")
            assert sorted(root.values("namingContexts")) == [KEPT, STRICT], "it serves by its last good state"
            assert run(site, "ldapwhoami", "-D", at(KEPT), password=PASSWORD).code == UNAVAILABLE, "no password is kept"
        finally:
            site.garrison.start()
        for base in (KEPT, STRICT):
            eventually(partial(binds, site, base), "binds again")
        again = run(site, "ldapsearch", "-LLL", "-b", KEPT, "-D", at(KEPT), "(uid=alice)", "dn", password=PASSWORD)
        assert again.values("dn") == [at(KEPT, "alice")], "the directory is that of before the restart"


def binds(site: LdapSite, base: str) -> bool:
    return run(site, "ldapwhoami", "-D", at(base), password=PASSWORD).code == SUCCESS

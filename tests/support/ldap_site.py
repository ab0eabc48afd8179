"""Garrison with an LDAP outpost and a directory that is hard to get right, as programs that speak LDAP find it.

The names try escaping, matching and nesting; everybody's password is `PASSWORD`. `search`, in the search group,
sees all of it. Whoever a test changes, it makes for itself.
"""

import itertools
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import ldap_ber as ber
from tests.support.garrison import Garrison, Outpost
from tests.support.garrison_docs import snippet
from tests.support.ldap_client import Ldap, connected
from tests.support.peers_program import eventually, free_port, require
from tests.support.peers_tls import self_signed

PAGE = "docs/protocols/ldap.md"
CERTIFICATE = "/etc/ssl/certs/garrison-ldap.pem"
"""Where the documentation has the outpost's certificate."""
HOST = "ldap.example.test"
BASE = "dc=ldap,dc=example,dc=test"
PASSWORD = "correct-horse-battery"
SEARCH = "search"
STAFF, SEARCHERS = "staff", "searchers"
SPARES = 8
_numbers = itertools.count(1)

GROUPS: Sequence[dict[str, object]] = (
    {"name": "everyone"},
    {"name": STAFF, "parents": ["everyone"], "attributes": {"description": "All who work here"}},
    {"name": "engineers", "parents": [STAFF], "attributes": {"gidNumber": 70001}},
    {"name": 'Ops, Net + "Core"', "parents": ["engineers", "everyone"]},
    {"name": "#sharp; <angle> \\back=", "parents": [STAFF]},
    {"name": "Höhe ﬁne"},
    {"name": "empty"},
    {"name": "administrators", "superuser": True},
    {"name": SEARCHERS},
)  # fmt: skip

_SHOWN = {"loginShell": "/bin/bash", "mobile": "+49 30 1234-567", "employeeNumber": 7}
USERS: Sequence[dict[str, object]] = (
    {"username": SEARCH, "name": "Search", "groups": [SEARCHERS, "everyone"]},
    {"username": "alice", "name": "Alice von der Alm", "groups": [STAFF, "engineers"], "attributes": _SHOWN},
    {"username": "bob", "name": "Bob", "groups": ["everyone", "engineers"], "attributes": {"uidNumber": "60001"}},
    {"username": "carol", "name": "Carol  Double  Space", "groups": [], "attributes": {"gidNumber": 60002}},
    {"username": "Dave", "name": "DAVE UPPER", "groups": ['Ops, Net + "Core"', "administrators"]},
    {"username": "dävid", "name": "Jürgen Grün", "groups": ["Höhe ﬁne"], "attributes": {"loginShell": "/bin/sh"}},
    {"username": "comma, o'neil", "name": "O'Neil, Pat (x*y)", "groups": ["#sharp; <angle> \\back="]},
    {"username": "müller+söhne", "name": "Alpha ﬁrst VIII", "groups": [STAFF]},
    {"username": "frank", "name": "Frank Franklin", "active": False, "groups": [STAFF]},
    {"username": "grace", "name": "Grace", "attributes": {"mobile": ["1 2 3", "456"], "description": "a  B"}},
)  # fmt: skip
USER_ATTRIBUTES = ("loginShell", "mobile", "employeeNumber", "description", "sshPublicKey")
GROUP_ATTRIBUTES = ("description",)


@dataclass
class LdapOutpost(Outpost):
    """`garrison outpost ldap`; `http` is its port for LDAP and StartTLS."""

    ldaps: int = field(default_factory=free_port)

    @property
    def ldap(self) -> int:
        """The port for LDAP and StartTLS."""
        return self.http

    @property
    def serving(self) -> list[str]:
        """What it serves and where, as its command line says it."""
        return ["ldap", "--ldap", self.address, "--ldaps", f"{self.listen}:{self.ldaps}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapSite:
    """All of it, running."""

    folder: Path
    garrison: Garrison
    outpost: LdapOutpost
    certificate: Path
    spares: list[str] = field(default_factory=lambda: [f"spare{number}" for number in range(SPARES)])
    """Users without groups that nobody has yet."""

    @property
    def port(self) -> int:
        """Where it speaks LDAP."""
        return self.outpost.ldap

    @property
    def search(self) -> tuple[str, str]:
        """Name and password of the account that sees everything."""
        return user_dn(SEARCH), PASSWORD

    @property
    def tls(self) -> ssl.SSLContext:
        """What a client has that trusts the outpost's certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def client(self, username: str = SEARCH, password: str = PASSWORD) -> Ldap:
        """A connection that is bound."""
        client = Ldap(self.port)
        found = client.bind(user_dn(username), password)
        assert found.code == 0, found
        return client

    def lets_in(self, username: str, password: str) -> bool:
        """Whether a bind succeeds."""
        with connected(self.port) as client:
            return client.bind(user_dn(username), password).code == 0

    @property
    def resolving(self) -> list[str]:
        """What precedes a command for which `HOST` is this machine; it has the certificate where the pages say, too."""
        hosts, certificate = self.folder / "hosts", self.folder / "certificate.pem"
        hosts.write_text(f"127.0.0.1 localhost {HOST}\n")
        certificate.write_text(self.certificate.read_text())
        mounts = f'mount --bind "$0" /etc/hosts && mount -t tmpfs tmpfs /etc/ssl/certs && cp "$1" {CERTIFICATE}'
        script = f'{mounts} && shift && exec "$@"'
        apart = [require("unshare", "util-linux"), "--mount", "--propagation=slave"]
        return [*apart, "sh", "-c", script, str(hosts), str(certificate)]

    def documented(self, program: str) -> str:
        """How the documentation says to configure a program, with what it leaves open."""
        text = snippet(PAGE, program)
        told = {
            "ldap.example.com:6636": f"{HOST}:{self.outpost.ldaps}",
            "DC=ldap,DC=goauthentik,DC=io": BASE,
            "PASTE-THE-APP-PASSWORD-HERE": PASSWORD,
        }
        for example, ours in told.items():
            assert example in text, f"no {example} in\n{text}"
            text = text.replace(example, ours)
        return text

    def person(self, *groups: str, **fields: object) -> str:
        """A user for the test alone, whom the outpost has; returns the username."""
        if not groups and not fields and self.spares:
            return self.spares.pop()
        name = f"person{next(_numbers)}"
        self.garrison.apply({"users": [_person({"username": name, "name": name, "groups": list(groups), **fields})]})
        self.until(lambda found: len(found.entries) == 1, ber.equal("uid", name))
        return name

    def change(self, username: str, **fields: object) -> None:
        """Change a user, without waiting for the outpost."""
        self.garrison.apply({"users": [{"username": username, **fields}]})

    def until(self, holds: Callable[[ber.Answer], bool], wanted: ber.Filter) -> None:
        """Wait until a search of everything is answered as it should be."""
        with connected(self.port, self.search) as client:
            asked = ber.Search(base=BASE, filter=wanted)
            eventually(lambda: holds(client.search(asked)), f"{wanted.text} as it should be")


def user_dn(username: str) -> str:
    """The name of a user without special characters."""
    return f"cn={username},ou=users,{BASE}"


def group_dn(name: str) -> str:
    """The name of a group without special characters."""
    return f"cn={name},ou=groups,{BASE}"


@contextmanager
def ldap_site(folder: Path) -> Iterator[LdapSite]:
    """Start it, and end it whatever happens."""
    garrison = Garrison(folder / "garrison").start()
    outpost = LdapOutpost(garrison, "directory", folder / "directory")
    certificate, key = self_signed(folder, HOST)
    try:
        garrison.apply(_blueprint(certificate, key))
        outpost.start()
        site = LdapSite(folder=folder, garrison=garrison, outpost=outpost, certificate=certificate)
        # The first who asks waits for the link to the gate; on a machine with much to do that can be too long.
        eventually(lambda: site.lets_in(SEARCH, PASSWORD), "the account that searches gets in")
        yield site
        outpost.stop()
    finally:
        garrison.stop()


def _person(fields: dict[str, object]) -> dict[str, object]:
    local = "".join(char if char.isascii() and char.isalnum() else "." for char in str(fields["name"]))
    return {"email": f"{local.strip('.')}@example.test", "password": PASSWORD, **fields}


def _crowd() -> Iterator[dict[str, object]]:
    """People like many others, who never sign in."""
    given, family = (
        ("Ada", "Grace", "Alan", "Edsger", "Barbara"),
        ("Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov"),
    )
    for number, (first, last) in enumerate(itertools.product(given, family)):
        name = f"{first} {last}"
        shown = {"employeeNumber": str(number * 37), "description": f"Number {number}, {name}"}
        yield {
            "username": f"{first}.{last}".lower() if number % 2 else f"{first[0]}{last}{number}",
            "name": name, "email": f"{first}.{last}@Example.test" if number % 3 else "",
            "groups": [("everyone", STAFF, "engineers")[number % 3]], "attributes": shown if number % 4 else {},
        }  # fmt: skip


def _blueprint(certificate: Path, key: Path) -> dict[str, object]:
    spares: list[dict[str, object]] = [
        {"username": f"spare{number}", "name": f"Spare {number}"} for number in range(SPARES)
    ]
    provider = {
        "name": "directory", "type": "ldap", "base_dn": BASE, "search_group": SEARCHERS, "bind_mode": "cached",
        "certificate": "ldap", "tls_server_name": HOST,
        "user_attributes": "\n".join(USER_ATTRIBUTES), "group_attributes": "\n".join(GROUP_ATTRIBUTES),
    }  # fmt: skip
    return {
        "certificates": [{"name": "ldap", "certificate_file": str(certificate), "key_file": str(key)}],
        "groups": list(GROUPS),
        "users": [*(_person({**user}) for user in (*USERS, *spares)), *_crowd()],
        "providers": [provider],
        "applications": [{"slug": "directory", "name": "Directory", "provider": "directory"}],
        "outposts": [{"name": "directory", "type": "ldap", "providers": ["directory"]}],
    }

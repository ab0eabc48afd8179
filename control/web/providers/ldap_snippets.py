"""Configuration for programs that speak LDAP, filled in with what a provider says.

The templates are the snippets of docs/protocols/ldap.md; a test keeps the two alike. Each kind of file gets its values
quoted in its own way, since a base DN may hold nearly any character.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from flask import current_app, render_template

from control.domain.application import LdapProvider
from control.domain.origins import is_address
from control.domain.security import Certificate
from control.fleet.certificate_info import describe
from control.web import quoting
from control.web.providers.snippets import Snippet

LDAP_PORT = 3389
LDAPS_PORT = 6636
UNKNOWN_OUTPOST = "ldap.example.com"
UNKNOWN_ACCOUNT = "search"
CA_FILE = "/etc/ssl/certs/garrison-ldap.pem"
PASSWORD = "PASTE-THE-APP-PASSWORD-HERE"
_TITLES = (
    ("generic", "Any program", "generic.txt"),
    ("ldapsearch", "ldapsearch", "ldapsearch.sh"),
    ("sssd", "sssd", "sssd.conf"),
    ("nslcd", "nslcd", "nslcd.conf"),
    ("apache", "Apache", "apache.conf"),
    ("nextcloud", "Nextcloud", "nextcloud.sh"),
    ("grafana", "Grafana", "grafana.toml"),
    ("keycloak", "Keycloak", "keycloak.sh"),
    ("proxmox", "Proxmox", "proxmox.sh"),
    ("jellyfin", "Jellyfin", "jellyfin.txt"),
)
# RFC 4514 section 2.4
_SPECIAL = frozenset('"+,;<>\\')
# RFC 4515 section 3
_IN_FILTERS = {ord(char): f"\\{ord(char):02x}" for char in "\\*()\0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """What the snippets are filled in with: where the outpost is, the tree, and the account that searches it."""

    host: str
    base: str
    account: str = UNKNOWN_ACCOUNT

    @property
    def is_example(self) -> bool:
        """Whether the host has to be replaced."""
        return self.host == UNKNOWN_OUTPOST

    @property
    def ldaps(self) -> str:
        """The address with TLS from the first byte."""
        return f"ldaps://{self.host}:{LDAPS_PORT}"

    @property
    def ldap(self) -> str:
        """The address where TLS begins with StartTLS."""
        return f"ldap://{self.host}:{LDAP_PORT}"

    @property
    def users(self) -> str:
        """Below which users lie."""
        return f"ou=users,{self.base}"

    @property
    def groups(self) -> str:
        """Below which groups lie."""
        return f"ou=groups,{self.base}"

    @property
    def bind_dn(self) -> str:
        """The account that searches."""
        return f"cn={escape_rdn(self.account)},{self.users}"

    def group(self, name: str) -> str:
        """The distinguished name of a group."""
        return f"cn={escape_rdn(name)},{self.groups}"


def ldap_snippets(directory: Directory) -> tuple[Snippet, ...]:
    """One snippet for each program."""
    current_app.jinja_env.filters.update(_FILTERS)
    return tuple(Snippet(key=key, title=title, text=_rendered(template, directory)) for key, title, template in _TITLES)


def directory_of(provider: LdapProvider, certificate: Certificate | None, account: str | None) -> Directory:
    """Where clients find the provider: by the name that they ask for in TLS, else at an example to replace."""
    return Directory(
        host=provider.tls_server_name or _host_of(certificate) or UNKNOWN_OUTPOST,
        base=provider.base_dn,
        account=account or UNKNOWN_ACCOUNT,
    )


def _host_of(certificate: Certificate | None) -> str:
    """The first host that it names; an address or a wildcard is none."""
    names = describe(certificate).names if certificate is not None else ()
    return next((name for name in names if not name.startswith("*") and not is_address(name)), "")


def escape_rdn(value: str) -> str:
    """A value as it stands in a distinguished name, RFC 4514 section 2.4."""
    escaped = "".join(f"\\{char}" if char in _SPECIAL else char for char in value).replace("\0", "\\00")
    if escaped.startswith((" ", "#")):
        escaped = f"\\{escaped}"
    return f"{escaped[:-1]}\\ " if value.endswith(" ") and len(value) > 1 else escaped


def escape_filter(value: str) -> str:
    """A value as it stands in a search filter, RFC 4515 section 3."""
    return value.translate(_IN_FILTERS)


def apache(text: str) -> str:
    """What stands between the double quotes of an Apache directive."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def in_ldap_url(text: str) -> str:
    """A distinguished name in an LDAP URL, RFC 4516 section 2."""
    return quote(text, safe="=,")


def json_text(text: str) -> str:
    """A string of JSON or, where it is the same, of TOML."""
    return json.dumps(text, ensure_ascii=False)


_FILTERS: Mapping[str, Callable[[str], str]] = {
    "shell": quoting.shell,
    "apache": apache,
    "in_ldap_url": in_ldap_url,
    "json_text": json_text,
    "escape_filter": escape_filter,
}


def _rendered(template: str, directory: Directory) -> str:
    return render_template(f"snippets/ldap/{template}", directory=directory, ca_file=CA_FILE, password=PASSWORD)

"""The texts for programs that speak LDAP: those of the documentation, filled in, one value each whatever it holds."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from control.web.providers.ldap_snippets import Directory, escape_filter, escape_rdn, ldap_snippets
from tests.support.site import Site

DOCS = Path(__file__).parents[4] / "docs" / "protocols" / "ldap.md"
EXAMPLE = Directory(host="ldap.example.com", base="DC=ldap,DC=goauthentik,DC=io")
HOSTILE = ['o=R&D "Berlin"', "o=it's $HOME `x`", "o=a\\,b?c%41", "o=50% (half)*", "ou=Bücher,o=x"]


def rendered(site: Site, directory: Directory) -> dict[str, str]:
    with site.app.test_request_context():
        return {snippet.key: snippet.text for snippet in ldap_snippets(directory)}


def words(text: str) -> list[str]:
    """The words of a shell text, its lines joined."""
    return shlex.split(text, comments=True)


def after(text: str, flag: str) -> str:
    found = words(text)
    return found[found.index(flag) + 1]


def test_they_are_those_of_the_documentation(site: Site) -> None:
    page = DOCS.read_text()
    for name, text in rendered(site, EXAMPLE).items():
        found = re.search(rf"<!-- test: {name} -->\n```\w+\n(.*?)```", page, re.DOTALL)
        assert found, name
        assert found.group(1).strip() == text.strip(), name


@pytest.mark.parametrize("base", [EXAMPLE.base, *HOSTILE])
@pytest.mark.parametrize("account", ["search", 'Smith, Jo (+1) it\'s "$x"'])
def test_each_value_stays_one_value(site: Site, base: str, account: str) -> None:
    directory = Directory(host="ldap.example.com", base=base, account=account)
    texts, users, binder = rendered(site, directory), f"ou=users,{base}", directory.bind_dn
    assert after(texts["ldapsearch"], "-D") == binder
    assert after(texts["ldapsearch"], "-b") == base
    assert after(texts["proxmox"], "--base_dn") == users
    assert after(texts["proxmox"], "--bind_dn") == binder
    assert after(texts["nextcloud"], "ldapAgentName") == binder
    grafana = tomllib.loads(texts["grafana"])["servers"][0]
    assert (grafana["bind_dn"], grafana["search_base_dns"], grafana["port"]) == (binder, [users], 6636)
    keycloak = json.loads(texts["keycloak"].split("<<'END'\n")[1].rpartition("END")[0])["config"]
    assert (keycloak["usersDn"], keycloak["bindDn"]) == ([users], [binder])
    assert f"\nldap_default_bind_dn = {binder}\n" in texts["sssd"]
    assert f"\nbinddn {binder}\n" in texts["nslcd"]
    (url,) = re.findall(r'AuthLDAPURL "([^"]+)"', texts["apache"])
    assert unquote(urlsplit(url).path) == f"/{users}"
    quoted = texts["apache"].split('AuthLDAPBindDN "')[1].split('"\n')[0]
    assert quoted.replace('\\"', '"').replace("\\\\", "\\") == binder


def test_names_in_distinguished_names_and_filters() -> None:
    assert escape_rdn("R&D, Berlin") == "R&D\\, Berlin"
    assert escape_rdn(" #x ") == "\\ #x\\ "
    assert escape_rdn("#x") == "\\#x"
    assert escape_rdn(" ") == "\\ "
    assert escape_rdn('a+b"c\\d<e>f;') == 'a\\+b\\"c\\\\d\\<e\\>f\\;'
    assert escape_filter("a(b)*\\\0") == "a\\28b\\29\\2a\\5c\\00"

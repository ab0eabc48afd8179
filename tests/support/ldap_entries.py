"""What an LDAP outpost has, in the words of OpenLDAP's slapd, and what is asked of the one in the words of the other.

Two things have other names in slapd: `name`, which OpenLDAP has built in as the supertype of others (RFC 4519), and
object classes whose names RFC 4512 has no syntax for. Their names are as long as ours, so that requests can be put into
the other's words as bytes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from tests.support.ldap_ber import Search
from tests.support.ldap_client import Ldap
from tests.support.slapd import published

SLASHED, DASHED = b"goauthentik.io/ldap/", b"goauthentik-io-ldap-"
OTHER_NAME = "nxme"
PAGE = 2000
_SLASHED = re.compile(rb"(goauthentik)\.(io)/(ldap)/", re.IGNORECASE)
_NAME = re.compile(rb"(?<=[\x04\x82\x87]\x04)name(?![a-zA-Z])", re.IGNORECASE)
_CHARACTER = re.compile(r"\\([0-9a-fA-F]{2}|.)|(.)", re.DOTALL)
_SPECIAL = frozenset('"+,;<=>#\\')

Definitions = list[tuple[str, str]]
Entries = Iterator[tuple[str, Mapping[str, Sequence[bytes]]]]


def copy_of(client: Ldap, base: str) -> tuple[Definitions, Entries]:
    """The schema and the entries, for slapd; parents before children."""
    definitions = [(kind, _definition(text)) for kind, text in published(client)]
    asked = Search(base=base, attributes=["*", "+"])
    found = [entry for page in client.pages(asked, PAGE) for entry in page.entries]
    found.sort(key=lambda entry: entry.dn.count(","))
    return definitions, ((entry.dn, _attributes(entry.attributes)) for entry in found)


def in_their_words(operation: bytes) -> bytes:
    """A request for slapd."""
    return _NAME.sub(OTHER_NAME.encode(), _SLASHED.sub(rb"\1-\2-\3-", operation))


def plain(dn: str) -> str:
    """A DN whose special characters are escaped by their numbers (RFC 4514 section 2.4 leaves the choice)."""
    if "\\" not in dn and dn.count("=") == dn.count(",") + 1:
        return dn
    parts, in_value = [], False
    for escaped, char in _CHARACTER.findall(dn):
        if escaped:
            parts.append(_numbered(chr(int(escaped, 16)) if len(escaped) > 1 else escaped))
        else:
            parts.append(_numbered(char) if in_value and char not in ",+" else char)
            in_value = char == "=" or (in_value and char not in ",+")
    return "".join(parts)


def _numbered(char: str) -> str:
    return f"\\{ord(char):02X}" if char in _SPECIAL else char


def _definition(text: str) -> str:
    dashed = text.replace(SLASHED.decode(), DASHED.decode())
    return dashed.replace("'name'", f"'{OTHER_NAME}'").replace(" name ", f" {OTHER_NAME} ")


def _attributes(attributes: Mapping[str, tuple[bytes, ...]]) -> Mapping[str, Sequence[bytes]]:
    renamed = {OTHER_NAME if name == "name" else name: values for name, values in attributes.items()}
    return {name: [value.replace(SLASHED, DASHED) for value in values] for name, values in renamed.items()}

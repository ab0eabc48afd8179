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
_NAME = re.compile(rb"(?<=[\x04\x82\x87]\x04)name(?![a-zA-Z])", re.IGNORECASE)

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
    return _NAME.sub(OTHER_NAME.encode(), operation.replace(SLASHED, DASHED))


def _definition(text: str) -> str:
    dashed = text.replace(SLASHED.decode(), DASHED.decode())
    return dashed.replace("'name'", f"'{OTHER_NAME}'").replace(" name ", f" {OTHER_NAME} ")


def _attributes(attributes: Mapping[str, tuple[bytes, ...]]) -> Mapping[str, Sequence[bytes]]:
    renamed = {OTHER_NAME if name == "name" else name: values for name, values in attributes.items()}
    return {name: [value.replace(SLASHED, DASHED) for value in values] for name, values in renamed.items()}

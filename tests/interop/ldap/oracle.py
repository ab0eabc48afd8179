"""slapd with what the outpost has, and whether both answer alike.

The copy is made from the outpost's own answers, with the schema that the outpost publishes. Two things have other names
in slapd: `name`, which OpenLDAP has built in as the supertype of others (RFC 4519), and object classes whose names RFC
4512 has no syntax for. Their names are as long as ours, so requests are put into the other's words as bytes.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ldap_ber import Answer, Entry, Search
from tests.support.ldap_client import Ldap, connected
from tests.support.ldap_site import BASE
from tests.support.slapd import Plan, Slapd, lacking, published, slapd

SLASHED, DASHED = b"goauthentik.io/ldap/", b"goauthentik-io-ldap-"
_NAME = re.compile(rb"(?<=[\x04\x82\x87]\x04)name(?![a-zA-Z])", re.IGNORECASE)
_OTHER_NAME = b"nxme"
THEIRS_ALONE = frozenset({"creatorsname", "modifiersname", "entrycsn", "contextcsn"})
"""Operational attributes of OpenLDAP's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """The copy, and the entries that both have."""

    slapd: Slapd
    entries: tuple[Entry, ...]


@contextmanager
def copied(folder: Path, port: int, bound: tuple[str, str]) -> Iterator[Copy]:
    """slapd with everything that this account sees in the outpost."""
    with connected(port, bound) as client:
        found = client.search(Search(base=BASE, attributes=["*", "+"]))
        assert found.code == 0, found
        definitions = [(kind, _theirs(text)) for kind, text in published(client)]
    plan = Plan(suffix=BASE, schema=lacking(folder / "bare", definitions))
    entries = [(entry.dn, _loadable(entry.attributes)) for entry in found.entries]
    with slapd(folder / "slapd", plan, sorted(entries, key=lambda each: each[0].count(","))) as server:
        yield Copy(slapd=server, entries=found.entries)


def _theirs(definition: str) -> str:
    return definition.replace(SLASHED.decode(), DASHED.decode()).replace("'name'", f"'{_OTHER_NAME.decode()}'").replace(
        " name ", f" {_OTHER_NAME.decode()} "
    )  # fmt: skip


def _loadable(attributes: Mapping[str, tuple[bytes, ...]]) -> dict[str, list[bytes]]:
    renamed = {_OTHER_NAME.decode() if name == "name" else name: values for name, values in attributes.items()}
    return {name: [value.replace(SLASHED, DASHED) for value in values] for name, values in renamed.items()}


def in_their_words(operation: bytes) -> bytes:
    """A request for slapd."""
    return _NAME.sub(_OTHER_NAME, operation.replace(SLASHED, DASHED))


Found = dict[str, dict[str, tuple[bytes, ...]]]


def found(answer: Answer) -> Found:
    """The entries of an answer, whichever server's, in a form in which they are equal where they say the same."""
    return {entry.dn: _plain(entry.attributes) for entry in answer.entries}


def _plain(attributes: Mapping[str, tuple[bytes, ...]]) -> dict[str, tuple[bytes, ...]]:
    plain = {}
    for name, values in attributes.items():
        key = "name" if name.lower() == _OTHER_NAME.decode() else name.lower()
        if key not in THEIRS_ALONE:
            plain[key] = tuple(sorted(_value(key, value) for value in values))
    return plain


def _value(key: str, value: bytes) -> bytes:
    """Both say where the schema is, each in its own spelling."""
    return value.lower() if key == "subschemasubentry" else value.replace(DASHED, SLASHED)


def difference(ours: Answer, theirs: Answer) -> str:
    """How the answers to one request differ; nothing where they don't."""
    if ours.code != theirs.code:
        return f"code {ours.code} ({ours.text}), slapd {theirs.code} ({theirs.text})"
    if ours.matched.lower() != theirs.matched.lower():
        return f"matched {ours.matched!r}, slapd {theirs.matched!r}"
    mine, other = found(ours), found(theirs)
    if mine.keys() != other.keys():
        return (
            f"only ours {sorted(mine.keys() - other.keys())[:4]}, only slapd {sorted(other.keys() - mine.keys())[:4]}"
        )
    for dn, attributes in mine.items():
        if attributes != other[dn]:
            names = [name for name in attributes.keys() | other[dn] if attributes.get(name) != other[dn].get(name)]
            return f"{dn}: " + "; ".join(
                f"{name} {attributes.get(name)}, slapd {other[dn].get(name)}" for name in names
            )
    return ""


def asked_both(ours: Ldap, theirs: Ldap, operations: list[bytes]) -> list[str]:
    """How the answers to each of these differ."""
    mine = ours.ask_all(operations)
    other = theirs.ask_all([in_their_words(operation) for operation in operations])
    return [difference(*each) for each in zip(mine, other, strict=True)]


def readable(asked: Search) -> str:
    """A search as ldapsearch has it."""
    scope = ("base", "one", "sub", "children")[asked.scope]
    types = "-A " if asked.types_only else ""
    return f"-b {asked.base!r} -s {scope} {types}{asked.filter.text!r} {' '.join(asked.attributes)}"

"""slapd with what the outpost has, and whether both answer alike.

The copy is made from the outpost's own answers, with the schema that the outpost publishes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ldap_ber import Answer, Entry, Search
from tests.support.ldap_client import Ldap, connected
from tests.support.ldap_entries import DASHED, OTHER_NAME, SLASHED, copy_of, in_their_words, plain
from tests.support.ldap_site import BASE
from tests.support.slapd import Plan, Slapd, lacking, slapd

THEIRS_ALONE = frozenset({"creatorsname", "modifiersname", "entrycsn", "contextcsn"})
"""Operational attributes of OpenLDAP's own."""
NAMES = frozenset({"entrydn", "member", "memberof", "uniquemember"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """The copy, and the entries that both have."""

    slapd: Slapd
    entries: tuple[Entry, ...]


@contextmanager
def copied(folder: Path, port: int, bound: tuple[str, str]) -> Iterator[Copy]:
    """slapd with everything that this account sees in the outpost."""
    with connected(port, bound) as client:
        definitions, entries = copy_of(client, BASE)
        found = client.search(Search(base=BASE, attributes=["*", "+"])).entries
    plan = Plan(suffix=BASE, schema=lacking(folder / "bare", definitions))
    with slapd(folder / "slapd", plan, entries) as server:
        yield Copy(slapd=server, entries=found)


Found = dict[str, dict[str, tuple[bytes, ...]]]


def found(answer: Answer) -> Found:
    """The entries of an answer, whichever server's, in a form in which they are equal where they say the same."""
    return {plain(entry.dn): _plain(entry.attributes) for entry in answer.entries}


def _plain(attributes: Mapping[str, tuple[bytes, ...]]) -> dict[str, tuple[bytes, ...]]:
    found = {}
    for name, values in attributes.items():
        key = "name" if name.lower() == OTHER_NAME else name.lower()
        if key not in THEIRS_ALONE:
            found[key] = tuple(sorted(_value(key, value) for value in values))
    return found


def _value(key: str, value: bytes) -> bytes:
    if key == "subschemasubentry":
        # Both say where the schema is, each in its own spelling.
        return value.lower()
    return plain(value.decode()).encode() if key in NAMES else value.replace(DASHED, SLASHED)


def difference(ours: Answer, theirs: Answer) -> str:
    """How the answers to one request differ; nothing where they don't."""
    if ours.code != theirs.code:
        return f"code {ours.code} ({ours.text}), slapd {theirs.code} ({theirs.text})"
    if plain(ours.matched).lower() != plain(theirs.matched).lower():
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

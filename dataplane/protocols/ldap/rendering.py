"""Entries with the attributes that were asked for, as SearchResultEntry (RFC 4511 section 4.5.2)."""

from collections.abc import Generator, Iterable
from typing import Final

from dataplane.protocols.ldap.blobs import pack
from dataplane.protocols.ldap.directory import USER
from dataplane.protocols.ldap.pace import Pace
from dataplane.protocols.ldap.schema import Attributes, AttributeType
from dataplane.protocols.ldap.selection import Selection
from dataplane.protocols.ldap.tree import CONTAINER, VIRTUAL, Tree
from dataplane.protocols.ldap.wire import encode_attribute, encode_entry, encode_values, select

LISTED: Final = {"member": "member", "uniqueMember": "member", "memberUid": "memberUid"}
"""Under what `member_lists` has the values of attributes."""


def prepare(tree: Tree, group: int, selection: Selection, pace: Pace) -> Generator[int, None, None]:
    """Have the members at hand that `encode` will ask for; a `NOT_YET` for each pause."""
    for kind, name in tree.related_of_groups:
        if name in LISTED and selection.wants(kind) and tree.member_lists.find(group, LISTED[name]) is None:
            yield from tree.member_lists.fill(group, LISTED[name], tree.name_of, pace)


def encode(tree: Tree, code: int, selection: Selection, among: frozenset[int] | None) -> bytes:
    """An entry as a SearchResultEntry; `among` as in `Tree.related`."""
    attributes = _of_held(tree, code, selection) if code < VIRTUAL else _of_made(tree, code, selection)
    attributes += _related(tree, code, selection, among)
    if selection.types_only:
        attributes = select(attributes, selection.every, True)
    return encode_entry(tree.name_of(code), attributes)


def encode_described(name: bytes, attributes: Attributes, selection: Selection) -> bytes:
    """The root DSE or the subschema as a SearchResultEntry."""
    packed = pack(tuple(each for each in attributes if selection.wants(each[0])))
    if selection.types_only:
        packed = select(packed, selection.every, True)
    return encode_entry(name, packed)


def _of_held(tree: Tree, code: int, selection: Selection) -> bytes:
    """What a user or a group has for itself, and with all of its kind."""
    directory = tree.directory
    alike, alike_operational = directory.alike_packed(directory.kinds[code])
    attributes = b""
    if selection.of_users:
        attributes = directory.attributes(code) + alike
    elif selection.named:
        attributes = select(directory.attributes(code) + alike, selection.named, False)
    if selection.operational:
        return attributes + directory.operational(code) + alike_operational
    if selection.named:
        return attributes + select(directory.operational(code) + alike_operational, selection.named, False)
    return attributes


def _of_made(tree: Tree, code: int, selection: Selection) -> bytes:
    described = tree.container(code) if code >= CONTAINER else tree.virtual(code)
    return pack(tuple(each for part in described for each in part if selection.wants(each[0])))


def _related(tree: Tree, code: int, selection: Selection, among: frozenset[int] | None) -> bytes:
    encoded: list[bytes] = []
    members: list[bytes] | None = None
    for kind, name in _related_types(tree, code):
        if not selection.wants(kind):
            continue
        if name == "memberOf":
            encoded.append(tree.member_of(code))
            continue
        kept = tree.member_lists.find(code, LISTED[name]) if among is None and name in LISTED else None
        if kept is not None:
            encoded.append(encode_values(kind.wire, kept) if kept else b"")
            continue
        if name in ("member", "uniqueMember"):
            # Two names for one thing, which may be long.
            values = members = tree.related(code, name, among) if members is None else members
        else:
            values = tree.related(code, name, among)
        if values:
            encoded.append(encode_attribute(kind.wire, values))
    return b"".join(encoded)


def _related_types(tree: Tree, code: int) -> Iterable[tuple[AttributeType, str]]:
    """The attributes that an entry of this kind may have."""
    if code >= CONTAINER:
        return tree.related_of_containers
    if code >= VIRTUAL:
        return tree.related_of_virtual_groups
    return tree.related_of_users if tree.directory.kinds[code] == USER else tree.related_of_groups

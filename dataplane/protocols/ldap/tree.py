"""A directory under a base DN: which entries there are, what they are called, and what they say of one another.

An entry is told by one number: a user or a group by its slot, the virtual group of a user (whose only member is that
user, with the user's own gidNumber) by the user's slot and `VIRTUAL`, the base and its organizational units by
`CONTAINER`. Virtual groups are made when they are asked for. A tree shows one directory for good: where that is
exchanged for another, another tree takes its `Place`, and searches that are under way end as they began.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dataplane.config import LdapProvider
from dataplane.protocols.ldap import dn, virtuals
from dataplane.protocols.ldap.directory import GONE, GROUP, USER, Directory
from dataplane.protocols.ldap.entries import container, operational_container
from dataplane.protocols.ldap.member_lists import LARGE, MemberLists
from dataplane.protocols.ldap.schema import Attributes, AttributeType, Schema
from dataplane.protocols.ldap.selection import Selections
from dataplane.protocols.ldap.wire import encode_attribute

VIRTUAL: Final = 1 << 30
CONTAINER: Final = 1 << 31
SLOT: Final = VIRTUAL - 1
CODES: Final = "I"
"""The type code of an array of entries' numbers."""

BASE: Final = CONTAINER
USERS: Final = CONTAINER + 1
GROUPS: Final = CONTAINER + 2
VIRTUAL_GROUPS: Final = CONTAINER + 3
CONTAINERS: Final = (BASE, USERS, GROUPS, VIRTUAL_GROUPS)

_UNITS: Final = {"users": USERS, "groups": GROUPS, "virtual-groups": VIRTUAL_GROUPS}
_HEX_PAIR: Final = re.compile(rb"\\([0-9a-f]{2})")
_REMEMBERED: Final = 4096

RELATED: Final = ("memberOf", "member", "uniqueMember", "memberUid", "ak-superuser", "entryDN")
"""Attributes whose values are found when they are asked for."""


class Place:
    """Where the tree of a provider is found, whichever directory it shows by now: what outlives it holds this."""

    __slots__ = ("tree",)

    def __init__(self, tree: "Tree") -> None:
        self.tree = tree


@dataclass(frozen=True, slots=True)
class Viewer:
    """Someone who has bound under a tree's base DN."""

    place: Place
    subject: str

    @property
    def dn(self) -> str:
        """The DN of their entry; empty where there is none."""
        tree = self.place.tree
        slot = tree.directory.users.get(self.subject)
        return "" if slot is None else tree.name_of(slot).decode()

    @property
    def username(self) -> str:
        """By which they go now; empty where there is no entry of theirs."""
        directory = self.place.tree.directory
        slot = directory.users.get(self.subject)
        return "" if slot is None else directory.name(slot).decode()


class Tree:
    """The directory as one provider shows it."""

    def __init__(
        self, provider: LdapProvider, directory: Directory, *, whole: bool, before: "Tree | None" = None
    ) -> None:
        """`whole` is whether all of the directory is in it; `before` the tree whose place this one is to take."""
        self.provider = provider
        self.directory = directory
        self.whole = whole
        self.place: Place = Place(self) if before is None else before.place
        self.base_key = dn.normalise(provider.base_dn)
        self._below_base = "," + self.base_key
        self._below_users = ",ou=users" + self._below_base
        self._base = provider.base_dn.encode()
        self._tails = {unit: b",ou=" + name.encode() + b"," + self._base for name, unit in _UNITS.items()}
        self.kinds_related = {directory.schema.get(name): name for name in RELATED}
        self.related_of_users = self._related_types("memberOf", "ak-superuser", "entryDN")
        self.related_of_groups = self._related_types("memberOf", "member", "uniqueMember", "memberUid", "entryDN")
        self.related_of_virtual_groups = self._related_types("member", "uniqueMember", "memberUid", "entryDN")
        self.related_of_containers = self._related_types("entryDN")
        self._cn, self._ou = directory.schema.get("cn"), directory.schema.get("ou")
        self._base_values = tuple(_name_values(provider.base_dn, directory.schema))
        self._containers = {code: _container(self.name_of(code).decode()) for code in CONTAINERS}
        self.container_types = frozenset(
            [each[0] for part in self._containers.values() for described in part for each in described]
            + [kind for kind, _ in self.related_of_containers]
        )
        self.selections = Selections(directory.schema)
        self.member_lists = MemberLists(directory)
        self._member_of: dict[tuple[int, ...], bytes] = {}
        self._member_of_as_of = 0

    def take_place(self) -> None:
        """Be the provider's tree from now on."""
        self.place.tree = self

    # Names.

    def bind_name(self, name: str) -> str | None:
        """The user's name in a bind DN, as the directory spells it where it has it; None where a user has no such DN.

        Names are given as cn, as they stand in the directory, or as uid.
        """
        try:
            key = dn.normalise(name)
            slots = self._named_by(key)
            if len(slots) == 1:
                return self.directory.name(slots[0]).decode()
            asked = dn.parse(name)
        except ValueError:
            return None
        above = asked.parent
        if above is None or f",{above.key}" != self._below_users or len(asked.rdns[0]) != 1:
            return None
        kind, value = asked.rdns[0][0]
        if kind not in ("cn", "uid") or not isinstance(value, str):
            return None
        names = [self.directory.name(slot).decode() for slot in slots]
        return value if value in names or not names else names[0]

    def _named_by(self, key: str) -> list[int]:
        """The users that a bind DN, normalised, may mean."""
        rdn = key[: -len(self._below_users)] if key.endswith(self._below_users) else ""
        kind, _, value = rdn.partition("=")
        if kind not in ("cn", "uid") or "," in value or "+" in value:
            return []
        return self.directory.named(_unescaped(value), USER)

    def name_of(self, code: int) -> bytes:
        """The DN of an entry."""
        directory = self.directory
        if code < VIRTUAL:
            tail = self._tails[USERS if directory.kinds[code] == USER else GROUPS]
            return b"cn=" + directory.names[code] + tail
        if code < CONTAINER:
            return b"cn=" + directory.names[code & SLOT] + self._tails[VIRTUAL_GROUPS]
        return self._base if code == BASE else self._tails[code][1:]

    def parent_of(self, code: int) -> int | None:
        """The entry above; None for the base."""
        if code == BASE:
            return None
        if code >= CONTAINER:
            return BASE
        if code >= VIRTUAL:
            return VIRTUAL_GROUPS
        return USERS if self.directory.kinds[code] == USER else GROUPS

    def exists(self, code: int) -> bool:
        """Whether the entry is still there."""
        return code >= CONTAINER or self.directory.kinds[code & SLOT] != GONE

    def find(self, key: str, spelling: str = "") -> int | None:
        """The entry with this DN, normalised; of several whose names differ by case alone, the one spelled so."""
        codes = self.find_all(key)
        if len(codes) > 1:
            return self.spelled(codes, spelling)
        return codes[0] if codes else None

    def find_all(self, key: str) -> list[int]:
        """The entries with this DN, normalised: names that differ by case alone are told apart by nothing else."""
        if key == self.base_key:
            return [BASE]
        if not key.endswith(self._below_base):
            return []
        rdn, _, unit = key[: -len(self._below_base)].rpartition(",")
        container = _UNITS.get(unit[3:]) if unit.startswith("ou=") else None
        if container is None:
            return []
        return self._find_in(container, rdn) if rdn else [container]

    def _find_in(self, container: int, rdn: str) -> list[int]:
        if not rdn.startswith("cn=") or "," in rdn or "+" in rdn:
            return []
        slots = self.directory.named(_unescaped(rdn[3:]), GROUP if container == GROUPS else USER)
        return [slot | VIRTUAL for slot in slots] if container == VIRTUAL_GROUPS else slots

    def spelled(self, codes: list[int], spelling: str) -> int:
        """Of several entries whose names differ by case alone, the one whose name is spelled like this DN's."""
        try:
            value = dn.parse(spelling).rdns[0][0].value if spelling else ""
        except ValueError:
            value = ""
        exact = [code for code in codes if self.directory.name(code & SLOT).decode() == value]
        return (exact or codes)[0]

    def name_values(self, code: int) -> Iterable[tuple[AttributeType, bytes]]:
        """The attributes and values that the DN of an entry is made of, as far as the schema knows them."""
        if code < CONTAINER:
            yield self._cn, self.directory.name(code & SLOT)
            code = self.parent_of(code) or BASE
        if code != BASE:
            yield self._ou, self._tails[code][len(",ou=") : -len(self._base) - 1]
        yield from self._base_values

    def is_user(self, code: int) -> bool:
        """Whether it is a user."""
        return code < VIRTUAL and self.directory.kinds[code] == USER

    def viewer(self, subject: str) -> Viewer:
        """Whoever has bound as the user with this id."""
        return Viewer(self.place, subject)

    # What entries say of one another.

    def member_of(self, slot: int) -> bytes:
        """The attribute memberOf of a user or a group, encoded; empty where it is in no group."""
        directory = self.directory
        joined = directory.membership.joined(slot)
        if not joined:
            return b""
        if self._member_of_as_of != directory.groups_changed or len(self._member_of) > _REMEMBERED:
            self._member_of_as_of = directory.groups_changed
            self._member_of = {}
        encoded = self._member_of.get(joined)
        if encoded is None:
            names = [self.name_of(group) for group in joined if directory.kinds[group]]
            encoded = self._member_of[joined] = encode_attribute(b"memberOf", names) if names else b""
        return encoded

    def related(self, code: int, name: str, among: frozenset[int] | None = None) -> list[bytes]:
        """The values of an attribute of `RELATED`. Where `among` is given, other members are left out."""
        if name == "entryDN":
            return [self.name_of(code)]
        if code >= CONTAINER:
            return []
        if name == "ak-superuser":
            return self._superuser(code)
        if name == "memberOf":
            return self._groups(code)
        return self._members(code, name, among)

    def has_related(self, name: str, slot: int) -> bool:
        """Whether a user or a group has a value of an attribute of `RELATED`."""
        directory = self.directory
        kind, kinds = directory.kinds[slot], directory.kinds
        match name:
            case "entryDN" | "ak-superuser":
                return kind != GONE
            case "memberOf":
                return kind != GONE and any(kinds[group] for group in directory.membership.joined(slot))
        if kind != GROUP:
            return False
        members = directory.membership.members(slot)
        if name == "memberUid":
            return any(kinds[member] == USER for member in members)
        return any(kinds[member] for member in members)

    def members_of(self, code: int, among: frozenset[int] | None) -> list[int]:
        """The entries that are directly in a group."""
        directory = self.directory
        if code >= VIRTUAL:
            return [code & SLOT]
        if directory.kinds[code] != GROUP:
            return []
        if among is not None:
            joined = directory.membership.joined
            return [slot for slot in sorted(among) if code in joined(slot) and directory.kinds[slot]]
        return [member for member in directory.membership.members(code) if directory.kinds[member]]

    def _members(self, code: int, name: str, among: frozenset[int] | None) -> list[bytes]:
        directory = self.directory
        members = self.members_of(code, among)
        if name == "memberUid":
            return [directory.name(member) for member in members if directory.kinds[member] == USER]
        return [self.name_of(member) for member in members]

    def _groups(self, code: int) -> list[bytes]:
        if code >= VIRTUAL:
            return []
        return [self.name_of(group) for group in self.directory.membership.joined(code) if self.directory.kinds[group]]

    def _superuser(self, code: int) -> list[bytes]:
        """Of users alone: groups have it for themselves."""
        if code >= VIRTUAL:
            return [b"FALSE"]
        if self.directory.kinds[code] != USER:
            return self.directory.values(code, self.directory.schema.get("ak-superuser"))
        return [b"TRUE" if self.directory.is_superuser(code) else b"FALSE"]

    def is_large(self, code: int) -> bool:
        """Whether it is a group with many members."""
        directory = self.directory
        return code < VIRTUAL and directory.kinds[code] == GROUP and len(directory.membership.members(code)) > LARGE

    # What entries have for themselves.

    def values(self, code: int, kind: AttributeType) -> list[bytes]:
        """The values of an attribute, whatever it is of, to someone who sees everything."""
        related = self.kinds_related.get(kind)
        if related is not None:
            return self.related(code, related)
        return self.own_values(code, kind)

    def own_values(self, code: int, kind: AttributeType) -> list[bytes]:
        """The values of an attribute that isn't one of `RELATED`."""
        if code >= CONTAINER:
            return [
                value for part in self._containers[code] for each, values in part if each is kind for value in values
            ]
        if code >= VIRTUAL:
            return virtuals.values(self.directory, code & SLOT, kind)
        found = self.directory.values(code, kind)
        return found or list(self.directory.values_alike(self.directory.kinds[code], kind))

    def container(self, code: int) -> tuple[Attributes, Attributes]:
        """The attributes of the base or a unit, and those that are operational."""
        return self._containers[code]

    def virtual(self, code: int) -> tuple[Attributes, Attributes]:
        """The attributes of a virtual group, and those that are operational, without `RELATED`."""
        return virtuals.describe(self.directory, code & SLOT)

    def _related_types(self, *names: str) -> tuple[tuple[AttributeType, str], ...]:
        return tuple((self.directory.schema.get(name), name) for name in names)


def _container(name: str) -> tuple[Attributes, Attributes]:
    rdn = dn.parse(name).rdns[0]
    return container(rdn), operational_container(dn.normalise(name), rdn)


def _name_values(name: str, schema: Schema) -> Iterable[tuple[AttributeType, bytes]]:
    for rdn in dn.parse(name).rdns:
        for assertion in rdn:
            kind = schema.find(assertion.type)
            if kind is not None and isinstance(assertion.value, str):
                yield kind, assertion.value.encode()


def _unescaped(value: str) -> bytes:
    """A value in a normalised DN as its key."""
    key = value.encode()
    return _HEX_PAIR.sub(_octet, key) if b"\\" in key else key


def _octet(pair: re.Match[bytes]) -> bytes:
    return bytes.fromhex(pair[1].decode())

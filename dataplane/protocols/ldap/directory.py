"""Users and groups as LDAP shows them, whatever base DN they are shown under: entries and indexes, changed in place.

An entry is a slot, a number that is never given to another one: a search that is under way may come upon a slot whose
entry is gone, never upon a stranger. Its attributes are one string of bytes (`blobs`), those of users before those that
are operational. What all entries of a kind have alike is kept once; what names other entries (memberOf, member) is not
kept but found by `membership`. DNs belong to the `tree`.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from dataplane.config import DirectoryEntry, DirectoryGroup, DirectoryUser
from dataplane.protocols.ldap import dn
from dataplane.protocols.ldap.blobs import pack, unpack, values_of
from dataplane.protocols.ldap.entries import Describer, operational
from dataplane.protocols.ldap.indexes import Codes, Names, Pieces, hashed_code, ordered_code, pieces_of
from dataplane.protocols.ldap.membership import Membership
from dataplane.protocols.ldap.prepare import ignore_case
from dataplane.protocols.ldap.schema import Attributes, AttributeType, Key, Schema

GONE: Final = 0
USER: Final = 1
GROUP: Final = 2

PAUSE_EVERY: Final = 200
"""Entries that are taken between two pauses, some twenty milliseconds."""

_USER_PREFIX: Final = "user/"
_GROUP_PREFIX: Final = "group/"

NAME_TYPES: Final = ("cn", "uid", "sAMAccountName")
"""Attributes that share one table: each is the name of a user."""

_TIMES: Final = ("createTimestamp", "modifyTimestamp", "pwdChangedTime")

_ALIKE: Final = frozenset({"objectclass", "structuralobjectclass", "hassubordinates", "subschemasubentry"})
"""Attributes that all entries of a kind have alike."""

_Keys = set[tuple[AttributeType, Key]]


class Directory:
    """The entries of one `Describer`. `kinds` tells of each slot what it is, `names` its RDN's value, escaped."""

    def __init__(self, schema: Schema, describer: Describer) -> None:
        self.schema = schema
        self.describer = describer
        self.kinds = bytearray()
        self.names: list[bytes] = []
        self.membership = Membership()
        self.users: dict[str, int] = {}
        self.groups: dict[str, int] = {}
        self.superuser_groups: set[int] = set()
        self.inactive: set[int] = set()
        self.alike: dict[int, tuple[Attributes, Attributes]] = {USER: ((), ()), GROUP: ((), ())}
        self.by_name = Names()
        self.codes: dict[AttributeType, Codes] = {}
        self.pieces = Pieces()
        self.groups_changed = 0
        self._keys_alike: dict[tuple[int, AttributeType], frozenset[Key | None]] = {}
        self._alike_packed: dict[int, tuple[bytes, bytes]] = {USER: (b"", b""), GROUP: (b"", b"")}
        self._blobs: list[bytes] = []
        self._splits = array("I")
        self._types = {kind.wire: kind for kind in schema.types}
        self._name_type = schema.get(NAME_TYPES[0])
        self._times = {schema.get(name) for name in _TIMES}
        self._name_types = {schema.get(name) for name in NAME_TYPES}

    def count(self, mask: int) -> int:
        """How many slots at most are of these kinds."""
        return (len(self.users) if mask & USER else 0) + (len(self.groups) if mask & GROUP else 0)

    def apply(self, changed: Mapping[str, DirectoryEntry], removed: Iterable[str], pause: Callable[[], None]) -> None:
        """Make changes; between some of them others may run and see part of it."""
        for count, key in enumerate(removed, 1):
            self._remove(key)
            if not count % PAUSE_EVERY:
                pause()
        for count, entry in enumerate(changed.values(), 1):
            self.put(entry)
            if not count % PAUSE_EVERY:
                pause()

    def settle(self, pause: Callable[[], None]) -> None:
        """Put indexes in order that were only collected."""
        for codes in self.codes.values():
            codes.settle()
            pause()

    def put(self, entry: DirectoryEntry) -> None:
        """Take an entry that is new or different."""
        match entry:
            case DirectoryUser():
                self._put_user(entry)
            case DirectoryGroup():
                self._put_group(entry)

    def attributes(self, slot: int) -> bytes:
        """The attributes of an entry, those of users."""
        return self._blobs[slot][: self._splits[slot]]

    def operational(self, slot: int) -> bytes:
        """The operational attributes of an entry."""
        return self._blobs[slot][self._splits[slot] :]

    def values(self, slot: int, kind: AttributeType) -> list[bytes]:
        """The values of an attribute that the entry has for itself."""
        return values_of(self._blobs[slot], kind.wire)

    def values_alike(self, kind_of_entry: int, kind: AttributeType) -> tuple[bytes, ...]:
        """The values of an attribute that all entries of a kind have."""
        for attributes in self.alike[kind_of_entry]:
            for each, values in attributes:
                if each is kind:
                    return values
        return ()

    def keys_alike(self, kind_of_entry: int, kind: AttributeType) -> frozenset[Key | None]:
        """The keys of the values that all entries of a kind have."""
        return self._keys_alike.get((kind_of_entry, kind), frozenset())

    def alike_packed(self, kind_of_entry: int) -> tuple[bytes, bytes]:
        """The attributes that all entries of a kind have, those of users and those operational."""
        return self._alike_packed[kind_of_entry]

    def name(self, slot: int) -> bytes:
        """The value of the RDN, not escaped."""
        escaped = self.names[slot]
        return self.values(slot, self.schema.get("cn"))[0] if b"\\" in escaped else escaped

    def named(self, key: bytes, kind: int) -> list[int]:
        """The entries of a kind whose RDN has this value, as prepared."""
        return [
            slot for slot in self.by_name.find(key) if self.kinds[slot] == kind and ignore_case(self.name(slot)) == key
        ]

    def is_superuser(self, slot: int) -> bool:
        """Whether a user is in a group that makes one."""
        return not self.superuser_groups.isdisjoint(self.membership.above(slot))

    @staticmethod
    def is_alike(kind: AttributeType) -> bool:
        """Whether all entries of a kind have the attribute alike."""
        return kind.key in _ALIKE

    def is_name(self, kind: AttributeType) -> bool:
        """Whether the attribute is found in `by_name`."""
        return kind in self._name_types

    def _put_user(self, user: DirectoryUser) -> None:
        slot = self.users.get(user.id)
        if slot is None:
            slot = self.users[user.id] = self._new_slot()
        described = self.describer.user(user), operational(user)
        self._store(slot, USER, user.username, described)
        if user.active:
            self.inactive.discard(slot)
        else:
            self.inactive.add(slot)
        self.membership.join(slot, [self._group_slot(group) for group in user.groups], is_group=False)

    def _put_group(self, group: DirectoryGroup) -> None:
        slot = self._group_slot(group.id)
        described = self.describer.group(group), operational(group)
        self._store(slot, GROUP, group.name, described)
        self.membership.join(slot, [self._group_slot(parent) for parent in group.parents], is_group=True)
        if group.superuser:
            self.superuser_groups.add(slot)
        else:
            self.superuser_groups.discard(slot)
        self.groups_changed += 1

    def _group_slot(self, group: str) -> int:
        """That of a group that may not be there yet."""
        slot = self.groups.get(group)
        if slot is None:
            slot = self.groups[group] = self._new_slot()
        return slot

    def _new_slot(self) -> int:
        self.kinds.append(GONE)
        self.names.append(b"")
        self._blobs.append(b"")
        self._splits.append(0)
        self.membership.add()
        return len(self.kinds) - 1

    def _remove(self, key: str) -> None:
        if key.startswith(_USER_PREFIX):
            slot = self.users.pop(key.removeprefix(_USER_PREFIX), None)
        else:
            # The slot stays the group's: there may be members that are told later that it is gone.
            slot = self.groups.get(key.removeprefix(_GROUP_PREFIX))
        if slot is None:
            return
        self._index(slot, self._keys_of_packed(self._blobs[slot]), set())
        self.membership.join(slot, (), is_group=self.kinds[slot] == GROUP)
        if self.kinds[slot] == GROUP:
            self.superuser_groups.discard(slot)
            self.groups_changed += 1
        self.inactive.discard(slot)
        self.kinds[slot] = GONE
        self.names[slot] = self._blobs[slot] = b""
        self._splits[slot] = 0

    def _store(self, slot: int, kind: int, name: str, described: tuple[Attributes, Attributes]) -> None:
        shown, hidden = (self._own(kind, place, attributes) for place, attributes in enumerate(described))
        before = self._keys_of_packed(self._blobs[slot])
        packed = pack(shown)
        self._blobs[slot] = packed + pack(hidden)
        self._splits[slot] = len(packed)
        escaped = dn.escape(name).encode()
        if escaped != self.names[slot] or kind != self.kinds[slot]:
            self.membership.rename(slot)
        self.names[slot] = escaped
        self.kinds[slot] = kind
        self._index(slot, before, self._keys((*shown, *hidden)))

    def _own(self, kind: int, place: int, attributes: Attributes) -> Attributes:
        """What the entry doesn't share with all of its kind, which is noted when the first one comes."""
        shared = self.alike[kind]
        if not shared[place]:
            alike = tuple(each for each in attributes if each[0].key in _ALIKE)
            self.alike[kind] = (alike, shared[1]) if place == 0 else (shared[0], alike)
            for each, values in alike:
                normalise = each.equality.normalise if each.equality else lambda _: None
                self._keys_alike[kind, each] = frozenset(normalise(value) for value in values)
            self._alike_packed[kind] = pack(self.alike[kind][0]), pack(self.alike[kind][1])
        return tuple(each for each in attributes if each[0].key not in _ALIKE)

    def _keys_of_packed(self, blob: bytes) -> _Keys:
        return self._keys([(self._types[name], values) for name, values in unpack(blob)]) if blob else set()

    def _keys(self, attributes: Iterable[tuple[AttributeType, Sequence[bytes]]]) -> _Keys:
        """What an entry is found by. An attribute that has no keys is found by being there."""
        keys: _Keys = set()
        for kind, values in attributes:
            rule = kind.equality or kind.substrings
            found_as = self._name_type if kind in self._name_types else kind
            for value in values:
                # Our own times are written as their keys are, and a Z behind.
                key = value[:-1] if kind in self._times else rule.normalise(value) if rule else None
                keys.add((found_as, b"" if key is None else key))
        return keys

    def _index(self, slot: int, before: _Keys, after: _Keys) -> None:
        for kind, key in before - after:
            self._index_of(kind).remove(key, slot)
        name = self.names[slot]
        for kind, key in after - before if before else after:
            # A name that is its own key needn't be held twice.
            self._index_of(kind).add(name if key == name else key, slot)
        pieces = _pieces(after)
        if before:
            old = _pieces(before)
            self.pieces.remove(old - pieces, slot)
            pieces -= old
        self.pieces.add(pieces, slot)

    def _index_of(self, kind: AttributeType) -> Names | Codes:
        if kind is self._name_type:
            return self.by_name
        codes = self.codes.get(kind)
        if codes is None:
            codes = self.codes[kind] = Codes(ordered_code if kind.ordering else hashed_code)
        return codes


def _pieces(keys: _Keys) -> set[bytes]:
    texts = {
        kind.substrings.spread(key)
        for kind, key in keys
        if kind.substrings and kind.substrings.spread and isinstance(key, bytes)
    }
    return set[bytes]().union(*[pieces_of(text) for text in texts])

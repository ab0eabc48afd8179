"""Virtual groups: each user's own group, made from the user's entry when it is asked for.

Nothing of them is kept. They are found by the indexes of users: by what they share with the user, and by an entryUUID
that is the user's turned into another and back by the same turn.
"""

from functools import cache, lru_cache
from typing import Final
from uuid import UUID

from dataplane.protocols.ldap.directory import Directory
from dataplane.protocols.ldap.entries import operational_virtual_group, virtual_group
from dataplane.protocols.ldap.schema import Attributes, AttributeType, Key, Schema

SHARED: Final = frozenset({"gidnumber", "createtimestamp", "modifytimestamp"})
"""Attributes whose values are those of the user, by their folded names."""

NAMED: Final = frozenset({"cn", "samaccountname"})
"""Attributes whose value is the user's name."""

RELATED: Final = frozenset({"entrydn", "member", "uniquemember", "memberuid"})
"""Attributes that name the user, or their own name; the tree's."""

_UUID: Final = "entryuuid"

_ANY: Final = (virtual_group("", 0), operational_virtual_group(UUID(int=0), (), ()))
ALIKE: Final = {
    kind.key: values
    for part in _ANY
    for kind, values in part
    if kind.key not in SHARED and kind.key not in NAMED and kind.key != _UUID
}
"""Attributes that all of them have alike, with their values."""

HELD: Final = frozenset((*SHARED, *NAMED, *RELATED, *ALIKE, _UUID))
"""All that they have."""

# The bits of version and variant (RFC 9562 section 4) are left as they are.
_TURN: Final = UUID("5d1f9a60-3c84-0e27-0b69-c2f05ae81d73").int


def turned(uuid: bytes) -> bytes:
    """The entryUUID of a user as that of the virtual group, and the other way round; sixteen octets."""
    return (int.from_bytes(uuid, "big") ^ _TURN).to_bytes(16, "big")


def values(directory: Directory, slot: int, kind: AttributeType) -> list[bytes]:
    """The values of an attribute of a user's virtual group, but for `RELATED`."""
    key = kind.key
    if key in NAMED:
        return [directory.name(slot)]
    if key in SHARED:
        return directory.values(slot, kind)
    if key == _UUID:
        return [str(UUID(bytes=turned(UUID(uuid.decode()).bytes))).encode() for uuid in directory.values(slot, kind)]
    return list(ALIKE.get(key, ()))


@cache
def keys_alike(kind: AttributeType) -> frozenset[Key | None]:
    """The keys of the values that all of them have alike."""
    normalise = kind.equality.normalise if kind.equality else lambda _: None
    return frozenset(normalise(value) for value in ALIKE.get(kind.key, ()))


def describe(directory: Directory, slot: int) -> tuple[Attributes, Attributes]:
    """The attributes of a user's virtual group, and those that are operational, but for `RELATED`."""
    shown, hidden = _types(directory.schema)
    return _described(directory, slot, shown), _described(directory, slot, hidden)


def _described(directory: Directory, slot: int, kinds: tuple[AttributeType, ...]) -> Attributes:
    found = [(kind, tuple(values(directory, slot, kind))) for kind in kinds]
    return tuple([(kind, held) for kind, held in found if held])


@lru_cache(maxsize=64)
def _types(schema: Schema) -> tuple[tuple[AttributeType, ...], tuple[AttributeType, ...]]:
    kinds = [kind for kind in schema.held if kind.key in HELD and kind.key not in RELATED]
    return tuple(kind for kind in kinds if not kind.operational), tuple(kind for kind in kinds if kind.operational)

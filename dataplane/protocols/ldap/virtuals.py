"""Virtual groups: each user's own group, made from the user's entry when it is asked for.

Nothing of them is kept. They are found by the indexes of users: by what they share with the user, and by an entryUUID
that is the user's turned into another and back by the same turn.
"""

from typing import Final
from uuid import UUID

from dataplane.protocols.ldap.directory import Directory
from dataplane.protocols.ldap.entries import operational_virtual_group, virtual_group
from dataplane.protocols.ldap.schema import Attributes

SHARED: Final = frozenset({"gidnumber", "createtimestamp", "modifytimestamp"})
"""Attributes whose values are those of the user, by their folded names."""

ALIKE: Final = frozenset(
    {"objectclass", "structuralobjectclass", "hassubordinates", "subschemasubentry", "ak-superuser"}
)
"""Attributes that all of them have alike."""

NAMED: Final = frozenset({"cn", "samaccountname"})
"""Attributes whose value is the user's name."""

HELD: Final = SHARED | ALIKE | NAMED | {"entryuuid", "entrydn", "member", "uniquemember", "memberuid"}
"""All that they have."""

# The bits of version and variant (RFC 9562 section 4) are left as they are.
_TURN: Final = UUID("5d1f9a60-3c84-0e27-0b69-c2f05ae81d73").int


def turned(uuid: bytes) -> bytes:
    """The entryUUID of a user as that of the virtual group, and the other way round; sixteen octets."""
    return (int.from_bytes(uuid, "big") ^ _TURN).to_bytes(16, "big")


def describe(directory: Directory, slot: int) -> tuple[Attributes, Attributes]:
    """The attributes of a user's virtual group, and those that are operational."""
    schema = directory.schema
    number = directory.values(slot, schema.get("gidNumber"))[0]
    uuid = UUID(directory.values(slot, schema.get("entryUUID"))[0].decode())
    created, modified = (
        tuple(directory.values(slot, schema.get(name))) for name in ("createTimestamp", "modifyTimestamp")
    )
    operational = operational_virtual_group(UUID(bytes=turned(uuid.bytes)), created, modified)
    return virtual_group(directory.name(slot).decode(), int(number)), operational

"""Members of large groups as searches send them: encoded once, for clients read the same groups again and again.

A list is good until somebody joins or leaves the group or is called otherwise. All lists of a tree are bounded in
bytes; the one that was asked for longest ago makes room.
"""

from collections.abc import Callable, Generator
from typing import Final

from dataplane.protocols.ldap.ber import OCTET_STRING, element
from dataplane.protocols.ldap.directory import GROUP, USER, Directory
from dataplane.protocols.ldap.pace import NOT_YET, Pace

LARGE: Final = 1000
"""Members from which on a group is large."""

MAX_BYTES: Final = 8 * 1024 * 1024
_AT_ONCE: Final = 64


class MemberLists:
    """Those of one tree."""

    __slots__ = ("_directory", "_kept", "_size")

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._kept: dict[tuple[int, str], tuple[int, bytes]] = {}
        self._size = 0

    def find(self, group: int, name: str) -> bytes | None:
        """The values of `member` or `memberUid`, encoded one behind the other, where they are known as they are now."""
        found = self._kept.get((group, name))
        if found is None or found[0] != self._directory.membership.version(group):
            return None
        self._kept[group, name] = self._kept.pop((group, name))
        return found[1]

    def fill(self, group: int, name: str, dn_of: Callable[[int], bytes], pace: Pace) -> Generator[int, None, None]:
        """Encode them; a `NOT_YET` for each pause. `dn_of` tells DNs, which are the values of `member`."""
        value_of = self._directory.name if name == "memberUid" else dn_of
        listed = USER if name == "memberUid" else USER | GROUP
        membership, parts = self._directory.membership, []
        version, members = membership.version(group), membership.members(group)[:]
        for start in range(0, len(members), _AT_ONCE):
            some = [member for member in members[start : start + _AT_ONCE] if self._directory.kinds[member] & listed]
            parts.append(b"".join([element(OCTET_STRING, value_of(member)) for member in some]))
            if pace.is_due(_AT_ONCE):
                yield NOT_YET
        self._keep(group, name, (version, b"".join(parts)))

    def _keep(self, group: int, name: str, made: tuple[int, bytes]) -> None:
        self._forget(group, name)
        if len(made[1]) > MAX_BYTES:
            return
        self._kept[group, name] = made
        self._size += len(made[1])
        while self._size > MAX_BYTES:
            self._forget(*next(iter(self._kept)))

    def _forget(self, group: int, name: str) -> None:
        before = self._kept.pop((group, name), None)
        if before is not None:
            self._size -= len(before[1])

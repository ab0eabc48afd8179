"""Who is in which groups, in both directions, by slots.

Users and groups alike are directly in groups; groups hold users and groups. What an entry is in is one tuple that all
entries in the same groups share, so a group costs its members nothing. A group may be spoken of before it is there:
it has its slot from then on, and who asks for its name finds none. Loops end where they began.
"""

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from dataplane.protocols.ldap.postings import SLOTS, with_slot, without_slot

_NOBODY: Final = array(SLOTS)
_REMEMBERED: Final = 65_536


class Membership:
    """The relation."""

    __slots__ = ("_above", "_joined", "_members", "_shared", "_versions")

    def __init__(self) -> None:
        self._joined: list[tuple[int, ...]] = []
        self._members: dict[int, array[int]] = {}
        self._shared: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._versions: dict[int, int] = {}
        self._above: dict[tuple[int, ...], frozenset[int]] = {}

    def add(self) -> None:
        """Make room for one more slot."""
        self._joined.append(())

    def joined(self, slot: int) -> tuple[int, ...]:
        """The groups that the entry is directly in, sorted."""
        return self._joined[slot]

    def members(self, group: int) -> Sequence[int]:
        """The users and groups directly in a group, sorted; not a copy."""
        return self._members.get(group, _NOBODY)

    def version(self, group: int) -> int:
        """A number that is another when the group has other members, or one of them is called otherwise."""
        return self._versions.get(group, 0)

    def rename(self, slot: int) -> None:
        """Say that the entry is called otherwise."""
        for group in self._joined[slot]:
            self._touch(group)

    def join(self, slot: int, groups: Iterable[int], *, is_group: bool) -> None:
        """Say which groups the entry is directly in."""
        after = tuple(sorted(set(groups)))
        before = self._joined[slot]
        if after == before:
            return
        for group in set(before).difference(after):
            without_slot(self._members[group], slot)
            self._touch(group)
        for group in set(after).difference(before):
            with_slot(self._members.setdefault(group, array(SLOTS)), slot)
            self._touch(group)
        if is_group:
            self._above.clear()
        if len(self._shared) > _REMEMBERED:
            self._shared.clear()
        self._joined[slot] = self._shared.setdefault(after, after)

    def above(self, slot: int) -> frozenset[int]:
        """Every group that the entry is in, directly or by other groups."""
        direct = self._joined[slot]
        found = self._above.get(direct)
        if found is None:
            found = self._climb(direct)
            if len(self._above) < _REMEMBERED:
                self._above[direct] = found
        return found

    def below(self, groups: Iterable[int], limit: int = sys.maxsize) -> set[int]:
        """Every user and group in these groups, directly or by other groups; not all where these pass the limit."""
        found: set[int] = set()
        waiting = list(groups)
        while waiting and len(found) <= limit:
            members = self._members.get(waiting.pop(), _NOBODY)
            if len(members) > limit:
                found.update(members)
                break
            for member in members:
                if member not in found:
                    found.add(member)
                    if member in self._members:
                        waiting.append(member)
        return found

    def _touch(self, group: int) -> None:
        self._versions[group] = self._versions.get(group, 0) + 1

    def _climb(self, direct: tuple[int, ...]) -> frozenset[int]:
        found = set(direct)
        waiting = list(direct)
        while waiting:
            for group in self._joined[waiting.pop()]:
                if group not in found:
                    found.add(group)
                    waiting.append(group)
        return frozenset(found)

"""Postings that need no list of their own: what the directory holds anyway says who is in them."""

from collections.abc import Iterable

from dataplane.protocols.ldap.directory import GROUP, Directory
from dataplane.protocols.ldap.membership import Membership
from dataplane.protocols.ldap.postings import Posting


class Members(Posting):
    """The direct members of a group."""

    __slots__ = ("_group", "_membership")

    def __init__(self, membership: Membership, group: int) -> None:
        super().__init__(len(membership.members(group)), exact=True)
        self._membership = membership
        self._group = group

    def candidates(self) -> Iterable[int]:
        """A copy."""
        return self._membership.members(self._group)[:]

    def holds(self, slot: int) -> bool:
        """What the member says itself, which is less than what the group does."""
        return self._group in self._membership.joined(slot)


class OfKinds(Posting):
    """All entries of some kinds."""

    __slots__ = ("_directory", "_mask")

    def __init__(self, directory: Directory, mask: int) -> None:
        super().__init__(directory.count(mask), exact=False)
        self._directory = directory
        self._mask = mask

    def candidates(self) -> Iterable[int]:
        """Groups are few; users are nearly all there is."""
        if self._mask == GROUP:
            return sorted(self._directory.groups.values())
        return range(len(self._directory.kinds))

    def holds(self, slot: int) -> bool:
        """Whether it is of one of the kinds."""
        return bool(self._directory.kinds[slot] & self._mask)

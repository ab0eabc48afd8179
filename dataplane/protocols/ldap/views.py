"""Who asks, and what they may see of a tree.

Members of the provider's search group, by other groups too, see all of it. Others see the containers, themselves, their
virtual group and the groups that they are in, of whose members none but themselves and such groups. Someone who isn't
in the directory any more, or isn't active, is as good as anonymous. Rights are looked up at each operation.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dataplane.protocols.ldap.directory import GONE
from dataplane.protocols.ldap.tree import CONTAINER, CONTAINERS, SLOT, VIRTUAL, Tree, Viewer


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Nobody in particular."""


ANONYMOUS = Anonymous()


@dataclass(frozen=True, slots=True)
class View:
    """What may be seen of a tree: all of it where `among` is None, else these users and groups, `self_` one of them."""

    tree: Tree
    self_: int
    among: frozenset[int] | None

    def sees(self, code: int) -> bool:
        """Whether an entry may be seen."""
        if self.among is None or code >= CONTAINER:
            return True
        return code & SLOT == self.self_ if code >= VIRTUAL else code in self.among

    def codes(self) -> Iterator[int]:
        """The entries to be seen, where these are not all."""
        yield from CONTAINERS
        yield from sorted(self.among or ())
        yield self.self_ | VIRTUAL


def find_view(viewer: Viewer, tree: Tree) -> View | None:
    """What a viewer may see of the tree that they bound under, as it is now; None where that is nothing."""
    directory = tree.directory
    slot = directory.users.get(viewer.subject)
    if slot is None or slot in directory.inactive:
        return None
    above = directory.membership.above(slot)
    search_group = directory.groups.get(tree.provider.search_group)
    if search_group is not None and search_group in above and directory.kinds[search_group] != GONE:
        return View(tree, slot, None)
    return View(tree, slot, frozenset((slot, *(group for group in above if directory.kinds[group] != GONE))))

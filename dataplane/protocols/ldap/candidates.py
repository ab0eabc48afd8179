"""Entries as `filters_match` asks them: one by one, attribute by attribute.

`among` holds the slots of those whom the asker may see in groups; None for someone who sees all. What is hidden from
the asker is hidden from the filter in the same way, since both read the values here.
"""

from collections.abc import Iterable, Sequence

from dataplane.protocols.ldap.directory import Directory
from dataplane.protocols.ldap.schema import Attributes, AttributeType
from dataplane.protocols.ldap.tree import VIRTUAL, Tree


class Held:
    """An entry of a tree."""

    __slots__ = ("_among", "_code", "_tree")

    def __init__(self, tree: Tree, code: int, among: frozenset[int] | None = None) -> None:
        self._tree = tree
        self._code = code
        self._among = among

    def values(self, kind: AttributeType) -> Sequence[bytes]:
        """The values of an attribute."""
        related = self._tree.kinds_related.get(kind)
        if related is not None:
            return self._tree.related(self._code, related, self._among)
        return self._tree.own_values(self._code, kind)

    def name_values(self) -> Iterable[tuple[AttributeType, bytes]]:
        """The attributes and values of the DN."""
        return self._tree.name_values(self._code)

    def reaches(self, kind: AttributeType, key: bytes) -> bool:
        """Whether the entry with this DN is reached by following an attribute from entry to entry."""
        name = self._tree.kinds_related.get(kind)
        for target in self._tree.find_all(key.decode()):
            if target < VIRTUAL and (self._among is None or target in self._among) and self._leads_to(name, target):
                return True
        return False

    def _leads_to(self, name: str | None, target: int) -> bool:
        membership = self._tree.directory.membership
        if name == "memberOf" and self._code < VIRTUAL:
            return target in membership.above(self._code)
        if name not in ("member", "uniqueMember"):
            return False
        if self._code < VIRTUAL:
            return self._code in membership.above(target)
        return self._code == target | VIRTUAL and self._tree.is_user(target)


class Alike:
    """What all entries of a kind have alike."""

    __slots__ = ("_directory", "_kind")

    def __init__(self, directory: Directory, kind: int) -> None:
        self._directory = directory
        self._kind = kind

    def values(self, kind: AttributeType) -> Sequence[bytes]:
        """The values of an attribute."""
        return self._directory.values_alike(self._kind, kind)

    def name_values(self) -> Iterable[tuple[AttributeType, bytes]]:
        """A kind has no name."""
        return ()

    def reaches(self, kind: AttributeType, key: bytes) -> bool:  # noqa: ARG002  the same for all
        """A kind leads nowhere."""
        return False


class Described:
    """An entry that is nothing but its attributes: the root DSE, the subschema."""

    __slots__ = ("_attributes",)

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = dict(attributes)

    def values(self, kind: AttributeType) -> Sequence[bytes]:
        """The values of an attribute."""
        return self._attributes.get(kind, ())

    def name_values(self) -> Iterable[tuple[AttributeType, bytes]]:
        """Nothing in their names is asked for."""
        return ()

    def reaches(self, kind: AttributeType, key: bytes) -> bool:  # noqa: ARG002  the same for all
        """They lead nowhere."""
        return False

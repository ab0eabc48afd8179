"""Filters of many parts, asked of one entry: what is asked of the same values is decided by one look at them."""

from dataplane.protocols.ldap.filters import Equal, Every, Inverse, Node, Some
from dataplane.protocols.ldap.filters_match import Candidate
from dataplane.protocols.ldap.schema import AttributeType, Key, Rule


class Settling:
    """Decides those parts of a filter that ask whether a value is equal: one look at the keys of the values."""

    def __init__(self, entry: Candidate) -> None:
        self._entry = entry
        self._keys: dict[tuple[AttributeType, Rule], frozenset[Key | None]] = {}

    def settled(self, node: Node) -> Node:
        """The filter with those parts decided: true is every one of none, false is some of none."""
        match node:
            case Every(nodes=nodes):
                return Every(tuple(map(self.settled, nodes)))
            case Some(nodes=nodes):
                return Some(tuple(map(self.settled, nodes)))
            case Inverse(node=inner):
                return Inverse(self.settled(inner))
            case Equal(type=kind, rule=rule, key=key):
                return Every(()) if key in self._of(kind, rule) else Some(())
            case _:
                return node

    def _of(self, kind: AttributeType, rule: Rule) -> frozenset[Key | None]:
        keys = self._keys.get((kind, rule))
        if keys is None:
            keys = self._keys[kind, rule] = frozenset(map(rule.normalise, self._entry.values(kind)))
        return keys

"""Whether one entry matches a resolved filter: the plain way, value by value, in three-valued logic.

For the few entries that stand in no index (root DSE, subschema, what a viewer without rights sees), and what the
indexes are tested against (RFC 4511 section 4.5.1.7).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, assert_never

from dataplane.protocols.ldap.filters import (
    AllBits,
    AnyBit,
    AtLeast,
    AtMost,
    Below,
    Equal,
    Every,
    Has,
    Holds,
    InChain,
    InName,
    Inverse,
    Node,
    Some,
    Undefined,
    is_held,
)
from dataplane.protocols.ldap.schema import AttributeType, Key
from dataplane.protocols.ldap.syntaxes import integer_key


class Candidate(Protocol):
    """An entry that a filter is asked of."""

    def values(self, kind: AttributeType, /) -> Sequence[bytes]:
        """Return the values of an attribute; none where it has none, or none that the asker may see."""

    def name_values(self) -> Iterable[tuple[AttributeType, bytes]]:
        """Return the types and values that its DN is made of."""

    def reaches(self, kind: AttributeType, key: bytes, /) -> bool:
        """Whether following the attribute from entry to entry leads to the DN of the key."""


_Leaf = Equal | AtLeast | AtMost | Below | Holds | AllBits | AnyBit


def matches(entry: Candidate, node: Node) -> bool | None:  # noqa: PLR0911 one arm for each node
    """Whether the filter is true of the entry; None where it is undefined."""
    match node:
        case Every():
            return _every(entry, node.nodes)
        case Some():
            return _some(entry, node.nodes)
        case Inverse():
            found = matches(entry, node.node)
            return None if found is None else not found
        case Has():
            return len(entry.values(node.type)) > 0
        case InChain():
            return entry.reaches(node.type, node.key)
        case InName():
            return _in_name(entry, node.test)
        case Undefined():
            return None
        case Equal() | AtLeast() | AtMost() | Below() | Holds() | AllBits() | AnyBit():
            return _any(node, entry.values(node.type))
        case _:
            assert_never(node)


def _every(entry: Candidate, nodes: Iterable[Node]) -> bool | None:
    result: bool | None = True
    for each in nodes:
        found = matches(entry, each)
        if found is False:
            return False
        if found is None:
            result = None
    return result


def _some(entry: Candidate, nodes: Iterable[Node]) -> bool | None:
    result: bool | None = False
    for each in nodes:
        found = matches(entry, each)
        if found:
            return True
        if found is None:
            result = None
    return result


def _in_name(entry: Candidate, test: _Leaf) -> bool:
    return _any(test, [value for kind, value in entry.name_values() if kind is test.type])


def _any(leaf: _Leaf, values: Sequence[bytes]) -> bool:
    """Whether one of the values does; one that is not of the rule's syntax doesn't."""
    if not values:
        return False
    test = test_of(leaf)
    return any(test(value) for value in values)


def test_of(leaf: _Leaf) -> Callable[[bytes], bool]:
    """Return what a value is asked by a leaf of a filter."""
    match leaf:
        case Equal():
            normalise, wanted = leaf.rule.normalise, leaf.key
            return lambda value: normalise(value) == wanted
        case AtLeast() | AtMost() | Below():
            return _order_test(leaf)
        case Holds():
            return _substring_test(leaf)
        case AllBits():
            return _bit_test(leaf, lambda number, mask: number & mask == mask)
        case AnyBit():
            return _bit_test(leaf, lambda number, mask: number & mask != 0)
        case _:
            assert_never(leaf)


def _order_test(leaf: AtLeast | AtMost | Below) -> Callable[[bytes], bool]:
    normalise, wanted = leaf.rule.normalise, leaf.key
    match leaf:
        case AtLeast():
            return lambda value: (key := normalise(value)) is not None and not _is_below(key, wanted)
        case AtMost():
            return lambda value: (key := normalise(value)) is not None and not _is_below(wanted, key)
        case Below():
            return lambda value: (key := normalise(value)) is not None and _is_below(key, wanted)
        case _:
            assert_never(leaf)


def _is_below(left: Key, right: Key) -> bool:
    """Whether one key of a rule comes before another of the same rule."""
    if isinstance(left, int):
        return isinstance(right, int) and left < right
    return isinstance(right, bytes) and left < right


def _substring_test(leaf: Holds) -> Callable[[bytes], bool]:
    normalise, spread = leaf.rule.normalise, leaf.rule.spread

    def test(value: bytes) -> bool:
        key = normalise(value)
        return isinstance(key, bytes) and spread is not None and is_held(spread(key), leaf)

    return test


def _bit_test(leaf: AllBits | AnyBit, holds: Callable[[int, int], bool]) -> Callable[[bytes], bool]:
    def test(value: bytes) -> bool:
        number = integer_key(value)
        return number is not None and holds(number, leaf.mask)

    return test

"""How a filter is planned, whichever entries it is asked of: leaf by leaf, then put together.

True and false are told apart by pushing negation down to the leaves (De Morgan): what is undefined is in neither set,
and everything else is false of an entry exactly where it isn't true. The same leaf is planned once, however often it
is there, and planning keeps the pace of the search.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Final

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
)
from dataplane.protocols.ldap.indexes import Codes
from dataplane.protocols.ldap.pace import NOT_YET, Pace
from dataplane.protocols.ldap.postings import NOTHING, Everything, Known, Posting, Tested, Without, both, either
from dataplane.protocols.ldap.schema import Key
from dataplane.protocols.ldap.tree import Tree

_FEW: Final = 8
"""Candidates that are tested at once."""

MAX_TESTS: Final = 100_000_000
"""Tests, of a microsecond or so, that one search may ask for at most: some minutes, which no time limit allows."""

MAX_PIECES: Final = 100
"""Pieces between the first and the last that one assertion may ask for."""

_TELLING: Final = 8
"""Pieces that are looked up: the longest tell most."""

_TOLD_BY: Final = 64
"""Octets of a piece that are looked up."""

_COSTLY: Final = 5
"""The weight of a test by way of an entry's description."""

_PLANNED: Final = 16
"""The cost of planning a leaf."""

Leaf = Has | Equal | AtLeast | AtMost | Below | Holds | AllBits | AnyBit | InChain


class TooMuch(Exception):
    """The filter asks for more work than any search may cost."""


class Plan:
    """What both have in common."""

    __slots__ = ("_directory", "_leaves", "_population", "_tests", "_tree")

    def __init__(self, tree: Tree) -> None:
        # The same question asked twice in a filter is planned once.
        self._leaves: dict[tuple[Node, bool], Posting] = {}
        self._tree = tree
        self._directory = tree.directory
        self._population = len(tree.directory.kinds)
        self._tests = 0

    def made(self, node: Node, pace: Pace) -> Generator[int, None, Posting]:
        """The entries of which the filter is true, found with pauses. Raises TooMuch."""
        for leaf in _leaves_of(node):
            if (leaf, False) not in self._leaves:
                self._leaves[leaf, False] = yield from self._planned(leaf, pace)
            if pace.is_due(_PLANNED):
                yield NOT_YET
        return self.of(node, negated=False)

    def made_for(self, slot: int, node: Node, pace: Pace) -> Generator[int, None, Posting]:
        """The same, right for this slot alone: each leaf is everything or nothing. Raises TooMuch."""
        for leaf in _leaves_of(node):
            if (leaf, False) not in self._leaves:
                found = yield from self._planned(leaf, pace)
                self._leaves[leaf, False] = self._everything() if found.holds(slot) else NOTHING
            if pace.is_due(_PLANNED):
                yield NOT_YET
        return self.of(node, negated=False)

    def of(self, node: Node, *, negated: bool) -> Posting:
        """The entries of which the node is true, or where negated, of which it is false."""
        match node:
            case Undefined():
                return NOTHING
            case Inverse(node=inner):
                return self.of(inner, negated=not negated)
            case Every(nodes=nodes):
                return self._some(nodes, negated=True) if negated else self._every(nodes, negated=False)
            case Some(nodes=nodes):
                return self._every(nodes, negated=True) if negated else self._some(nodes, negated=False)
        found = self._leaves.get((node, negated))
        if found is None:
            found = Without(self.of(node, negated=False), self._population) if negated else self._found(node)
            self._leaves[node, negated] = found
        return found

    def _planned(self, leaf: Leaf | InName, pace: Pace) -> Generator[int, None, Posting]:
        if isinstance(leaf, InName) or not self._is_walked(leaf):
            return self._found(leaf)
        self.count_tests(self._population * _COSTLY)
        return (yield from self._walked(leaf, pace))

    def _found(self, leaf: Leaf | InName) -> Posting:
        asked = leaf.test if isinstance(leaf, InName) else leaf
        if isinstance(asked, Holds) and len(asked.any) > MAX_PIECES:
            raise TooMuch
        return self._tested(leaf) if isinstance(leaf, InName) else self._leaf(leaf)

    def count_tests(self, tests: int) -> None:
        """Say that so many more are asked for. Raises TooMuch."""
        self._tests += tests
        if self._tests > MAX_TESTS:
            raise TooMuch

    def _every(self, nodes: Sequence[Node], *, negated: bool) -> Posting:
        parts = []
        for node in nodes:
            part = self.of(node, negated=negated)
            if not part.size:
                return NOTHING
            parts.append(part)
        return both(parts) if parts else self._everything()

    def _some(self, nodes: Sequence[Node], *, negated: bool) -> Posting:
        return either([self.of(node, negated=negated) for node in nodes], self._population)

    def _everything(self) -> Posting:
        return Everything(self._population)

    def _leaf(self, node: Leaf) -> Posting:
        raise NotImplementedError  # each plan has its own

    def _is_walked(self, leaf: Leaf) -> bool:  # noqa: ARG002  no leaf, unless a plan says so
        """Whether everybody must be looked at to find who is meant."""
        return False

    def _walked(self, leaf: Leaf, pace: Pace) -> Generator[int, None, Posting]:
        raise NotImplementedError  # each plan has its own

    def _test(self, node: Leaf | InName) -> Callable[[int], bool]:
        raise NotImplementedError  # each plan has its own

    def _tested(self, node: Leaf | InName) -> Posting:
        """One by one."""
        return Tested(self._population, self._all, self._test(node), _COSTLY)

    def _all(self) -> Sequence[int]:
        return range(self._population)

    def _of_names(self, node: Equal, key: Key) -> Posting:
        """By the table of names."""
        slots = self._directory.by_name.find(key)
        test = self._test(node)
        return known([slot for slot in slots if test(slot)])

    def _of_pieces(self, node: Holds, absent: Posting) -> Posting:
        """By the rarest piece of what is looked for."""
        texts = _telling(node)
        count = self._directory.pieces.count(texts)
        if count is None:
            return absent
        find = partial(self._directory.pieces.find, texts)
        return Tested(count, find, self._test(node)) if count else NOTHING

    def _of_codes(self, node: Leaf, codes: Codes) -> Posting:
        """By the index of numbers."""
        span = _span(node, codes)
        size = codes.count(*span)
        if 0 < size <= _FEW:
            test = self._test(node)
            return known([slot for slot in dict.fromkeys(codes.find(*span)) if test(slot)])
        return Tested(size, partial(codes.find, *span), self._test(node)) if size else NOTHING


def _span(node: Leaf, codes: Codes) -> tuple[int, int]:
    """The codes among which all are of which the leaf is true."""
    kind = node.type
    match node:
        case Equal() if kind.equality and node.rule.normalise is kind.equality.normalise:
            return codes.equal(node.key)
        case AtLeast() if kind.ordering and node.rule.normalise is kind.ordering.normalise:
            return codes.at_least(node.key)
        case AtMost() | Below() if kind.ordering and node.rule.normalise is kind.ordering.normalise:
            return codes.at_most(node.key)
    return codes.all()


def known(slots: Sequence[int]) -> Posting:
    """These slots, few or sorted."""
    return Known(slots) if slots else NOTHING


def _leaves_of(node: Node) -> Iterator[Leaf | InName]:
    waiting = [node]
    while waiting:
        match waiting.pop():
            case Every(nodes=nodes):
                waiting.extend(nodes)
            case Some(nodes=nodes):
                waiting.extend(nodes)
            case Inverse(node=inner):
                waiting.append(inner)
            case Undefined():
                pass
            case leaf:
                yield leaf


def _telling(node: Holds) -> list[bytes]:
    """The pieces that tell most, as far as they are looked up: any of them narrows down who is meant."""
    texts = dict.fromkeys([text for text in (node.initial, *node.any, node.final) if text])
    return [text[:_TOLD_BY] for text in sorted(texts, key=len, reverse=True)[:_TELLING]]

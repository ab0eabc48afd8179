"""From a filter to a posting: which index answers which part of it, and who decides where none is exact.

True and false are told apart by pushing negation down to the leaves (De Morgan): what is undefined is in neither set,
and everything else is false of an entry exactly where it isn't true. Users and groups are found by the directory's
indexes, virtual groups by those of their users. What no index serves is decided entry by entry, by the same
`filters_match` that decides for those who see little.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from dataplane.protocols.ldap import virtuals
from dataplane.protocols.ldap.candidates import Alike, Held
from dataplane.protocols.ldap.directory import GROUP, USER, Directory
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
from dataplane.protocols.ldap.filters_match import matches, test_of
from dataplane.protocols.ldap.holdings import Members, OfKinds
from dataplane.protocols.ldap.indexes import Codes
from dataplane.protocols.ldap.postings import (
    NOTHING,
    SLOTS,
    Everything,
    Known,
    Posting,
    Tested,
    Without,
    both,
    either,
)
from dataplane.protocols.ldap.prepare import exact_case, ignore_case
from dataplane.protocols.ldap.schema import AttributeType, Key
from dataplane.protocols.ldap.tree import CONTAINER, SLOT, VIRTUAL, Tree

_FEW: Final = 8
"""Candidates that are tested at once."""

MAX_TESTS: Final = 100_000_000
"""Tests, of a microsecond or so, that one search may ask for at most: some minutes, which no time limit allows."""

_COSTLY: Final = 5
"""The weight of a test by way of an entry's description."""

_MEMBERS: Final = 2000
"""The weight of a test of all members of a group, which may be many."""

_SOME: Final = 500
"""Members of members that are looked for at once."""

Leaf = Has | Equal | AtLeast | AtMost | Below | Holds | AllBits | AnyBit | InChain


class TooMuch(Exception):
    """The filter asks for more work than any search may cost."""


def users_and_groups(tree: Tree, node: Node) -> Posting:
    """The users and groups of which the filter is true. Raises TooMuch."""
    return _bounded(_RealPlan(tree).of(node, negated=False))


def virtual_groups(tree: Tree, node: Node) -> Posting:
    """The users of whose virtual groups the filter is true. Raises TooMuch."""
    return _bounded(_VirtualPlan(tree).of(node, negated=False))


def _bounded(posting: Posting) -> Posting:
    if posting.size * posting.weight > MAX_TESTS:
        raise TooMuch
    return posting


class _Plan:
    """What both have in common."""

    __slots__ = ("_directory", "_leaves", "_population", "_tree")

    def __init__(self, tree: Tree) -> None:
        # The same question asked twice in a filter is planned once.
        self._leaves: dict[tuple[Node, bool], Posting] = {}
        self._tree = tree
        self._directory = tree.directory
        self._population = len(tree.directory.kinds)

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
            if negated:
                found = Without(self.of(node, negated=False), self._population)
            else:
                found = self._tested(node) if isinstance(node, InName) else self._leaf(node)
            self._leaves[node, negated] = found
        return found

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
        raise NotImplementedError

    def _test(self, node: Leaf | InName) -> Callable[[int], bool]:
        raise NotImplementedError

    def _tested(self, node: Leaf | InName) -> Posting:
        """One by one."""
        return Tested(self._population, self._all, self._test(node), _COSTLY)

    def _all(self) -> Sequence[int]:
        return range(self._population)

    def _of_names(self, node: Equal, key: Key) -> Posting:
        """By the table of names."""
        slots = self._directory.by_name.find(key)
        test = self._test(node)
        return _known([slot for slot in slots if test(slot)])

    def _of_pieces(self, node: Holds, absent: Posting) -> Posting:
        """By the rarest piece of what is looked for."""
        texts = [text for text in (node.initial, *node.any, node.final) if text]
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
            return _known([slot for slot in dict.fromkeys(codes.find(*span)) if test(slot)])
        return Tested(size, partial(codes.find, *span), self._test(node)) if size else NOTHING


class _RealPlan(_Plan):
    __slots__ = ()

    def _leaf(self, node: Leaf) -> Posting:
        kind = node.type
        related = self._tree.kinds_related.get(kind)
        if related is not None:
            return self._related(node, related)
        if self._directory.is_alike(kind):
            return self._of_kinds(node)
        if self._directory.is_name(kind):
            return self._name(node)
        codes = self._directory.codes.get(kind)
        if codes is None:
            return NOTHING
        if isinstance(node, Holds) and node.rule is kind.substrings:
            return self._of_pieces(node, Tested(len(codes), partial(codes.find, *codes.all()), self._test(node)))
        return self._of_codes(node, codes)

    def _name(self, node: Leaf) -> Posting:
        if isinstance(node, Equal) and node.rule is node.type.equality:
            return self._named(node)
        if isinstance(node, Holds) and node.rule is node.type.substrings:
            return self._of_pieces(node, self._tested(node))
        return self._tested(node)

    def _named(self, node: Equal) -> Posting:
        """Each of these attributes is the name of a user; a group has another uid."""
        slots = self._directory.by_name.find(node.key)
        if not slots:
            return NOTHING
        kinds, test = self._directory.kinds, None
        found = []
        for slot in slots:
            if kinds[slot] != USER:
                test = test or self._test(node)
            if kinds[slot] == USER or (test and test(slot)):
                found.append(slot)
        return _known(found)

    def _of_kinds(self, node: Leaf) -> Posting:
        mask = 0
        for kind in (USER, GROUP):
            if self._holds_of_kind(node, kind):
                mask |= kind
        return OfKinds(self._directory, mask) if mask else NOTHING

    def _holds_of_kind(self, node: Leaf, kind: int) -> bool:
        if isinstance(node, Equal) and node.rule is node.type.equality:
            return node.key in self._directory.keys_alike(kind, node.type)
        return matches(Alike(self._directory, kind), node) is True

    def _related(self, node: Leaf, name: str) -> Posting:
        match node:
            case Equal() if node.rule is node.type.equality:
                return self._relation(node, name)
            case InChain():
                return self._chain(node, name)
            case Has() if name == "entryDN":
                return self._everything()
        if name in ("member", "uniqueMember", "memberUid"):
            groups = OfKinds(self._directory, GROUP)
            weight = 1 if isinstance(node, Has) else _MEMBERS
            return Tested(groups.size, groups.candidates, self._test(node), weight)
        return self._tested(node)

    def _relation(self, node: Equal, name: str) -> Posting:
        membership = self._directory.membership
        match name:
            case "entryDN":
                return _known(sorted(self._slots(node.key)))
            case "memberOf":
                return either([Members(membership, slot) for slot in self._slots(node.key)], self._population)
            case "member" | "uniqueMember":
                return _union([membership.joined(slot) for slot in self._slots(node.key)])
            case "memberUid":
                return _union([membership.joined(slot) for slot in named_exactly(self._directory, node.key)])
            case _ if node.key == b"TRUE":
                return self._superusers()
        return self._tested(node)

    def _chain(self, node: InChain, name: str) -> Posting:
        membership, slots = self._directory.membership, self._slots(node.key)
        if name != "memberOf":
            return _union([membership.above(slot) for slot in slots])
        below = membership.below(slots, _SOME)
        if len(below) <= _SOME:
            return _known(array(SLOTS, sorted(below)))
        # Too many to look for them when another part of the filter may name few.
        return Tested(
            self._population,
            lambda: array(SLOTS, sorted(membership.below(slots))),
            lambda slot: not membership.above(slot).isdisjoint(slots),
        )

    def _superusers(self) -> Posting:
        """Users by their groups, groups by what they say themselves."""
        directory = self._directory
        below = directory.membership.below(directory.superuser_groups)
        users = [slot for slot in below if directory.kinds[slot] == USER]
        return _known(array(SLOTS, sorted(directory.superuser_groups.union(users))))

    def _slots(self, key: Key) -> list[int]:
        """The users and groups of a DN."""
        if not isinstance(key, bytes):
            return []
        return [code for code in self._tree.find_all(key.decode()) if code < VIRTUAL]

    def _test(self, node: Leaf | InName) -> Callable[[int], bool]:
        related = None if isinstance(node, InName) else self._tree.kinds_related.get(node.type)
        if isinstance(node, Has):
            return partial(self._has, node.type) if related is None else partial(self._tree.has_related, related)
        if isinstance(node, InName | InChain) or related is not None:
            return partial(self._matches, node)
        return partial(self._holds, node.type, test_of(node))

    def _has(self, kind: AttributeType, slot: int) -> bool:
        return bool(self._directory.values(slot, kind))

    def _holds(self, kind: AttributeType, test: Callable[[bytes], bool], slot: int) -> bool:
        # A loop, not any(): this is asked of every candidate.
        for value in self._directory.values(slot, kind):  # noqa: SIM110
            if test(value):
                return True
        return False

    def _matches(self, node: Leaf | InName, slot: int) -> bool:
        return bool(self._directory.kinds[slot]) and matches(Held(self._tree, slot), node) is True


class _VirtualPlan(_Plan):
    """Slots of users here mean their virtual groups."""

    __slots__ = ()

    def _leaf(self, node: Leaf) -> Posting:  # noqa: PLR0911  one for each way to find them
        kind = node.type
        if isinstance(node, InChain):
            related = self._tree.kinds_related.get(kind)
            return _known(sorted(self._members(node.key))) if related in ("member", "uniqueMember") else NOTHING
        if kind.key not in virtuals.HELD:
            return NOTHING
        if isinstance(node, Has):
            return self._everything()
        if kind.key in virtuals.ALIKE:
            return self._everything() if self._of_all(node) else NOTHING
        if isinstance(node, Equal) and node.rule is kind.equality:
            return self._equal(node)
        if isinstance(node, Holds) and kind.key in virtuals.NAMED and node.rule is kind.substrings:
            return self._of_pieces(node, self._tested(node))
        if kind.key in virtuals.SHARED:
            codes = self._directory.codes.get(kind)
            return NOTHING if codes is None else self._of_codes(node, codes)
        return self._tested(node)

    def _equal(self, node: Equal) -> Posting:
        directory, key = self._directory, node.key
        match node.type.key:
            case "cn" | "samaccountname":
                return self._of_names(node, key)
            case "entrydn":
                return _known(sorted(code & SLOT for code in self._find(key) if VIRTUAL <= code < CONTAINER))
            case "member" | "uniquemember":
                return _known(sorted(self._members(key)))
            case "memberuid":
                return _known(sorted(named_exactly(directory, key)))
            case "entryuuid" if isinstance(key, bytes):
                return self._of_uuid(node, virtuals.turned(key))
        codes = directory.codes.get(node.type)
        return NOTHING if codes is None else self._of_codes(node, codes)

    def _of_uuid(self, node: Equal, users: bytes) -> Posting:
        codes = self._directory.codes.get(node.type)
        slots = codes.find(*codes.equal(users)) if codes else ()
        test = self._test(node)
        return _known([slot for slot in slots if test(slot)])

    def _of_all(self, node: Leaf) -> bool:
        """Whether it is true of what they have alike."""
        if isinstance(node, Equal) and node.rule is node.type.equality:
            return node.key in virtuals.keys_alike(node.type)
        return not isinstance(node, Has | InChain) and any(map(test_of(node), virtuals.ALIKE[node.type.key]))

    def _members(self, key: Key) -> list[int]:
        return [code for code in self._find(key) if code < VIRTUAL and self._directory.kinds[code] == USER]

    def _find(self, key: Key) -> list[int]:
        return self._tree.find_all(key.decode()) if isinstance(key, bytes) else []

    def _test(self, node: Leaf | InName) -> Callable[[int], bool]:
        return partial(self._matches, node)

    def _matches(self, node: Leaf | InName, slot: int) -> bool:
        return self._directory.kinds[slot] == USER and matches(Held(self._tree, slot | VIRTUAL), node) is True


def named_exactly(directory: Directory, key: Key) -> list[int]:
    """The users with just this name, upper and lower case told apart."""
    if not isinstance(key, bytes):
        return []
    folded = ignore_case(key)
    if folded is None:
        return []
    return [slot for slot in directory.named(folded, USER) if exact_case(directory.name(slot)) == key]


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


def _known(slots: Sequence[int]) -> Posting:
    return Known(slots) if slots else NOTHING


def _union(sets: Sequence[Iterable[int]]) -> Posting:
    return _known(sorted(set[int]().union(*sets)))

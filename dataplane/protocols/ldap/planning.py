"""Which index answers which part of a filter, and who decides where none is exact.

Users and groups are found by the directory's indexes, virtual groups by those of their users. What no index serves is
decided entry by entry, by the same `filters_match` that decides for those who see little.
"""

from array import array
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Final

from dataplane.protocols.ldap import virtuals
from dataplane.protocols.ldap.candidates import Alike, Held
from dataplane.protocols.ldap.directory import GROUP, USER, Directory
from dataplane.protocols.ldap.filters import Equal, Has, Holds, InChain, InName, Node
from dataplane.protocols.ldap.filters_match import matches, test_of
from dataplane.protocols.ldap.holdings import Members, OfKinds
from dataplane.protocols.ldap.pace import NOT_YET, Pace
from dataplane.protocols.ldap.plans import Leaf, Plan, known
from dataplane.protocols.ldap.postings import NOTHING, SLOTS, Posting, Tested, either
from dataplane.protocols.ldap.prepare import exact_case, ignore_case
from dataplane.protocols.ldap.schema import AttributeType, Key
from dataplane.protocols.ldap.tree import CONTAINER, SLOT, VIRTUAL, Tree

_SOME: Final = 500
"""Members of members that are looked for at once."""

_LISTS_MEMBERS: Final = ("member", "uniqueMember", "memberUid")


def users_and_groups(tree: Tree, node: Node, pace: Pace) -> Generator[int, None, Posting]:
    """The users and groups of which the filter is true, after a `NOT_YET` for each pause. Raises TooMuch."""
    return _RealPlan(tree).made(node, pace)


def virtual_groups(tree: Tree, node: Node, pace: Pace) -> Generator[int, None, Posting]:
    """The users of whose virtual groups the filter is true, likewise. Raises TooMuch."""
    return _VirtualPlan(tree).made(node, pace)


def is_true_of(tree: Tree, slot: int, node: Node, pace: Pace) -> Generator[int, None, bool]:
    """Whether the filter is true of one user or group, by indexes: a group may have many members. Raises TooMuch."""
    return (yield from _RealPlan(tree).made_for(slot, node, pace)).holds(slot)


def has_value(tree: Tree, slot: int, node: Equal) -> bool | None:
    """Whether a user or a group has this value of an attribute, by indexes; None where it has no value at all."""
    plan = _RealPlan(tree)
    if plan.of(node, negated=False).holds(slot):
        return True
    return False if plan.of(Has(node.type), negated=False).holds(slot) else None


class _RealPlan(Plan):
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
        return known(found)

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
        if name in _LISTS_MEMBERS:
            groups = OfKinds(self._directory, GROUP)
            return Tested(groups.size, groups.candidates, self._test(node))
        return self._tested(node)

    def _is_walked(self, leaf: Leaf) -> bool:
        """What is asked of members' names is asked of each member once, not for each group that it is in."""
        if self._tree.kinds_related.get(leaf.type) not in _LISTS_MEMBERS or isinstance(leaf, Has | InChain):
            return False
        return not (isinstance(leaf, Equal) and leaf.rule is leaf.type.equality)

    def _walked(self, leaf: Leaf, pace: Pace) -> Generator[int, None, Posting]:
        tree, directory, found = self._tree, self._directory, set[int]()
        if isinstance(leaf, Has | InChain):
            raise TypeError("these are found by indexes")
        test, by_username = test_of(leaf), tree.kinds_related[leaf.type] == "memberUid"
        name, named = (directory.name, USER) if by_username else (tree.name_of, USER | GROUP)
        for slot in range(self._population):
            groups = directory.membership.joined(slot)
            if groups and directory.kinds[slot] & named and test(name(slot)):
                found.update(groups)
            if pace.is_due(1):
                yield NOT_YET
        return known(array(SLOTS, sorted([group for group in found if directory.kinds[group] == GROUP])))

    def _relation(self, node: Equal, name: str) -> Posting:
        membership = self._directory.membership
        match name:
            case "entryDN":
                return known(sorted(self._slots(node.key)))
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
            return known(array(SLOTS, sorted(below)))
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
        return known(array(SLOTS, sorted(directory.superuser_groups.union(users))))

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
        for value in self._directory.values(slot, kind):  # noqa: SIM110 - any() costs more: every candidate is asked this
            if test(value):
                return True
        return False

    def _matches(self, node: Leaf | InName, slot: int) -> bool:
        return bool(self._directory.kinds[slot]) and matches(Held(self._tree, slot), node) is True


class _VirtualPlan(Plan):
    """Slots of users here mean their virtual groups."""

    __slots__ = ()

    def _leaf(self, node: Leaf) -> Posting:  # noqa: PLR0911  one for each way to find them
        kind = node.type
        if isinstance(node, InChain):
            related = self._tree.kinds_related.get(kind)
            return known(sorted(self._members(node.key))) if related in ("member", "uniqueMember") else NOTHING
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
                return known(sorted(code & SLOT for code in self._find(key) if VIRTUAL <= code < CONTAINER))
            case "member" | "uniquemember":
                return known(sorted(self._members(key)))
            case "memberuid":
                return known(sorted(named_exactly(directory, key)))
            case "entryuuid" if isinstance(key, bytes):
                return self._of_uuid(node, virtuals.turned(key))
        codes = directory.codes.get(node.type)
        return NOTHING if codes is None else self._of_codes(node, codes)

    def _of_uuid(self, node: Equal, users: bytes) -> Posting:
        codes = self._directory.codes.get(node.type)
        slots = codes.find(*codes.equal(users)) if codes else ()
        test = self._test(node)
        return known([slot for slot in slots if test(slot)])

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


def _union(sets: Sequence[Iterable[int]]) -> Posting:
    return known(sorted(set[int]().union(*sets)))

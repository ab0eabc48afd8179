"""The entries that a search finds, one after the other, by their numbers in the tree.

Everything that may be seen is found by indexes, the little that others see is looked through. `NOT_YET` comes among
the numbers whenever the search has worked for a while, so that whoever asks may see to something else.
"""

from collections.abc import Generator, Iterator
from typing import Final

from dataplane.protocols.ldap.candidates import Held
from dataplane.protocols.ldap.directory import GROUP, USER
from dataplane.protocols.ldap.filters import Every, InName, Inverse, Node, Some, Undefined
from dataplane.protocols.ldap.filters_match import matches
from dataplane.protocols.ldap.filters_resolve import resolve_with_pauses
from dataplane.protocols.ldap.messages import Filter
from dataplane.protocols.ldap.pace import NOT_YET, Pace
from dataplane.protocols.ldap.places import Region
from dataplane.protocols.ldap.planning import is_true_of, users_and_groups, virtual_groups
from dataplane.protocols.ldap.plans import MAX_TESTS, TooMuch
from dataplane.protocols.ldap.postings import Posting
from dataplane.protocols.ldap.schema import AttributeType
from dataplane.protocols.ldap.settling import Settling
from dataplane.protocols.ldap.tree import VIRTUAL, Tree
from dataplane.protocols.ldap.views import View

_LOOKED_THROUGH: Final = 1000
"""The cost of looking at an entry that someone who sees little may see: the clock is looked at each time."""


def find_hits(view: View, region: Region, wanted: Filter, pace: Pace) -> Iterator[int]:
    """The entries of the region that the filter is true of, each once. Raises TooMuch, before the first."""
    if view.among is not None:
        return _looked_through(view, view.among, region, wanted, pace)
    return _by_indexes(view.tree, region, wanted, pace)


def _looked_through(view: View, among: frozenset[int], region: Region, wanted: Filter, pace: Pace) -> Iterator[int]:
    node = yield from resolve_with_pauses(wanted, view.tree.directory.schema, pace)
    for code in view.codes():
        if region.holds(view.tree, code):
            entry = Held(view.tree, code, among)
            if matches(entry, Settling(entry).settled(node)) is True:
                yield code
            if pace.is_due(_LOOKED_THROUGH):
                yield NOT_YET


def _by_indexes(tree: Tree, region: Region, wanted: Filter, pace: Pace) -> Iterator[int]:
    node = yield from resolve_with_pauses(wanted, tree.directory.schema, pace)
    if region.entry is not None:
        if (yield from _is_hit(tree, region.entry, node, pace)):
            yield region.entry
        return
    if region.containers and may_match(node, tree.container_types):
        for code in region.containers:
            if matches(Held(tree, code), node) is True:
                yield code
    if region.kinds:
        posting = yield from users_and_groups(tree, node, pace)
        yield from _confirmed(tree, posting, region.kinds, pace)
    if region.virtual:
        posting = yield from virtual_groups(tree, node, pace)
        for slot in _confirmed(tree, posting, USER, pace):
            yield slot if slot == NOT_YET else slot | VIRTUAL


def _is_hit(tree: Tree, code: int, node: Node, pace: Pace) -> Generator[int, None, bool]:
    if code < VIRTUAL and tree.directory.kinds[code] == GROUP:
        return (yield from is_true_of(tree, code, node, pace))
    entry = Held(tree, code)
    return matches(entry, Settling(entry).settled(node)) is True


def _confirmed(tree: Tree, posting: Posting, mask: int, pace: Pace) -> Iterator[int]:
    if not posting.size:
        return
    if posting.size * posting.weight > MAX_TESTS:
        raise TooMuch
    kinds, exact, weight = tree.directory.kinds, posting.exact, posting.weight
    for slot in posting.candidates():
        if kinds[slot] & mask and (exact or posting.confirms(slot)):
            yield slot
        if pace.is_due(weight):
            yield NOT_YET


def may_match(node: Node, held: frozenset[AttributeType]) -> bool:
    """Whether the filter may be true of an entry that has only these attributes; False is certain."""
    match node:
        case Every(nodes=nodes):
            return all(may_match(each, held) for each in nodes)
        case Some(nodes=nodes):
            return any(may_match(each, held) for each in nodes)
        case Undefined():
            return False
        case Inverse() | InName():
            return True
    return node.type in held

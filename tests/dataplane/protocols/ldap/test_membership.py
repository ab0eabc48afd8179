"""Who is in which groups: against the plain closure of a relation."""

from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.ldap.membership import Membership

GROUPS = range(5)
SLOTS = range(9)
joins = st.lists(st.tuples(st.sampled_from(SLOTS), st.lists(st.sampled_from(GROUPS), max_size=3)), max_size=20)


@given(joins=joins)
def test_both_directions_are_closures_of_one_relation(joins: list[tuple[int, list[int]]]) -> None:
    membership = Membership()
    for _ in SLOTS:
        membership.add()
    relation: dict[int, set[int]] = {slot: set() for slot in SLOTS}
    for slot, groups in joins:
        membership.join(slot, groups, is_group=slot in GROUPS)
        relation[slot] = set(groups)
        above = _closure(relation)
        for each in SLOTS:
            assert membership.joined(each) == tuple(sorted(relation[each]))
            assert membership.above(each) == above[each]
        for group in GROUPS:
            assert list(membership.members(group)) == [each for each in SLOTS if group in relation[each]]
            assert membership.below([group]) == {each for each in SLOTS if group in above[each]}


def test_those_in_the_same_groups_share_what_says_so() -> None:
    membership = Membership()
    for _ in SLOTS:
        membership.add()
    membership.join(7, [2, 1], is_group=False)
    membership.join(8, [1, 2, 2], is_group=False)
    assert membership.joined(7) is membership.joined(8)


def _closure(relation: dict[int, set[int]]) -> dict[int, frozenset[int]]:
    above = {slot: set(groups) for slot, groups in relation.items()}
    for _ in SLOTS:
        for slot, found in above.items():
            above[slot] = found.union(*[relation[group] for group in found])
    return {slot: frozenset(found) for slot, found in above.items()}

"""Sets of slots: what combinations hold is what sets of Python's hold."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.ldap.postings import (
    NOTHING,
    SLOTS,
    Everything,
    Known,
    Posting,
    Without,
    both,
    either,
    with_slot,
    without_slot,
)
from dataplane.protocols.ldap.postings import (
    Tested as OneByOne,
)

POPULATION = 12
sets = st.frozensets(st.integers(0, POPULATION - 1))


def one_by_one(members: frozenset[int], more: frozenset[int]) -> Posting:
    candidates = sorted(members | more)
    return OneByOne(len(candidates), lambda: candidates, lambda slot: slot in members)


leaves: st.SearchStrategy[tuple[Posting, frozenset[int]]] = st.one_of(
    st.just((NOTHING, frozenset())),
    st.just((Everything(POPULATION), frozenset(range(POPULATION)))),
    sets.map(lambda members: (Known(sorted(members)), members)),
    st.builds(lambda members, more: (one_by_one(members, more), members), sets, sets),
)
postings: st.SearchStrategy[tuple[Posting, frozenset[int]]] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda each: (Without(each[0], POPULATION), frozenset(range(POPULATION)) - each[1])),
        st.lists(inner, min_size=1, max_size=4).map(
            lambda parts: (both([part for part, _ in parts]), frozenset.intersection(*[held for _, held in parts]))
        ),
        st.lists(inner, max_size=4).map(
            lambda parts: (
                either([part for part, _ in parts], POPULATION),
                frozenset[int]().union(*[held for _, held in parts]),
            )
        ),
    ),
)


@given(made=postings)
def test_a_posting_holds_what_its_set_holds(made: tuple[Posting, frozenset[int]]) -> None:
    posting, held = made
    candidates = list(posting.candidates())
    assert len(candidates) == len(set(candidates)) <= posting.size
    assert {slot for slot in candidates if posting.confirms(slot)} == held
    assert {slot for slot in range(POPULATION) if posting.holds(slot)} == held
    if posting.exact:
        assert set(candidates) == held


def test_an_intersection_asks_its_smallest_part_for_candidates() -> None:
    asked: list[int] = []

    def test(slot: int) -> bool:
        asked.append(slot)
        return True

    many = OneByOne(10_000, lambda: range(10_000), test)
    found = both([many, Everything(10_000), Known([7])])
    assert [slot for slot in found.candidates() if found.confirms(slot)] == [7]
    assert asked == [7]


@given(slots=st.lists(st.tuples(st.booleans(), st.integers(0, 9))))
def test_slots_stay_sorted(slots: list[tuple[bool, int]]) -> None:
    kept, expected = array(SLOTS), set[int]()
    for added, slot in slots:
        if added:
            with_slot(kept, slot)
            expected.add(slot)
        else:
            without_slot(kept, slot)
            expected.discard(slot)
    assert list(kept) == sorted(expected)

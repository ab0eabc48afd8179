"""Indexes against plain tables, through changes."""

from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.ldap import indexes
from dataplane.protocols.ldap.indexes import Codes, Names, Pieces, hashed_code, ordered_code, pieces_of
from dataplane.protocols.ldap.schema import Key

slots = st.integers(0, 6)
texts = st.text("ab ", min_size=1, max_size=6).map(str.encode)
numbers = st.one_of(st.integers(-3, 3), st.sampled_from((2**63, 2**63 + 1, -(2**63) - 1, 10**30)))
times = st.sampled_from(
    (b"20200101000000", b"20200101000000.5", b"20200101000001", b"99991231235959", b"00010101000000")
)
changes = st.lists(st.tuples(st.booleans(), texts, slots), max_size=40)


@given(changes=changes)
def test_names(changes: list[tuple[bool, bytes, int]]) -> None:
    names, expected = Names(), set[tuple[Key, int]]()
    for added, key, slot in changes:
        if added:
            names.add(key, slot)
            expected.add((key, slot))
        else:
            names.remove(key, slot)
            expected.discard((key, slot))
        assert list(names.find(key)) == sorted(slot for held, slot in expected if held == key)


@given(
    keys=st.one_of(*[st.lists(st.tuples(kind, slots), max_size=30, unique=True) for kind in (texts, numbers, times)])
)
def test_codes_hold_every_key_in_its_span(keys: list[tuple[Key, int]]) -> None:
    for code in (ordered_code, hashed_code):
        codes = Codes(code)
        for key, slot in keys[: len(keys) // 2]:
            codes.add(key, slot)
        codes.settle()
        for key, slot in keys[len(keys) // 2 :]:
            codes.add(key, slot)
        assert len(codes) == len(keys)
        for key, _ in keys:
            assert {slot for each, slot in keys if each == key} <= set(codes.find(*codes.equal(key)))
            if code is ordered_code:
                assert {slot for each, slot in keys if each >= key} <= set(codes.find(*codes.at_least(key)))  # type: ignore[operator]  # keys of one kind
                assert {slot for each, slot in keys if each <= key} <= set(codes.find(*codes.at_most(key)))  # type: ignore[operator]  # ditto
        assert codes.count(*codes.all()) == len(keys)
        for key, slot in keys:
            codes.remove(key, slot)
            codes.remove(key, slot)
        assert not len(codes)


def test_codes_of_what_came_after_the_directory_was_loaded_are_in_order() -> None:
    codes = Codes(ordered_code)
    for slot, key in enumerate((9, 2, 7)):
        codes.add(key, slot)
    assert codes.count(*codes.equal(2)) == 1
    assert list(codes.find(*codes.equal(2))) == [1]


def test_codes_tell_times_apart_by_the_second() -> None:
    codes = Codes(ordered_code)
    for slot in range(60):
        codes.add(f"202001010000{slot:02}".encode(), slot)
    codes.settle()
    assert list(codes.find(*codes.at_least(b"20200101000050"))) == list(range(50, 60))
    assert list(codes.find(*codes.equal(b"20200101000007"))) == [7]


@given(held=st.dictionaries(slots, st.frozensets(texts, max_size=3)), gone=st.sets(slots), asked=texts)
def test_pieces_find_all_that_hold_a_text(held: dict[int, frozenset[bytes]], gone: set[int], asked: bytes) -> None:
    pieces = Pieces()
    of = {slot: set[bytes]().union(*[pieces_of(b" " + text + b" ") for text in texts]) for slot, texts in held.items()}
    for slot in sorted(held, reverse=True):
        pieces.add(of[slot], slot)
    for slot in gone & held.keys():
        pieces.remove(of[slot], slot)
    found = pieces.find([asked])
    expected = {slot for slot in held.keys() - gone if any(asked in b" " + text + b" " for text in held[slot])}
    assert expected <= set(found)
    assert list(found) == sorted(set(found))
    assert len(found) <= (pieces.count([asked]) or 0)
    if len(asked) <= 3:
        assert expected == set(found)


def test_pieces_that_nearly_all_have_tell_nothing() -> None:
    pieces = Pieces()
    everybody = 3 * indexes._COMMON_FROM
    for slot in range(everybody):
        pieces.add(pieces_of(f" {slot:05}@example.org ".encode()), slot)
    assert pieces.count([b"@example.org "]) is None
    assert pieces.count([b"e"]) is None
    assert pieces.count([b""]) is None
    found = pieces.find([b" 00017@example.org ", b"017"])
    assert 17 in found
    assert len(found) < 100
    assert pieces.count([b"xyz"]) == 0


def test_of_several_pieces_the_rarest_are_held_against_one_another() -> None:
    pieces = Pieces()
    for slot in range(20_000):
        pieces.add(pieces_of(f" {slot % 100:02}-{slot // 100:03} ".encode()), slot)
    assert list(pieces.find([b" 07", b"003 "])) == [307]

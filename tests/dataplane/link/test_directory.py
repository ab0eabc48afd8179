"""The directory as it is held: whole copies beside what is served, changes as they come, and bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.link import directory as directory_module
from dataplane.link.directory import Directory, DirectoryAssembly, DirectoryChange
from dataplane.link.held import LinkBroken
from dataplane.link.messages import DirectoryPart, Position

OLD, NEW = Position("e", 1), Position("e", 2)


def part(
    position: Position | None = None,
    *,
    begins: bool = False,
    entries: dict[str, bytes] | None = None,
    removed: tuple[str, ...] = (),
) -> DirectoryPart:
    """Without a position it is not complete."""
    return DirectoryPart(position=position, begins=begins, entries=entries or {}, removed=removed)


def whole(position: Position, entries: dict[str, bytes]) -> DirectoryChange:
    return DirectoryChange(position=position, changed=entries, whole=True)


def test_a_change_of_one_part_is_made_as_it_comes() -> None:
    directory = Directory(OLD, {"a": b"1", "b": b"2"})
    change = DirectoryAssembly().add(part(NEW, entries={"a": b"3", "c": b"44"}, removed=("b", "unknown")), OLD)
    assert change is not None
    news = directory.apply(change)
    assert (news.changed, news.removed) == ({"a": b"3", "c": b"44"}, frozenset({"b"}))
    assert (directory.entries, directory.position, directory.size) == ({"a": b"3", "c": b"44"}, NEW, 3)


def test_a_change_of_many_parts_is_made_as_one() -> None:
    assembly = DirectoryAssembly()
    parts = [part(entries={"a": b"1", "b": b"2"}), part(removed=("b", "c")), part(entries={"c": b"3"}, removed=("d",))]
    assert [assembly.add(each, OLD) for each in parts] == [None] * 3
    change = assembly.add(part(NEW), OLD)
    wanted = DirectoryChange(position=NEW, changed={"a": b"1", "c": b"3"}, removed=frozenset({"b", "d"}))
    assert change == wanted
    # And what comes next is another.
    assert assembly.add(part(NEW, entries={"e": b"5"}), NEW) == DirectoryChange(position=NEW, changed={"e": b"5"})


def test_what_is_the_same_is_no_news() -> None:
    directory = Directory(OLD, {"a": b"1"})
    news = directory.apply(DirectoryChange(position=NEW, changed={"a": b"1"}))
    assert (news.changed, news.removed, directory.position) == ({}, frozenset(), NEW)


def test_a_whole_copy_is_collected_beside_what_is_held() -> None:
    directory, assembly = Directory(OLD, {"a": b"1", "b": b"2", "c": b"3"}), DirectoryAssembly()
    parts = [
        part(begins=True),
        part(entries={"a": b"1", "d": b"4"}),
        part(entries={"b": b"5", "e": b"6"}),
        part(removed=("e", "unknown"), entries={"d": b"7"}),
    ]
    assert [assembly.add(each, OLD) for each in parts] == [None] * 4
    assert directory.entries == {"a": b"1", "b": b"2", "c": b"3"}
    change = assembly.add(part(NEW), OLD)
    assert change == whole(NEW, {"a": b"1", "b": b"5", "d": b"7"})
    news = directory.apply(change)
    assert (news.changed, news.removed) == ({"b": b"5", "d": b"7"}, frozenset({"c"}))
    assert (directory.entries, directory.size) == ({"a": b"1", "b": b"5", "d": b"7"}, 3)


def test_after_a_copy_changes_are_no_copies() -> None:
    assembly = DirectoryAssembly()
    assert assembly.add(part(NEW, begins=True, entries={"a": b"1"}), None) == whole(NEW, {"a": b"1"})
    change = assembly.add(part(NEW, entries={"b": b"2"}), NEW)
    assert change is not None
    assert not change.whole


@pytest.mark.parametrize("before", [part(begins=True, entries={"a": b"1"}), part(entries={"a": b"1"}, removed=("c",))])
def test_a_copy_begins_anew_whatever_was_under_way(before: DirectoryPart) -> None:
    assembly = DirectoryAssembly()
    assembly.add(before, OLD)
    assert assembly.add(part(begins=True, entries={"b": b"2"}), OLD) is None
    assert assembly.add(part(NEW), OLD) == whole(NEW, {"b": b"2"})


@pytest.mark.parametrize(
    ("broken", "held", "reason"),
    [
        (part(entries={"a": b"1"}), None, "a whole copy was due"),
        (part(begins=True, entries={"a": b"1"}, removed=("a",)), None, "a is both sent and removed"),
    ],
)
def test_what_breaks_the_protocol_is_said(broken: DirectoryPart, held: Position | None, reason: str) -> None:
    with pytest.raises(LinkBroken, match=reason):
        DirectoryAssembly().add(broken, held)


def test_a_copy_may_be_complete_where_it_begins_to_be_nothing() -> None:
    assert DirectoryAssembly().add(part(NEW, begins=True), None) == whole(NEW, {})


def test_a_copy_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_module, "MAX_ENTRIES", 2)
    monkeypatch.setattr(directory_module, "MAX_BYTES", 5)
    assembly = DirectoryAssembly()
    assembly.add(part(begins=True, entries={"a": b"12", "b": b"345"}), None)
    assembly.add(part(entries={"a": b"1"}, removed=("b",)), None)
    assembly.add(part(entries={"b": b"4444"}), None)
    with pytest.raises(LinkBroken, match="3 entries, where at most 2"):
        assembly.add(part(entries={"c": b""}), None)
    changing = DirectoryAssembly()
    changing.add(part(entries={"a": b"1"}), OLD)
    with pytest.raises(LinkBroken, match="3 entries, where at most 2"):
        changing.add(part(removed=("b", "c")), OLD)
    assembly.add(part(begins=True), None)
    with pytest.raises(LinkBroken, match="of 6 bytes together, where at most 5"):
        assembly.add(part(entries={"c": b"666666"}), None)


def test_changes_have_the_same_bounds_and_make_nothing_when_they_are_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_module, "MAX_ENTRIES", 2)
    monkeypatch.setattr(directory_module, "MAX_BYTES", 5)
    directory = Directory(OLD, {"a": b"1", "b": b"2"})
    for changed in ({"c": b"3"}, {"a": b"55555"}):
        with pytest.raises(LinkBroken, match="at most"):
            directory.apply(DirectoryChange(position=NEW, changed=changed))
    assert (directory.entries, directory.position, directory.size) == ({"a": b"1", "b": b"2"}, OLD, 2)
    directory.apply(DirectoryChange(position=NEW, changed={"c": b"3333"}, removed=frozenset({"a"})))
    assert (set(directory.entries), directory.size) == ({"b", "c"}, 5)


KEYS = st.sampled_from("abcdef")
ENTRIES = st.dictionaries(KEYS, st.binary(max_size=3), max_size=4)
PARTS = st.builds(
    DirectoryPart,
    position=st.none() | st.builds(Position, st.just("e"), st.integers(0, 9)),
    begins=st.booleans(),
    entries=ENTRIES,
    removed=st.lists(KEYS, max_size=3, unique=True).map(tuple),
)


@given(ENTRIES, st.lists(PARTS, max_size=12))
def test_whatever_comes_is_applied_or_broken(entries: dict[str, bytes], parts: list[DirectoryPart]) -> None:
    """Observers that make what they are told are where the directory is, and its size is that of its entries."""
    directory, assembly, told = Directory(OLD, dict(entries)), DirectoryAssembly(), dict(entries)
    for each in parts:
        try:
            change = assembly.add(each, directory.position)
        except LinkBroken:
            continue
        if change:
            news = directory.apply(change)
            told.update(news.changed)
            for key in news.removed:
                del told[key]
        assert told == directory.entries
        assert directory.size == sum(map(len, told.values()))

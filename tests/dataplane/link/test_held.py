"""Reassembly of a pushed Config, and whether what is held is what is wanted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.link import held as held_module
from dataplane.link.held import Assembly, Change, ConfigPart, Held, HeldResource, LinkBroken, changed, drifted


def resource(key: str, digest: str = "d", data: bytes = b"x") -> HeldResource:
    return HeldResource(key=key, digest=digest, data=data)


def part(
    number: int, *resources: HeldResource, last: bool = False, revision: int = 7, removed: tuple[str, ...] = ()
) -> ConfigPart:
    return ConfigPart(revision=revision, part=number, last=last, resources=resources, removed=removed)


RESOURCES = st.dictionaries(st.text(min_size=1, max_size=4), st.binary(max_size=8), max_size=20)


@given(RESOURCES, st.integers(1, 5), st.integers(1, 2**63))
def test_whatever_is_cut_into_parts_comes_together(contents: dict[str, bytes], size: int, revision: int) -> None:
    resources = [resource(key, data=data) for key, data in contents.items()]
    chunks = [resources[at : at + size] for at in range(0, len(resources), size)] or [[]]
    assembly = Assembly()
    results = [
        assembly.add(part(number, *chunk, last=number == len(chunks) - 1, revision=revision))
        for number, chunk in enumerate(chunks)
    ]
    assert results[:-1] == [None] * (len(chunks) - 1)
    assert results[-1] == Change(revision=revision, changed={each.key: each for each in resources})


PARTS = st.builds(
    ConfigPart,
    revision=st.integers(1, 3),
    part=st.integers(0, 3),
    last=st.booleans(),
    resources=st.lists(st.builds(resource, st.sampled_from("abc")), max_size=3).map(tuple),
    removed=st.lists(st.sampled_from("abc"), max_size=2).map(tuple),
)


@given(st.lists(PARTS, max_size=8))
def test_any_order_of_parts_is_a_change_or_a_broken_link(parts: list[ConfigPart]) -> None:
    assembly = Assembly()
    for each in parts:
        try:
            change = assembly.add(each)
        except LinkBroken:
            return
        assert change is None or not (change.changed.keys() & change.removed)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([part(1)], "part 1 came where 0 was due"),
        ([part(0), part(2)], "part 2 came where 1 was due"),
        ([part(0), part(1, revision=8)], "revision 7 was continued by revision 8"),
        ([part(0, resource("a")), part(1, resource("a"))], "a came twice"),
        ([part(0, resource("a"), last=True, removed=("a",))], "a is both sent and removed"),
    ],
)
def test_a_config_that_makes_no_sense_breaks_the_link(parts: list[ConfigPart], words: str) -> None:
    assembly = Assembly()
    with pytest.raises(LinkBroken, match=words):
        for each in parts:
            assembly.add(each)


def test_a_config_that_never_ends_breaks_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_module, "MAX_CONFIG_BYTES", 10)
    with pytest.raises(LinkBroken, match="larger than 10 bytes"):
        Assembly().add(part(0, resource("a", data=b"x" * 11)))


def test_an_assembly_serves_one_config_after_another() -> None:
    assembly = Assembly()
    assert assembly.add(part(0, resource("a"), last=True, revision=1)) is not None
    assert assembly.add(part(0, resource("a"), last=True, revision=2)) is not None


def test_a_change_replaces_adds_and_removes() -> None:
    before = Held(revision=1, resources={"a": resource("a"), "b": resource("b")})
    change = Change(revision=2, changed={"b": resource("b", "new"), "c": resource("c")}, removed=frozenset({"a"}))
    assert changed(before, change).digests == {"b": "new", "c": "d"}


@pytest.mark.parametrize(
    ("wanted", "refused", "expected"),
    [
        ({"a": "d"}, {}, False),
        ({"a": "other"}, {}, True),
        ({"a": "other"}, {"a": "other"}, False),
        ({"a": "newer"}, {"a": "other"}, True),
        ({"a": "d", "b": "d"}, {}, True),
        ({"a": "d", "b": "d"}, {"b": "d"}, False),
        ({}, {}, True),
    ],
)
def test_drift(wanted: dict[str, str], refused: dict[str, str], *, expected: bool) -> None:
    assert drifted(Held(revision=1, resources={"a": resource("a")}), wanted, refused) is expected

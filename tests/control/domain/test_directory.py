"""Of attributes only what is shown goes out, whatever they hold."""

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.domain.directory import Excerpt, Shown

ATTRIBUTES = {"a": {"b": 1, "c": {"d": [1, {"e": 2}]}}, "a.b": "dotted", "f": "é", "g": None, "h": [1]}
CASES: list[tuple[set[str], dict[str, Any]]] = [
    (set(), {}),
    ({"none"}, {}),
    ({"f", "g", "h"}, {"f": "é", "g": None, "h": [1]}),
    ({"a"}, {"a": ATTRIBUTES["a"]}),
    ({"a.b"}, {"a": {"b": 1}}),
    ({"a.c.d"}, {"a": {"c": {"d": [1, {"e": 2}]}}}),
    ({"a.b", "a.c.none"}, {"a": {"b": 1}}),
    ({"a", "a.b"}, {"a": ATTRIBUTES["a"]}),
    ({"a.b", "a"}, {"a": ATTRIBUTES["a"]}),
    # What is no object has no parts.
    ({"f.x", "h.0", "g.y"}, {}),
]


@pytest.mark.parametrize(("shown", "expected"), CASES)
def test_the_excerpt(shown: set[str], expected: dict[str, Any]) -> None:
    assert json.loads(Excerpt(shown)(json.dumps(ATTRIBUTES))) == expected


def test_the_same_attributes_give_the_same_text() -> None:
    text = json.dumps(ATTRIBUTES)
    assert Excerpt({"f", "a.b"})(text) == Excerpt(["a.b", "f"])(text) == '{"a": {"b": 1}, "f": "\\u00e9"}'


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({"a", "a.b", "a.b.c", "d.e"}, {"d.e", "a"}, True),
        ({"uidNumber", "gidNumber"}, set(), True),
        ({"a.b", "a.c"}, {"a"}, False),
        ({"a.b", "a.bc"}, {"a.b"}, False),
    ],
)
def test_what_shows_the_same_is_one_history(one: set[str], other: set[str], alike: bool) -> None:
    first, second = (Shown(users=frozenset(each)).completed() for each in (one, other))
    epoch = uuid4()
    assert (first == second) == (first.epoch(epoch) == second.epoch(epoch)) == alike
    assert first.epoch(epoch) != first.epoch(uuid4())
    assert first.epoch(epoch) != Shown(users=first.groups, groups=first.users).epoch(epoch)


NAMES = st.sampled_from("abc")
VALUES = st.recursive(st.integers(0, 3) | st.none(), lambda inner: st.dictionaries(NAMES, inner, max_size=3))


@given(st.dictionaries(NAMES, VALUES), st.sets(st.lists(NAMES, min_size=1, max_size=3).map(".".join)))
def test_each_source_finds_what_it_would_find_in_all(attributes: dict[str, Any], shown: set[str]) -> None:
    excerpt = json.loads(Excerpt(shown)(json.dumps(attributes)))
    for source in shown:
        assert find(excerpt, source) == find(attributes, source)
    assert not excerpt or shown


def find(attributes: Any, source: str) -> Any:
    """What a source finds; nothing where there is none, or no more than an object of nothing."""
    for name in source.split("."):
        attributes = attributes.get(name) if isinstance(attributes, dict) else None
    return attributes

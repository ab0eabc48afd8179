"""Differences: what was rendered has to be there, and whatever others add is left alone."""

from typing import Any
from uuid import UUID

import pytest

from control.integrations.differences import differences, fields_of
from control.integrations.model import Found, Key, Wanted
from tests.support.model_engine import as_found

KEY = Key(owner=UUID(int=1), component="a")
SPEC: dict[str, Any] = {"image": "i:1", "env": {"A": "1", "T": "hash"}, "ports": ["1", "2"], "on": True, "labels": {}}


def wanted(**fields: Any) -> Wanted:
    return Wanted(key=KEY, name="edge", **{"spec": SPEC, **fields})


def found(**changes: Any) -> Found:
    """An object made as wanted, of which somebody has changed these fields since."""
    made = as_found(wanted())
    return Found(key=KEY, id="1", name="edge", spec={**SPEC, **changes}, fingerprint=made.fingerprint)


def told(wish: Wanted, there: Found) -> list[tuple[str, str, str]]:
    return [(each.path, each.wanted, each.found) for each in differences(wish, there)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"env": {"A": "1", "T": "hash", "PATH": "/bin"}, "labels": {"of": "image"}, "more": 1}, []),
        ({"ports": ("1", "2")}, []),
        ({"labels": None}, []),
        ({"image": "sha256:2"}, [("image", "i:1", "sha256:2")]),
        ({"env": {"A": "2", "T": "hash"}}, [("env.A", "1", "2")]),
        ({"env": {"T": "hash"}}, [("env.A", "1", "")]),
        ({"env": None}, [("env.A", "1", ""), ("env.T", "hash", "")]),
        ({"ports": ["2", "1"]}, [("ports", "1, 2", "2, 1")]),
        ({"ports": []}, [("ports", "1, 2", "")]),
        ({"on": 1}, [("on", "true", "1")]),
        ({"on": {"x": [1]}}, [("on", "true", '{"x":[1]}')]),
        ({"on": None, "image": None}, [("image", "i:1", ""), ("on", "true", "")]),
    ],
)
def test_what_differs(changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert told(wanted(), found(**changes)) == expected


def test_a_name_differs() -> None:
    there = Found(key=KEY, id="1", name="old", spec=SPEC, fingerprint=wanted().fingerprint)
    assert told(wanted(), there) == [("name", "edge", "old")]


def test_values_that_are_as_good_are_no_difference_and_no_other_fingerprint() -> None:
    wish = wanted(accepts={"env.T": frozenset({"hash", "older"})})
    older = {**SPEC, "env": {"A": "1", "T": "older"}}
    assert told(wish, Found(key=KEY, id="1", name="edge", spec=older, fingerprint=wish.fingerprint)) == []
    leaked = {**SPEC, "env": {"A": "1", "T": "leaked"}}
    there = Found(key=KEY, id="1", name="edge", spec=leaked, fingerprint=wish.fingerprint)
    assert told(wish, there) == [("env.T", "hash", "leaked")]


def test_a_list_is_never_a_value_that_is_as_good() -> None:
    wish = wanted(accepts={"env.T": frozenset({"hash"})})
    there = Found(key=KEY, id="1", name="edge", spec={**SPEC, "env": {"A": "1", "T": ["hash"]}}, fingerprint="")
    assert [path for path, *_ in told(wish, there)] == ["env.T"]


def test_hidden_values_are_told_to_nobody() -> None:
    wish = wanted(hidden=frozenset({"env.T"}))
    assert told(wish, found(env={"A": "1", "T": "other"})) == [("env.T", "", "")]


def test_what_is_no_longer_wanted_shows_in_how_it_was_made() -> None:
    wish = wanted(spec={**SPEC, "env": {"A": "1"}})
    assert told(wish, found()) == [("", "", "")]
    assert fields_of(wish, found(), differences(wish, found())) == {"env"}


def test_where_nobody_can_tell_what_is_no_longer_wanted_it_may_be_anything() -> None:
    unlabelled = Found(key=KEY, id="1", name="edge", spec=SPEC)
    assert fields_of(wanted(), unlabelled, differences(wanted(), unlabelled)) == set(SPEC)


def test_fields_of_what_is_told() -> None:
    there = found(env={"A": "2"}, image="x")
    assert fields_of(wanted(), there, differences(wanted(), there)) == {"env", "image"}
    assert fields_of(wanted(), found(), ()) == frozenset()

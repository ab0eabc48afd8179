"""Nested groups, cycles included, and the headers they add."""

from dataclasses import replace
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.domain.identity import (
    Group,
    Person,
    ProxySettings,
    additional_headers,
    ancestors,
    descendants,
    find_path,
    proxy_settings,
)
from tests.support import builders

TOP = builders.group("top")
MIDDLE = builders.group("middle", parents=frozenset({TOP.id}))
LOW = builders.group("low", parents=frozenset({MIDDLE.id}))
OTHER = builders.group("other")
TREE = {group.id: group for group in (TOP, MIDDLE, LOW, OTHER)}


def test_membership_is_inherited_upwards() -> None:
    assert ancestors([LOW.id], TREE) == {LOW.id, MIDDLE.id, TOP.id}
    assert descendants(TOP.id, TREE) == {TOP.id, MIDDLE.id, LOW.id}
    assert descendants(LOW.id, TREE) == {LOW.id}


def test_a_cycle_ends() -> None:
    looped: dict[UUID, Group] = {TOP.id: replace(TOP, parents=frozenset({LOW.id})), MIDDLE.id: MIDDLE, LOW.id: LOW}
    assert ancestors([MIDDLE.id], looped) == {TOP.id, MIDDLE.id, LOW.id}


def test_a_group_that_is_gone_does_not_count() -> None:
    assert ancestors([builders.group("ghost").id], TREE) == frozenset()


def test_the_shortest_way_up_is_found() -> None:
    short = builders.group("short", parents=frozenset({TOP.id}))
    tree = {**TREE, short.id: short}
    assert find_path([LOW.id], TOP.id, tree) == (LOW, MIDDLE, TOP)
    assert find_path([LOW.id, short.id], TOP.id, tree) == (short, TOP)
    assert find_path([LOW.id, TOP.id], TOP.id, tree) == (TOP,)
    assert find_path([LOW.id], OTHER.id, tree) is None


@given(st.data())
def test_there_is_a_way_to_exactly_the_groups_that_apply(data: st.DataObject) -> None:
    keys = [UUID(int=number) for number in range(6)]
    below = st.lists(st.sampled_from(keys), max_size=3).map(frozenset)
    tree = {key: builders.group(str(key.int), id=key, parents=data.draw(below)) for key in keys[:-1]}
    direct = data.draw(st.lists(st.sampled_from(keys), max_size=3))
    for goal in keys:
        path = find_path(direct, goal, tree)
        assert (path is not None) == (goal in ancestors(direct, tree))
        if path is not None:
            assert path[0].id in direct
            assert path[-1].id == goal
            assert all(upper.id in lower.parents for lower, upper in pairwise(path))


def test_headers_of_groups_come_before_those_of_the_user() -> None:
    first = builders.group("a", attributes={"additionalHeaders": {"X-Team": "a", "X-Floor": 3}})
    second = builders.group("b", attributes={"additionalHeaders": {"X-Team": "b"}})
    alice = builders.user("alice", attributes={"additionalHeaders": {"X-Desk": "12"}})
    headers = additional_headers(Person(user=alice, groups=(second, first)))
    assert headers == {"X-Team": "b", "X-Floor": "3", "X-Desk": "12"}


def test_malformed_headers_are_no_headers() -> None:
    alice = builders.user("alice", attributes={"additionalHeaders": ["X-Team"]})
    assert additional_headers(Person(user=alice, groups=())) == {}


def test_where_mode_proxy_finds_applications_is_merged_part_by_part() -> None:
    first = builders.group("a", attributes={"ak_proxy": {"backend_override": "http://a", "host_header": "a"}})
    second = builders.group("b", attributes={"ak_proxy": {"host_header": "b"}, "backend_override": "http://b"})
    alice = builders.user("alice", attributes={"ak_proxy": {"backend_override": "http://alice"}})
    assert proxy_settings(Person(user=alice, groups=(second, first))) == ProxySettings(
        backend_override="http://alice", host_header="b"
    )
    bob = builders.user("bob", attributes={"ak_proxy": {"backend_override": ""}})
    assert proxy_settings(Person(user=bob, groups=(first,))) == ProxySettings(host_header="a")


@pytest.mark.parametrize("value", [["http://a"], "http://a", None, {"backend_override": 7, "host_header": ["a"]}, {}])
def test_only_text_leads_elsewhere(value: object) -> None:
    alice = builders.user("alice", attributes={"ak_proxy": value})
    assert proxy_settings(Person(user=alice, groups=())) == ProxySettings()

"""Nested groups, cycles included, and the headers they add."""

from dataclasses import replace
from uuid import UUID

from control.domain.identity import Group, Person, additional_headers, ancestors, descendants
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


def test_headers_of_groups_come_before_those_of_the_user() -> None:
    first = builders.group("a", attributes={"additionalHeaders": {"X-Team": "a", "X-Floor": 3}})
    second = builders.group("b", attributes={"additionalHeaders": {"X-Team": "b"}})
    alice = builders.user("alice", attributes={"additionalHeaders": {"X-Desk": "12"}})
    headers = additional_headers(Person(user=alice, groups=(second, first)))
    assert headers == {"X-Team": "b", "X-Floor": "3", "X-Desk": "12"}


def test_malformed_headers_are_no_headers() -> None:
    alice = builders.user("alice", attributes={"additionalHeaders": ["X-Team"]})
    assert additional_headers(Person(user=alice, groups=())) == {}

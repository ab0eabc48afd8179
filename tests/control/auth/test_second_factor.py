"""When a second factor is due: the whole table."""

from dataclasses import replace
from itertools import product

import pytest

from control.auth.second_factor import Due, due, is_due, is_needed
from control.domain.factors import Method
from control.domain.identity import Group, Person
from tests.support import builders

ENOUGH = [(Method.PASSWORD, Method.ONE_TIME_CODE), (Method.PASSWORD, Method.RECOVERY_CODE), (Method.APP_PASSWORD,)]
LESS: list[tuple[Method, ...]] = [(Method.PASSWORD,), ()]


def person(*, asked: bool) -> Person:
    group: Group = replace(builders.group("staff"), second_factor=asked)
    return Person(user=builders.user("alice"), groups=(builders.group("all"), group))


@pytest.mark.parametrize("methods", [*ENOUGH, *LESS])
@pytest.mark.parametrize(("by_group", "by_application", "has_one"), list(product([False, True], repeat=3)))
def test_it_is_due_where_it_is_needed_and_was_not_used(
    methods: tuple[Method, ...], *, by_group: bool, by_application: bool, has_one: bool
) -> None:
    who, application = person(asked=by_group), replace(builders.application("wiki"), second_factor=by_application)
    needed = by_group or by_application or has_one
    assert is_needed(who, application, has_one) == needed
    assert is_due(who, methods, application, has_one) == (needed and methods not in ENOUGH)


@pytest.mark.parametrize("by_group", [False, True])
def test_our_own_pages_ask_for_no_application(*, by_group: bool) -> None:
    assert is_due(person(asked=by_group), (Method.PASSWORD,), None, has_one=False) == by_group


@pytest.mark.parametrize(
    ("asked", "has_one", "methods", "expected"),
    [
        (False, False, LESS[0], Due.NOTHING),
        (True, False, LESS[0], Due.ENROLMENT),
        (True, True, LESS[0], Due.CODE),
        (False, True, LESS[0], Due.CODE),
        (True, True, ENOUGH[0], Due.NOTHING),
        (True, False, ENOUGH[0], Due.NOTHING),
    ],
)
def test_what_is_missing(*, asked: bool, has_one: bool, methods: tuple[Method, ...], expected: Due) -> None:
    assert due(person(asked=asked), methods, None, has_one) is expected

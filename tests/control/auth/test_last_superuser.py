"""The rule that somebody must administer Garrison, against its plain definition; and what asking it costs."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.auth import people
from control.auth.people import GroupDraft
from control.domain.errors import Invalid, Problem
from control.domain.identity import Group, User, UserKind, ancestors
from control.store import Store, Unit
from tests.support import builders
from tests.support.stores import ADMIN, Clock, Wakes, make_store, rolled_back, statements

GROUPS, USERS = 4, 3
COMMANDS = ("remove user", "deactivate", "demote", "user's groups", "group's users", "edit group", "remove group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A world and one change of it."""

    groups: tuple[Group, ...]
    users: tuple[User, ...]
    members: frozenset[tuple[int, int]]
    command: str
    user: int
    group: int
    wanted: frozenset[int]
    superuser: bool


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    keys = [uuid4() for _ in range(GROUPS)]
    groups = [
        builders.group(
            f"g{place}",
            id=key,
            superuser=draw(st.integers(0, 3)) == 0,
            parents=frozenset(
                keys[above] for above in draw(st.sets(st.integers(0, GROUPS)), label="parents") if above < place
            ),
        )
        for place, key in enumerate(keys)
    ]
    users = [
        builders.user(
            f"u{place}", active=draw(st.booleans()), kind=draw(st.sampled_from([UserKind.INTERNAL, UserKind.SERVICE]))
        )
        for place in range(USERS)
    ]
    pairs = st.tuples(st.integers(0, USERS - 1), st.integers(0, GROUPS - 1))
    return Plan(
        groups=tuple(groups),
        users=tuple(users),
        members=draw(st.frozensets(pairs)),
        command=draw(st.sampled_from(COMMANDS)),
        user=draw(st.integers(0, USERS - 1)),
        group=draw(st.integers(0, GROUPS - 1)),
        wanted=draw(st.frozensets(st.integers(0, min(USERS, GROUPS) - 1))),
        superuser=draw(st.booleans()),
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder: Path = tmp_path_factory.mktemp("superusers")
    return make_store(folder / "garrison.db", Clock(), Wakes())


@given(plan=plans())
def test_a_change_is_refused_exactly_when_it_takes_the_last_superuser(shared: Store, plan: Plan) -> None:
    with rolled_back(shared) as unit:
        for group in plan.groups:
            unit.groups.add(group)
        for place, user in enumerate(plan.users):
            unit.users.add(user)
            unit.memberships.set_groups(
                user.id, [plan.groups[group].id for owner, group in plan.members if owner == place]
            )
        before = superusers(unit)
        assert set(unit.superusers.usernames()) == before
        problems = problems_of(unit, plan)
        if not problems:
            assert superusers(unit) or not before
            return
        assert [(problem.code, problem.found) for problem in problems] == [
            ("last_superuser", ", ".join(sorted(before)))
        ]
        force(unit, plan)
        assert superusers(unit) == set()


def problems_of(unit: Unit, plan: Plan) -> tuple[Problem, ...]:
    """What the command refuses; nothing when it was carried out."""
    try:
        carry_out(unit, plan)
    except Invalid as error:
        return error.problems
    return ()


def superusers(unit: Unit) -> set[str]:
    """The definition: active people in a group that is a superuser group or lies below one."""
    groups = {group.id: group for group in unit.groups.all()}
    return {
        user.username
        for user in unit.users.all()
        if user.active
        and user.kind is UserKind.INTERNAL
        and any(groups[key].superuser for key in ancestors(unit.memberships.groups_of(user.id), groups))
    }


def carry_out(unit: Unit, plan: Plan) -> None:
    user, group = plan.users[plan.user], plan.groups[plan.group]
    match plan.command:
        case "remove user":
            people.remove_user(unit, user.id)
        case "deactivate":
            people.set_active(unit, user.id, active=False)
        case "demote":
            people.update_user(unit, replace(user, kind=UserKind.SERVICE))
        case "user's groups":
            people.set_user_groups(unit, user.id, wanted(plan, plan.groups))
        case "group's users":
            people.set_group_users(unit, group.id, wanted(plan, plan.users))
        case "edit group":
            people.update_group(unit, edited(plan))
        case "remove group":
            people.remove_group(unit, group.id)


def force(unit: Unit, plan: Plan) -> None:
    """The same change, by the store, which knows no rule."""
    user, group = plan.users[plan.user], plan.groups[plan.group]
    match plan.command:
        case "remove user":
            unit.users.remove(user)
        case "deactivate":
            unit.users.update(replace(user, active=False))
        case "demote":
            unit.users.update(replace(user, kind=UserKind.SERVICE))
        case "user's groups":
            unit.memberships.set_groups(user.id, wanted(plan, plan.groups))
        case "group's users":
            unit.memberships.set_users(group.id, wanted(plan, plan.users))
        case "edit group":
            unit.groups.update(edited(plan))
        case "remove group":
            unit.groups.remove(group)


def wanted(plan: Plan, among: tuple[Any, ...]) -> list[UUID]:
    return [among[place].id for place in plan.wanted]


def edited(plan: Plan) -> Group:
    parents = frozenset(plan.groups[place].id for place in plan.wanted if place < plan.group)
    return replace(plan.groups[plan.group], superuser=plan.superuser, parents=parents)


WHOLE_TABLE = re.compile(r"^SELECT .* FROM (users|groups|group_parents|memberships)\b", re.DOTALL)
ONE_OF_MANY: list[tuple[str, Callable[[Unit, Group, User], object]]] = [
    ("a person", lambda unit, _, user: unit.memberships.person(user)),
    ("an edit", lambda unit, _, user: people.update_user(unit, replace(user, email="new@example.com"))),
    ("a deactivation", lambda unit, _, user: people.set_active(unit, user.id, active=False)),
    ("a removal", lambda unit, _, user: people.remove_user(unit, user.id)),
    ("other groups", lambda unit, group, user: people.set_user_groups(unit, user.id, [group.id])),
    ("other members", lambda unit, group, user: people.set_group_users(unit, group.id, [user.id])),
    (
        "a new group",
        lambda unit, group, _: people.create_group(unit, GroupDraft(name="n", parents=frozenset([group.id]))),
    ),
    ("a group's edit", lambda unit, group, _: people.update_group(unit, replace(group, parents=frozenset()))),
    ("a group's removal", lambda unit, group, _: people.remove_group(unit, group.id)),
]


@pytest.mark.parametrize(("how", "command"), ONE_OF_MANY, ids=[how for how, _ in ONE_OF_MANY])
def test_one_change_costs_the_same_among_many(
    tmp_path: Path, clock: Clock, wakes: Wakes, how: str, command: Callable[[Unit, Group, User], object]
) -> None:
    few, many = (_work(make_store(tmp_path / f"{count}.db", clock, wakes), count, command) for count in (3, 60))
    assert few == many, how


def _work(store: Store, count: int, command: Callable[[Unit, Group, User], object]) -> int:
    """How many statements the change takes among so many users and groups, its consequences included."""
    with store.write(ADMIN) as unit:
        people.first_start(unit, "hash")
        top = unit.groups.add(builders.group("top"))
        for number in range(count):
            group = unit.groups.add(builders.group(f"g{number}", parents=frozenset({top.id})))
            user = unit.users.add(builders.user(f"u{number}"))
            unit.memberships.set_groups(user.id, [top.id, group.id])
    with store.write(ADMIN) as unit:
        user, group = unit.users.get_named("u1"), unit.groups.get_named("g2")
        seen = statements(unit)
        command(unit, group, user)
    assert [statement for statement in seen if WHOLE_TABLE.search(statement) and "WHERE" not in statement] == []
    return len(seen)

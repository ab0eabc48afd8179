"""People as commands: every problem at once, nothing half done, and never nobody left to administer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.auth import people, sessions
from control.auth.people import GroupDraft, UserDraft, group_problems, user_problems
from control.auth.people_rules import attribute_problems, email_problems
from control.auth.sessions import Origin
from control.domain.application import Binding
from control.domain.errors import InUse, Invalid, NotFound, Problem
from control.domain.identity import User, UserKind
from control.store import Store, Unit
from tests.support.auth import World, cheap_passwords
from tests.support.stores import ADMIN, Clock


def codes(problems: list[Problem] | tuple[Problem, ...]) -> list[tuple[str, str]]:
    return [(problem.field, problem.code) for problem in problems]


def act(store: Store, command: Callable[[Unit], Any]) -> Any:
    with store.write(ADMIN) as unit:
        return command(unit)


def refused(store: Store, command: Callable[[Unit], Any]) -> list[tuple[str, str]]:
    with store.read() as unit:
        before = unit.revision()
    with pytest.raises(Invalid) as caught, store.write(ADMIN) as unit:
        command(unit)
    with store.read() as unit:
        assert unit.revision() == before
    return codes(caught.value.problems)


def first_admin(store: Store) -> User:
    admin = act(store, lambda unit: people.first_start(unit, cheap_passwords().hash("one-time")))
    assert isinstance(admin, User)
    return admin


def test_the_first_start_makes_an_administrator_once(store: Store) -> None:
    admin = first_admin(store)
    assert admin.username == "akadmin"
    with store.write(ADMIN) as unit:
        assert unit.memberships.person(admin).superuser
        assert unit.memberships.person(admin).group_names == ("authentik Admins",)
        assert people.first_start(unit, "other") is None


def test_users_that_a_blueprint_made_before_do_not_keep_the_administrator_away(world: World) -> None:
    assert first_admin(world.store).username == "akadmin"


def test_a_user_is_made_with_its_groups(world: World, clock: Clock) -> None:
    draft = UserDraft(username="carol", email="carol@example.com", groups=frozenset({world.staff.id}))
    carol = act(world.store, lambda unit: people.create_user(unit, draft, "$argon2id$x"))
    with world.store.read() as unit:
        assert unit.users.get_named("carol") == carol
        assert unit.memberships.groups_of(carol.id) == {world.staff.id}
    assert (carol.name, carol.created, carol.password_hash) == ("carol", clock.now, "$argon2id$x")


def test_all_problems_of_a_user_are_told_at_once(world: World) -> None:
    draft = UserDraft(
        username="alice",
        name="A\r\nSet-Cookie: x=y",
        email="a@evil@corp.com",
        attributes={"a": object()},
        groups=frozenset({uuid4()}),
    )
    found = refused(world.store, lambda unit: people.create_user(unit, draft))
    assert found == [
        ("name", "unprintable"),
        ("email", "not_an_email"),
        ("attributes.a", "not_json"),
        ("groups", "unknown_group"),
        ("username", "already_taken"),
    ]


USERNAMES = [
    ("", "required"),
    ("x" * 151, "too_long"),
    ("alice\nroot", "unprintable"),
    ("alice\r", "unprintable"),
    ("ali\0ce", "unprintable"),
    ("ali\u202ece", "unprintable"),
    ("ali\u200bce", "unprintable"),
    ("ali\u2028ce", "unprintable"),
    (" alice", "surrounding_space"),
    ("alice ", "surrounding_space"),
    ("system", "reserved_name"),
    ("cli", "reserved_name"),
    ("anonymous", "reserved_name"),
    ("outpost/edge", "reserved_name"),
]


@pytest.mark.parametrize(("username", "code"), USERNAMES)
def test_usernames_that_are_refused(username: str, code: str) -> None:
    assert ("username", code) in codes(user_problems(UserDraft(username=username)))


@pytest.mark.parametrize(
    "username", ["alice", "Alice Doe", "a.b+c@example.com", "álvaro", "用户", "x" * 150, "CORP\\bob"]
)
def test_usernames_that_are_fine(username: str) -> None:
    assert user_problems(UserDraft(username=username)) == []


def test_a_name_is_stored_composed(world: World) -> None:
    made = act(world.store, lambda unit: people.create_user(unit, UserDraft(username="a\u0301lvaro")))
    assert made.username == "\u00e1lvaro"
    again = UserDraft(username="\u00e1lvaro")
    assert refused(world.store, lambda unit: people.create_user(unit, again)) == [("username", "already_taken")]


EMAILS = [
    "a@evil@corp.com",
    "a@@corp.com",
    "a@evil.com@",
    "@corp.com",
    "a@",
    "a",
    "a b@corp.com",
    "a@corp.com\r\nBcc: b@c.d",
    "a@corp..com",
    "a@.corp.com",
    "a@corp.com.",
    '"a@b"@corp.com',
    "<a@corp.com>",
    "a@corp.com,b@corp.com",
    "a@cor\u200bp.com",
    "a@evil\uff20corp.com\u0000",
    "x" * 320 + "@corp.com",
]


@pytest.mark.parametrize("email", EMAILS)
def test_ghsa_c5c4_8r6x_56w3_odd_emails_are_refused(email: str) -> None:
    assert email_problems(email) != []


@pytest.mark.parametrize("email", ["", "a@localhost", "alice.o'hara+x@mail.example.co.uk", "jürgen@exämple.de"])
def test_emails_that_are_fine(email: str) -> None:
    assert email_problems(email) == []


@given(st.text(max_size=60))
def test_an_accepted_email_has_one_at_and_one_line(email: str) -> None:
    if email and email_problems(email) == []:
        assert email.count("@") == 1
        assert email.isprintable()
        assert " " not in email


ATTRIBUTES: list[tuple[object, str]] = [
    ([], "not_a_mapping"),
    ("text", "not_a_mapping"),
    ({"a": {1: "x"}}, "not_json"),
    ({"a": float("nan")}, "not_json"),
    ({"a": float("inf")}, "not_json"),
    ({"a": "nul\0"}, "not_json"),
    ({"a": b"bytes"}, "not_json"),
    ({"a": "x" * 70_000}, "too_long"),
    ({"additionalHeaders": ["X-A: b"]}, "not_a_mapping"),
    ({"additionalHeaders": {"X-A\r\nX-B": "c"}}, "bad_header_name"),
    ({"additionalHeaders": {"X_A": "c"}}, "bad_header_name"),
    ({"additionalHeaders": {"": "c"}}, "bad_header_name"),
    ({"additionalHeaders": {"X-A": "b\r\nX-authentik-username: root"}}, "unprintable_header"),
    ({"additionalHeaders": {"X-A": {"b": "c"}}}, "not_text"),
]


@pytest.mark.parametrize(("attributes", "code"), ATTRIBUTES)
def test_attributes_that_are_refused(attributes: object, code: str) -> None:
    assert [problem.code for problem in attribute_problems(attributes)] == [code]


def test_attributes_that_nest_too_deep_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(2000):
        deep = {"a": deep}
    assert [problem.code for problem in attribute_problems(deep)] == ["too_deep"]


def test_attributes_that_are_fine() -> None:
    fine = {"a": [1, 2.5, None, True, {"b": "ü"}], "additionalHeaders": {"X-Team": "blue", "X-Level": 3}}
    assert attribute_problems(fine) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.one_of(JSON, st.dictionaries(st.text(max_size=20) | st.just("additionalHeaders"), JSON, max_size=3)))
def test_any_value_is_judged(value: object) -> None:
    assert all(isinstance(problem, Problem) for problem in attribute_problems(value))


def test_an_update_keeps_what_it_is_not_about(world: World, clock: Clock) -> None:
    clock.advance(hours=1)
    stale = replace(world.alice, email="new@example.com", password_hash="stolen", created=clock.now)
    updated = act(world.store, lambda unit: people.update_user(unit, stale))
    assert (updated.email, updated.updated) == ("new@example.com", clock.now)
    assert (updated.password_hash, updated.created) == (world.alice.password_hash, world.alice.created)


def test_an_update_that_changes_nothing_is_none(world: World, clock: Clock) -> None:
    clock.advance(hours=1)
    with world.store.read() as unit:
        before = unit.revision()
    assert act(world.store, lambda unit: people.update_user(unit, world.alice)) == world.alice
    with world.store.read() as unit:
        assert unit.revision() == before


def test_an_update_is_checked_like_a_new_user(world: World) -> None:
    wrong = replace(world.alice, username="bob", email="a@b@c")
    found = refused(world.store, lambda unit: people.update_user(unit, wrong))
    assert found == [("email", "not_an_email"), ("username", "already_taken")]


def test_a_deactivated_person_loses_every_session_at_once(world: World) -> None:
    secrets = [world.sign_in().secret, world.sign_in().secret]
    act(world.store, lambda unit: people.update_user(unit, replace(world.alice, active=False)))
    with world.store.read() as unit:
        assert [sessions.find_session(unit, secret) for secret in secrets] == [None, None]
        assert unit.sign_ins.of_user(world.alice.id) == []
        assert any(found.user == world.alice.id and not found.changed for found in unit.revocations.live())


def test_a_new_password_ends_the_other_sessions(world: World) -> None:
    here, there = world.sign_in(), world.sign_in()
    act(world.store, lambda unit: people.set_password(unit, world.alice.id, "$new", keep=here.sign_in.id))
    with world.store.read() as unit:
        assert sessions.find_session(unit, here.secret) is not None
        assert sessions.find_session(unit, there.secret) is None
        assert unit.users.get(world.alice.id).password_hash == "$new"


def test_a_bad_password_is_never_hashed() -> None:
    with pytest.raises(Invalid) as caught:
        people.hash_new_password(cheap_passwords(), "alice", "alice", field="new_password")
    assert codes(caught.value.problems) == [("new_password", "too_short"), ("new_password", "same_as_username")]


def test_removing_a_person_takes_sessions_and_memberships(world: World) -> None:
    secret = world.sign_in().secret
    act(world.store, lambda unit: people.remove_user(unit, world.alice.id))
    with world.store.read() as unit:
        assert sessions.find_session(unit, secret) is None
        assert unit.memberships.users_in(world.staff.id) == frozenset()


def test_a_person_that_a_rule_names_stays(world: World) -> None:
    rule = Binding(id=uuid4(), application=world.wiki_application.id, user=world.bob.id)
    act(world.store, lambda unit: unit.bindings.add(rule))
    with pytest.raises(InUse, match="application 'wiki'"):
        act(world.store, lambda unit: people.remove_user(unit, world.bob.id))


LAST: list[tuple[str, tuple[str, str], Callable[[Unit, User], object]]] = [
    ("removed", ("username", "last_superuser"), lambda unit, admin: people.remove_user(unit, admin.id)),
    ("inactive", ("username", "last_superuser"), lambda unit, admin: people.set_active(unit, admin.id, active=False)),
    (
        "inactive by update",
        ("username", "last_superuser"),
        lambda unit, admin: people.update_user(unit, replace(admin, active=False)),
    ),
    (
        "a service account",
        ("username", "last_superuser"),
        lambda unit, admin: people.update_user(unit, replace(admin, kind=UserKind.SERVICE)),
    ),
    ("moved out", ("groups", "last_superuser"), lambda unit, admin: people.set_user_groups(unit, admin.id, [])),
    (
        "dropped from the group",
        ("users", "last_superuser"),
        lambda unit, _: people.set_group_users(unit, unit.groups.get_named("authentik Admins").id, []),
    ),
    (
        "group demoted",
        ("superuser", "last_superuser"),
        lambda unit, _: people.update_group(unit, replace(unit.groups.get_named("authentik Admins"), superuser=False)),
    ),
    (
        "group removed",
        ("name", "last_superuser"),
        lambda unit, _: people.remove_group(unit, unit.groups.get_named("authentik Admins").id),
    ),
]


@pytest.mark.parametrize(("how", "problem", "command"), LAST, ids=[how for how, _, _ in LAST])
def test_the_last_superuser_stays(
    world: World, how: str, problem: tuple[str, str], command: Callable[[Unit, User], object]
) -> None:
    admin = first_admin(world.store)
    assert refused(world.store, lambda unit: command(unit, admin)) == [problem], how
    with world.store.write(ADMIN) as unit:
        admins = unit.groups.get_named("authentik Admins")
        people.set_group_users(unit, admins.id, [admin.id, world.bob.id])
    if how not in {"dropped from the group", "group demoted", "group removed"}:
        act(world.store, lambda unit: command(unit, admin))


def test_an_inactive_second_superuser_does_not_count(world: World) -> None:
    admin = first_admin(world.store)
    with world.store.write(ADMIN) as unit:
        admins = unit.groups.get_named("authentik Admins")
        people.set_group_users(unit, admins.id, [admin.id, world.bob.id])
        people.set_active(unit, world.bob.id, active=False)
    found = refused(world.store, lambda unit: people.remove_user(unit, admin.id))
    assert found == [("username", "last_superuser")]


def test_superuser_rights_come_from_groups_above(world: World) -> None:
    admin = first_admin(world.store)
    with world.store.write(ADMIN) as unit:
        admins = unit.groups.get_named("authentik Admins")
        below = people.create_group(unit, GroupDraft(name="ops", parents=frozenset({admins.id})))
        people.set_user_groups(unit, admin.id, [below.id])
    loose = replace(below, parents=frozenset())
    assert refused(world.store, lambda unit: people.update_group(unit, loose)) == [("parents", "last_superuser")]


def test_all_problems_of_a_group_are_told_at_once(world: World) -> None:
    draft = GroupDraft(name="staff|root\n", attributes={"a": b"x"}, parents=frozenset({uuid4()}))
    found = refused(world.store, lambda unit: people.create_group(unit, draft))
    assert found == [
        ("name", "unprintable"),
        ("name", "surrounding_space"),
        ("name", "reserved_character"),
        ("attributes.a", "not_json"),
        ("parents", "unknown_group"),
    ]
    taken = refused(world.store, lambda unit: people.create_group(unit, GroupDraft(name="staff")))
    assert taken == [("name", "already_taken")]
    assert group_problems(GroupDraft(name="x" * 151))[0].code == "too_long"


def test_a_group_cannot_lie_below_itself(world: World) -> None:
    with world.store.write(ADMIN) as unit:
        top = people.create_group(unit, GroupDraft(name="top"))
        middle = people.create_group(unit, GroupDraft(name="middle", parents=frozenset({top.id})))
        low = people.create_group(unit, GroupDraft(name="low", parents=frozenset({middle.id})))
    with pytest.raises(Invalid) as caught:
        act(world.store, lambda unit: people.update_group(unit, replace(top, parents=frozenset({low.id}))))
    (problem,) = caught.value.problems
    assert (problem.field, problem.code, problem.found) == ("parents", "cycle", "low > middle > top")
    itself = replace(top, parents=frozenset({top.id}))
    assert refused(world.store, lambda unit: people.update_group(unit, itself)) == [("parents", "cycle")]
    diamond = replace(low, parents=frozenset({middle.id, top.id}))
    assert act(world.store, lambda unit: people.update_group(unit, diamond)) == diamond


def test_memberships_name_only_what_exists(world: World) -> None:
    user = refused(world.store, lambda unit: people.set_user_groups(unit, world.bob.id, [uuid4()]))
    group = refused(world.store, lambda unit: people.set_group_users(unit, world.staff.id, [uuid4()]))
    assert (user, group) == ([("groups", "unknown_group")], [("users", "unknown_user")])
    with pytest.raises(NotFound):
        act(world.store, lambda unit: people.set_user_groups(unit, uuid4(), []))
    with pytest.raises(NotFound):
        act(world.store, lambda unit: people.set_group_users(unit, uuid4(), []))


def test_groups_come_and_go(world: World) -> None:
    made = act(world.store, lambda unit: people.create_group(unit, GroupDraft(name="guests")))
    act(world.store, lambda unit: people.set_group_users(unit, made.id, [world.bob.id]))
    with world.store.read() as unit:
        assert unit.memberships.person(world.bob).group_names == ("guests",)
    act(world.store, lambda unit: people.remove_group(unit, made.id))
    with world.store.read() as unit:
        assert unit.memberships.person(world.bob).group_names == ()


def test_a_session_needs_an_active_user(world: World) -> None:
    with world.store.write(ADMIN) as unit:
        opened = sessions.open_session(unit, world.bob.id, Origin())
        unit.users.update(replace(world.bob, active=False))
        assert sessions.find_session(unit, opened.secret) is None

"""The feed of users and groups: what is logged with which revision, how it is read, and how it stays bounded."""
# long: one feed, read and written in every way by the same few people

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from control.domain.application import AttributeMapping
from control.domain.directory import Cursor, DirectoryGroup, DirectoryUser, Entry, Position, Shown
from control.domain.identity import Group, User, UserKind
from control.store import Store, Unit, directory
from control.store.directory import Page
from tests.support import builders
from tests.support.stores import ADMIN, Clock

KINDS = (UserKind.INTERNAL, UserKind.SERVICE)
SHOWN = Shown().completed()
People = tuple[User, Group, Group]


@pytest.fixture
def people(store: Store) -> People:
    """Alice in staff, which is below everyone."""
    with store.write(ADMIN) as unit:
        everyone = unit.groups.add(builders.group("everyone"))
        staff = unit.groups.add(builders.group("staff", parents=frozenset({everyone.id})))
        alice = unit.users.add(builders.user("alice"))
        unit.memberships.set_groups(alice.id, [staff.id])
        unit.directory.begin()
    return alice, staff, everyone


def logged(store: Store, change: Callable[[Unit], object]) -> set[tuple[str, UUID]]:
    """What a unit that does this logs, under its own revision."""
    with store.read() as unit:
        before = unit.directory.position(SHOWN)
    with store.write(ADMIN) as unit:
        change(unit)
    with store.read() as unit:
        touched = unit.directory.touched(Cursor(position=before), 1000)
        assert {each.revision for each in touched} <= {unit.revision()}
    return {(each.kind, each.target) for each in touched}


def test_users_and_groups_are_logged_as_they_come_change_and_go(store: Store, people: People) -> None:
    alice, staff, _ = people
    bob, admins = builders.user("bob"), builders.group("admins")
    assert logged(store, lambda unit: unit.users.add(bob)) == {("user", bob.id)}
    assert logged(store, lambda unit: unit.users.update(replace(alice, name="Alicia"))) == {("user", alice.id)}
    assert logged(store, lambda unit: unit.users.remove(bob)) == {("user", bob.id)}
    assert logged(store, lambda unit: unit.groups.add(admins)) == {("group", admins.id)}
    renamed = replace(staff, name="all staff")
    assert logged(store, lambda unit: unit.groups.update(renamed)) == {("group", staff.id)}
    assert logged(store, lambda unit: unit.groups.remove(admins)) == {("group", admins.id)}


def moved(store: Store, clock: Clock, change: Callable[[Unit], object]) -> set[str]:
    """Names of those who were there whose time of the last change is that of a unit that does this; all are logged."""
    before = times(store)
    clock.advance(seconds=5)
    touched = {target for _, target in logged(store, change)}
    after = times(store)
    found = {key for key in before.keys() & after if before[key] != after[key]}
    assert {after[key][1] for key in found} <= {clock.now}
    assert found == touched & before.keys() & after.keys()
    return {after[key][0] for key in found}


def times(store: Store) -> dict[UUID, tuple[str, datetime]]:
    with store.read() as unit:
        entries = (*unit.directory.users(KINDS, SHOWN, None, 100)[0], *unit.directory.groups(SHOWN, None, 100)[0])
    return {entry.id: (entry.name, entry.updated) for entry in entries}


def test_membership_changes_both_sides(store: Store, clock: Clock, people: People) -> None:
    alice, staff, everyone = people
    with store.write(ADMIN) as unit:
        bob = unit.users.add(builders.user("bob"))
    both = [alice.id, bob.id]
    assert moved(store, clock, lambda unit: unit.memberships.set_groups(alice.id, [everyone.id])) == {
        "Alice",
        "staff",
        "everyone",
    }
    assert moved(store, clock, lambda unit: unit.memberships.set_users(staff.id, both)) == {"Alice", "Bob", "staff"}
    assert moved(store, clock, lambda unit: unit.memberships.set_users(staff.id, both)) == set()
    assert moved(store, clock, lambda unit: unit.memberships.set_users(staff.id, [bob.id])) == {"Alice", "staff"}


def test_nesting_changes_both_sides(store: Store, clock: Clock, people: People) -> None:
    _, staff, everyone = people
    new = builders.group("new", parents=frozenset({everyone.id, staff.id}))
    assert moved(store, clock, lambda unit: unit.groups.add(new)) == {"staff", "everyone"}
    alone = replace(staff, parents=frozenset())
    assert moved(store, clock, lambda unit: unit.groups.update(alone)) == {"staff", "everyone"}
    assert moved(store, clock, lambda unit: unit.groups.remove(new)) == {"staff", "everyone"}


def test_what_goes_with_a_group_changes_who_had_it(store: Store, clock: Clock, people: People) -> None:
    """Memberships and parents are deleted by the database, of its own accord."""
    alice, staff, everyone = people
    assert moved(store, clock, lambda unit: unit.groups.remove(everyone)) == {"staff"}
    assert moved(store, clock, lambda unit: unit.users.remove(alice)) == {"staff"}
    with store.write(ADMIN) as unit:
        bob = unit.users.add(builders.user("bob"))
        unit.memberships.set_groups(bob.id, [staff.id])
    assert moved(store, clock, lambda unit: unit.groups.remove(staff)) == {"Bob"}


def test_who_comes_with_memberships_has_the_times_it_came_with(store: Store, people: People) -> None:
    _, staff, _ = people
    carol = builders.user("carol", updated=builders.WHEN - timedelta(days=9))
    with store.write(ADMIN) as unit:
        unit.users.add(carol)
        unit.memberships.set_groups(carol.id, [staff.id])
    assert times(store)[carol.id] == ("Carol", carol.updated)


def test_however_many_join_a_group_changes_once(store: Store, people: People) -> None:
    _, staff, everyone = people
    with store.write(ADMIN) as unit:
        users = [unit.users.add(builders.user(f"u{number}")).id for number in range(900)]
    statements: list[str] = []

    def join(unit: Unit) -> None:
        for group in (staff, everyone):
            unit.memberships.set_users(group.id, users)

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(("UPDATE users", "UPDATE groups")):
            statements.append(statement.split()[1])

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        touched = logged(store, join)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)
    assert len(touched) == len(users) + 3
    assert sorted(statements) == ["groups", "users", "users"]


@pytest.mark.parametrize("fields", [{"password_hash": "$argon2id$new"}, {"last_sign_in": builders.WHEN}])
def test_what_no_entry_shows_is_not_logged(store: Store, people: People, fields: dict[str, Any]) -> None:
    alice = replace(people[0], last_sign_in=builders.WHEN - timedelta(days=1))
    logged(store, lambda unit: unit.users.update(alice))
    assert logged(store, lambda unit: unit.users.update(replace(alice, **fields))) == set()


def test_signing_in_is_not_logged(store: Store, people: People) -> None:
    alice, _, _ = people

    def sign_in(unit: Unit) -> None:
        unit.users.touch_sign_in(alice.id)
        unit.users.rehash_password(alice.id, "$argon2id$same")

    assert logged(store, sign_in) == set()


@pytest.mark.usefixtures("people")
def test_accounts_of_outposts_are_not_logged(store: Store) -> None:
    account = builders.user("ak-outpost-1", kind=UserKind.OUTPOST)
    assert logged(store, lambda unit: unit.users.add(account)) == set()
    assert logged(store, lambda unit: unit.users.update(replace(account, kind=UserKind.SERVICE))) == {
        ("user", account.id)
    }


def test_a_failed_unit_logs_nothing(store: Store, people: People) -> None:
    with store.read() as unit:
        before = unit.directory.position(SHOWN)
    with pytest.raises(ZeroDivisionError), store.write(ADMIN) as unit:
        unit.users.update(replace(people[0], name="Alicia"))
        _ = 1 / 0
    with store.read() as unit:
        assert unit.directory.touched(Cursor(position=before), 10) == []
        assert unit.directory.position(SHOWN) == before


@pytest.mark.usefixtures("people")
def test_the_log_is_read_in_pages(store: Store) -> None:
    with store.read() as unit:
        begin = unit.directory.position(SHOWN)
    with store.write(ADMIN) as unit:
        first = {unit.users.add(builders.user(f"u{number}")).id for number in range(5)}
    with store.write(ADMIN) as unit:
        last = unit.users.add(builders.user("last")).id
    with store.read() as unit:
        (one, two, three) = unit.directory.touched(Cursor(position=begin), 3)
        rest = unit.directory.touched(Cursor(position=begin, beyond=three), 10)
    assert {one.target, two.target, three.target} | {each.target for each in rest[:-1]} == first
    assert rest[-1].target == last
    assert len(rest) == 3


def test_entries_are_what_they_are_now(store: Store, people: People) -> None:
    alice, staff, everyone = people
    team = Shown(users=frozenset({"team"}))
    with store.write(ADMIN) as unit:
        attributes = {"team": "blue", "salary": 1}
        unit.users.update(replace(alice, email="a@example.com", attributes=attributes, password_changed=builders.WHEN))
        unit.memberships.set_groups(alice.id, [everyone.id, staff.id])
        unit.users.add(builders.user("ak-outpost-1", kind=UserKind.OUTPOST))
        unit.users.add(builders.user("robot", kind=UserKind.SERVICE, active=False))
    with store.read() as unit:
        users = {entry.name: entry for entry in unit.directory.users(KINDS, team, None, 10)[0]}
        groups = {entry.name: entry for entry in unit.directory.groups(SHOWN, None, 10)[0]}
    assert users["Alice"] == DirectoryUser(
        id=alice.id,
        username="alice",
        name="Alice",
        email="a@example.com",
        active=True,
        groups=tuple(sorted((everyone.id, staff.id))),
        attributes='{"team": "blue"}',
        number=1,
        created=builders.WHEN,
        updated=builders.WHEN,
        password_changed=builders.WHEN,
    )
    assert groups["staff"] == DirectoryGroup(
        id=staff.id,
        name="staff",
        superuser=False,
        parents=(everyone.id,),
        attributes="{}",
        number=1_000_001,
        created=builders.WHEN,
        updated=builders.WHEN,
    )
    assert set(users) == {"Alice", "Robot"}


def test_all_are_read_in_pages(store: Store) -> None:
    kinds = list(UserKind)
    with store.write(ADMIN) as unit:
        added = [unit.users.add(builders.user(f"u{number}", kind=kinds[number % 3])) for number in range(9)]
        for number in range(7):
            unit.groups.add(builders.group(f"g{number}"))
    with store.read() as unit:
        pages = paged(lambda after: unit.directory.users(KINDS, SHOWN, after, 2))
        assert [entry.id for entry in pages] == sorted(user.id for user in added if user.kind in KINDS)
        assert len({entry.id for entry in paged(lambda after: unit.directory.groups(SHOWN, after, 2))}) == 7


def paged(read: Callable[[UUID | None], Page]) -> list[Entry]:
    """Page after page, some of which may be empty."""
    entries, after = read(None)
    found = list(entries)
    while after is not None:
        entries, after = read(after)
        found.extend(entries)
    return found


def test_touched_entries_are_read_and_those_gone_are_left_out(store: Store, people: People) -> None:
    alice, _, everyone = people
    with store.read() as unit:
        begin = unit.directory.position(SHOWN)
    with store.write(ADMIN) as unit:
        unit.groups.remove(everyone)
        unit.users.update(replace(alice, name="Alicia"))
        unit.users.add(builders.user("ak-outpost-1", kind=UserKind.OUTPOST))
    with store.read() as unit:
        touched = unit.directory.touched(Cursor(position=begin), 10)
        entries = list(unit.directory.entries(KINDS, SHOWN, touched))
    assert {entry.name for entry in entries} == {"staff", "Alicia"}
    assert {entry.parents for entry in entries if isinstance(entry, DirectoryGroup)} == {()}


def test_a_feed_without_a_beginning_begins_now(store: Store) -> None:
    for _ in range(2):
        with store.write(ADMIN) as unit:
            unit.directory.begin()
    with store.read() as unit:
        position = unit.directory.position(SHOWN)
        assert position.revision == unit.revision()
        assert unit.directory.leads_on(position, SHOWN)
        assert unit.directory.touched(Cursor(position=position), 10) == []


@pytest.mark.usefixtures("people")
def test_positions_lead_on_to_the_present_and_others_nowhere(store: Store) -> None:
    with store.read() as unit:
        first = unit.directory.position(SHOWN)
    with store.write(ADMIN) as unit:
        unit.users.add(builders.user("bob"))
    with store.write(ADMIN) as unit:
        unit.applications.add(builders.application("wiki"))
    with store.read() as unit:
        second = unit.directory.position(SHOWN)
        assert unit.revision() == second.revision + 1
        assert unit.directory.leads_on(first, SHOWN)
        assert unit.directory.leads_on(second, SHOWN)
        # Of a future, or of a past, that this database never had.
        assert not unit.directory.leads_on(replace(second, revision=second.revision + 1), SHOWN)
        assert not unit.directory.leads_on(replace(second, epoch=uuid4()), SHOWN)
        assert not unit.directory.leads_on(replace(first, revision=second.revision), SHOWN)


def test_the_log_is_trimmed_and_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "KEPT_CHANGES", 3)
    positions: list[Position] = []
    for number in range(6):
        with store.write(ADMIN) as unit:
            unit.users.add(builders.user(f"u{number}"))
        with store.read() as unit:
            positions.append(unit.directory.position(SHOWN))
    with store.write(ADMIN) as unit:
        assert unit.directory.trim() == 3
        assert unit.directory.trim() == 0
    with store.read() as unit:
        assert [unit.directory.leads_on(position, SHOWN) for position in positions] == [False] * 2 + [True] * 4
        assert len(unit.directory.touched(Cursor(position=positions[2]), 10)) == 3
        assert unit.directory.position(SHOWN) == positions[-1]


def test_a_unit_larger_than_the_log_is_trimmed_as_well(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "KEPT_CHANGES", 3)
    with store.write(ADMIN) as unit:
        unit.directory.begin()
    with store.read() as unit:
        before = unit.directory.position(SHOWN)
    with store.write(ADMIN) as unit:
        for number in range(6):
            unit.users.add(builders.user(f"u{number}"))
    with store.write(ADMIN) as unit:
        assert unit.directory.trim() == 6
    with store.read() as unit:
        assert not unit.directory.leads_on(before, SHOWN)
        assert unit.directory.leads_on(unit.directory.position(SHOWN), SHOWN)


def position(store: Store) -> Position:
    with store.read() as unit:
        return unit.directory.position(SHOWN)


def leads_on(store: Store, place: Position) -> bool:
    with store.read() as unit:
        return unit.directory.leads_on(place, SHOWN)


def attributes_of(store: Store, *sources: str, groups: Collection[str] = ()) -> tuple[dict[str, str], dict[str, str]]:
    """What leaves of attributes where these are shown, by name."""
    shown = Shown(users=frozenset(sources), groups=frozenset(groups)).completed()
    with store.read() as unit:
        of_users, _ = unit.directory.users(KINDS, shown, None, 10)
        of_groups, _ = unit.directory.groups(shown, None, 10)
    return {each.name: each.attributes for each in of_users}, {each.name: each.attributes for each in of_groups}


def test_only_what_is_shown_goes_out(store: Store, people: People) -> None:
    alice, staff, _ = people
    secrets = {"salary": 7, "uidNumber": 5, "phone": {"home": "1", "work": "2"}, "gidNumber": "6", "shell": "/bin/sh"}
    with store.write(ADMIN) as unit:
        unit.users.update(replace(alice, attributes=secrets))
        unit.groups.update(replace(staff, attributes={"uidNumber": 1, "gidNumber": 2, "shell": "x", "unit": "north"}))
    assert attributes_of(store) == (
        {"Alice": '{"uidNumber": 5, "gidNumber": "6"}'},
        {"everyone": "{}", "staff": '{"gidNumber": 2}'},
    )
    assert attributes_of(store, "phone.work", "none.such", "shell", groups=["unit"]) == (
        {"Alice": '{"uidNumber": 5, "phone": {"work": "2"}, "gidNumber": "6", "shell": "/bin/sh"}'},
        {"everyone": "{}", "staff": '{"gidNumber": 2, "unit": "north"}'},
    )


def test_a_place_leads_on_where_the_same_is_shown_alone(store: Store, people: People) -> None:
    one, other = Shown(users=frozenset({"phone"})).completed(), Shown(groups=frozenset({"phone"})).completed()
    with store.read() as unit:
        places = [unit.directory.position(each) for each in (one, other)]
    with store.write(ADMIN) as unit:
        unit.users.update(replace(people[0], name="Alicia"))
    with store.read() as unit:
        leads = [[unit.directory.leads_on(place, each) for each in (one, other, SHOWN)] for place in places]
    assert leads == [[True, False, False], [False, True, False]]


def test_what_providers_show_changes_no_history(store: Store, people: People) -> None:
    with store.write(ADMIN) as unit:
        unit.users.update(replace(people[0], name="Alicia"))
    place = position(store)
    shown = (AttributeMapping(attribute="x", source="phone"),)
    provider = builders.ldap_provider(user_attributes=shown)
    assert logged(store, lambda unit: unit.ldap_providers.add(provider)) == set()
    assert logged(store, lambda unit: unit.ldap_providers.update(replace(provider, user_attributes=()))) == set()
    assert leads_on(store, place)


def test_what_a_provider_shows_is_asked_of_those_with_an_application(store: Store) -> None:
    shown = (AttributeMapping(attribute="x", source="phone"),)
    provider = builders.ldap_provider("one", user_attributes=shown, group_attributes=shown)
    with store.write(ADMIN) as unit:
        unit.ldap_providers.add(provider)
        unit.ldap_providers.add(builders.ldap_provider("unused"))
        unit.applications.add(builders.application("nothing"))
        unit.applications.add(builders.application("one", provider=provider.id))
        assert unit.ldap_providers.shown() == {
            provider.id: Shown(users=frozenset({"phone"}), groups=frozenset({"phone"}))
        }

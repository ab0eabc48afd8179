"""Reading many objects: a constant number of queries, and pages of long lists."""

from dataclasses import replace

import pytest

from control.domain.identity import UserKind
from control.domain.outpost import Outpost, OutpostType
from control.store import Store
from tests.support import builders
from tests.support.stores import ADMIN, statements

EVERYONE = tuple(UserKind)


def fill(store: Store, count: int) -> None:
    account = builders.user("service")
    with store.write(ADMIN) as unit:
        unit.users.add(account)
        top = unit.groups.add(builders.group("top"))
        for number in range(count):
            group = unit.groups.add(builders.group(f"g{number}", parents=frozenset({top.id})))
            provider = unit.providers.add(builders.provider(f"p{number}"))
            user = unit.users.add(builders.user(f"u{number}"))
            unit.memberships.set_groups(user.id, [group.id, top.id])
            unit.outposts.add(
                Outpost(
                    id=provider.id,
                    name=f"o{number}",
                    type=OutpostType.PROXY,
                    service_account=account.id,
                    providers=frozenset({provider.id}),
                    created=unit.now,
                )
            )


def test_lists_with_links_take_two_queries(store: Store) -> None:
    fill(store, 12)
    with store.read() as unit:
        seen = statements(unit)
        groups = unit.groups.all()
        outposts = unit.outposts.all()
        assert len(seen) == 4
    assert [len(group.parents) for group in groups] == [1] * 12 + [0]
    assert all(outpost.providers == {outpost.id} for outpost in outposts)


def test_many_are_found_in_one_query(store: Store) -> None:
    fill(store, 3)
    with store.read() as unit:
        users = unit.users.all()
        seen = statements(unit)
        wanted = [users[0].id, users[1].id, builders.user("nobody").id]
        assert unit.users.find_many(wanted) == {user.id: user for user in users[:2]}
        assert len(seen) == 1
        assert unit.users.find_many([]) == {}


def test_more_keys_than_a_query_can_name(store: Store) -> None:
    with store.write(ADMIN) as unit:
        for number in range(600):
            unit.groups.add(builders.group(f"g{number:03}"))
        child = unit.groups.get_named("g599")
        unit.groups.update(replace(child, parents=frozenset({unit.groups.get_named("g000").id})))
    with store.read() as unit:
        groups = unit.groups.all()
        assert len(unit.groups.find_many([group.id for group in groups])) == 600
        assert len(groups[-1].parents) == 1
        assert unit.groups.get_named("g599").parents == {groups[0].id}


def test_groups_of_users_and_members_of_groups(store: Store) -> None:
    fill(store, 3)
    with store.read() as unit:
        users = [unit.users.get_named(f"u{number}").id for number in range(3)]
        found = unit.memberships.groups_of_each(users)
        assert [len(found[user]) for user in users] == [2, 2, 2]
        counts = unit.memberships.counts()
        assert counts[unit.groups.get_named("top").id] == 3
        assert counts[unit.groups.get_named("g1").id] == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [("AL", ["alice", "sally"]), ("doe", ["alice"]), ("@corp", ["bob"]), ("%", ["per%cent"]), ("_", []), ("zz", [])],
)
def test_searching_users(store: Store, text: str, names: list[str]) -> None:
    with store.write(ADMIN) as unit:
        unit.users.add(builders.user("alice", name="Alice Doe"))
        unit.users.add(builders.user("bob", email="bob@corp.example"))
        unit.users.add(builders.user("sally"))
        unit.users.add(builders.user("per%cent"))
    with store.read() as unit:
        found, total = unit.users.search(text, EVERYONE, 0, 50)
        assert ([user.username for user in found], total) == (names, len(names))


def test_pages_of_users(store: Store) -> None:
    with store.write(ADMIN) as unit:
        for number in range(7):
            unit.users.add(builders.user(f"u{number}", kind=UserKind.OUTPOST if number == 3 else UserKind.INTERNAL))
    with store.read() as unit:
        found, total = unit.users.search("", [UserKind.INTERNAL], 3, 2)
        assert ([user.username for user in found], total) == (["u4", "u5"], 6)


def test_pages_of_members(store: Store) -> None:
    fill(store, 7)
    with store.read() as unit:
        found, total = unit.users.members(unit.groups.get_named("top").id, 5, 5)
        assert ([user.username for user in found], total) == (["u5", "u6"], 7)
        assert unit.users.members(unit.groups.get_named("g2").id, 0, 5)[1] == 1

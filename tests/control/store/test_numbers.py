"""Users and groups are numbered: each number is given once, whoever goes, and whoever writes at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from control.store import Store
from control.store.numbers import FIRST, GROUPS
from tests.support import builders
from tests.support.databases import Database
from tests.support.stores import ADMIN, Clock, rolled_back


def test_users_and_groups_are_numbered_as_they_come(store: Store) -> None:
    with store.write(ADMIN) as unit:
        users = [unit.users.add(builders.user(name, number=77)).number for name in ("zoe", "al")]
        groups = [unit.groups.add(builders.group(name)).number for name in ("staff", "all")]
    assert (users, groups) == ([1, 2], [1_000_000, 1_000_001])
    with store.read() as unit:
        assert {user.username: user.number for user in unit.users.all()} == {"zoe": 1, "al": 2}
        assert {group.name: group.number for group in unit.groups.all()} == {"staff": 1_000_000, "all": 1_000_001}
        assert (unit.numbers.last_of_users(), unit.numbers.last_of_groups()) == (2, 1_000_001)


def test_a_number_stays_whatever_is_stored(store: Store) -> None:
    with store.write(ADMIN) as unit:
        zoe, staff = unit.users.add(builders.user("zoe")), unit.groups.add(builders.group("staff"))
        changed = unit.users.update(replace(zoe, name="Zoë", number=9))
        assert changed.number == 1
        assert unit.groups.update(replace(staff, superuser=True, number=9)).number == FIRST[GROUPS]
        # Another number alone is no change.
        changes = len(unit.changes)
        unit.users.update(replace(changed, number=12))
        assert len(unit.changes) == changes
    with store.read() as unit:
        assert (unit.users.get(zoe.id).number, unit.groups.get(staff.id).number) == (1, FIRST[GROUPS])


def test_a_number_is_never_given_again(store: Store) -> None:
    with store.write(ADMIN) as unit:
        zoe, staff = unit.users.add(builders.user("zoe")), unit.groups.add(builders.group("staff"))
    with store.write(ADMIN) as unit:
        unit.users.remove(zoe)
        unit.groups.remove(staff)
    with store.write(ADMIN) as unit:
        assert unit.users.add(builders.user("zoe")).number == zoe.number + 1
        assert unit.groups.add(builders.group("staff")).number == staff.number + 1


def test_what_was_rolled_back_has_given_nothing(store: Store) -> None:
    with rolled_back(store) as unit:
        unit.users.add(builders.user("zoe"))
    with store.write(ADMIN) as unit:
        assert unit.users.add(builders.user("al")).number == 1


def test_many_who_write_at_once_get_numbers_of_their_own(database: Database, clock: Clock) -> None:
    stores = [database.store(clock) for _ in range(6)]
    together = threading.Barrier(len(stores))

    def add(place: int) -> list[int]:
        together.wait(30)
        given = []
        for number in range(5):
            with stores[place].write(ADMIN) as unit:
                given.append(unit.users.add(builders.user(f"u{place}-{number}")).number)
        return given

    with ThreadPoolExecutor(len(stores)) as pool:
        given = [number for each in pool.map(add, range(len(stores))) for number in each]
    assert sorted(given) == list(range(1, 31))

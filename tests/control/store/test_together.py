"""Many units at once: writers one after the other, readers on one snapshot, and nobody waits for ever."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from control.domain.errors import Invalid
from control.store import DatabaseBusy, NotWriting, Sealer, Store, Unit, engine, postgresql
from tests.support import builders
from tests.support.databases import KEY, Database
from tests.support.stores import ADMIN, Clock


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections opened from now on wait for 20 ms."""
    monkeypatch.setattr(engine, "SQLITE_BUSY_MS", 20)
    monkeypatch.setitem(postgresql.SESSION, "lock_timeout", "20ms")


@pytest.mark.usefixtures("impatient")
def test_a_unit_that_waited_too_long_for_another_says_so(store: Store) -> None:
    with store.write(ADMIN), pytest.raises(DatabaseBusy), store.write(ADMIN):
        pass
    with store.write(ADMIN) as unit:
        unit.groups.add(builders.group())


def test_a_reader_sees_one_moment(store: Store) -> None:
    with store.write(ADMIN) as unit:
        staff = unit.groups.add(builders.group("staff"))
    with store.read() as reader:
        seen = reader.revision(), reader.groups.all()
        with store.write(ADMIN) as writer:
            writer.groups.update(replace(staff, name="renamed"))
            writer.groups.add(builders.group("another"))
        assert (reader.revision(), reader.groups.all()) == seen
    with store.read() as unit:
        assert [group.name for group in unit.groups.all()] == ["another", "renamed"]


@pytest.mark.parametrize(
    "write",
    [
        lambda unit: unit.groups.add(builders.group("more")),
        lambda unit: unit.groups.update(replace(unit.groups.get_named("staff"), superuser=True)),
        lambda unit: unit.groups.remove(unit.groups.get_named("staff")),
        lambda unit: unit.users.touch_sign_in(uuid4()),
    ],
    ids=["add", "update", "remove", "touch"],
)
def test_a_reader_may_not_write(store: Store, write: Callable[[Unit], object]) -> None:
    with store.write(ADMIN) as unit:
        unit.groups.add(builders.group("staff"))
    with pytest.raises(NotWriting), store.read() as unit:
        write(unit)
    # The connection goes back to the pool and may write for others.
    with store.write(ADMIN) as unit:
        write(unit)


def test_a_writer_sees_what_was_written_while_it_waited(database: Database, clock: Clock) -> None:
    """Of two that add to what they read neither loses the other's part."""
    stores = [database.store(clock) for _ in range(2)]
    with stores[0].write(ADMIN) as unit:
        key = unit.users.add(builders.user("alice", attributes={"n": 0})).id

    def count(store: Store) -> None:
        for _ in range(10):
            with store.write(ADMIN) as unit:
                alice = unit.users.get(key)
                unit.users.update(replace(alice, attributes={"n": alice.attributes["n"] + 1}))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, stores * 2))
    with stores[1].read() as unit:
        assert (unit.users.get(key).attributes, unit.revision()) == ({"n": 40}, 42)


def test_by_the_databases_time_units_follow_each_other(database: Database) -> None:
    """Whenever they began to wait."""
    stores = [Store(database.engine(), Sealer(KEY), None, lambda: None) for _ in range(4)]
    times: list[datetime] = []

    def write(store: Store) -> None:
        for _ in range(10):
            with store.write(ADMIN) as unit:
                times.append(unit.now)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, stores))
    with stores[0].read() as unit:
        times.append(unit.now)
    assert sorted(times) == times
    assert abs(times[-1] - datetime.now(UTC)) < timedelta(seconds=5)


def test_of_two_that_take_a_name_one_is_told(database: Database, clock: Clock) -> None:
    stores, start = [database.store(clock) for _ in range(4)], threading.Barrier(4)

    def take(store: Store) -> str:
        start.wait(10)
        try:
            with store.write(ADMIN) as unit:
                unit.groups.add(builders.group("staff"))
        except Invalid as error:
            return error.problems[0].code
        return "taken"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(take, stores)) == ["already_taken", "already_taken", "already_taken", "taken"]


def test_revisions_appear_in_their_order(database: Database, clock: Clock) -> None:
    """Who saw a revision has seen all before it: what each one brought is there."""
    stores = [database.store(clock) for _ in range(3)]

    def write(store: Store) -> None:
        for _ in range(15):
            with store.write(ADMIN) as unit:
                unit.groups.add(builders.group(f"g{unit.revision() + 1}"))

    def look(store: Store) -> bool:
        last = 1
        while last < 31:
            with store.read() as unit:
                last, names = unit.revision(), {group.name for group in unit.groups.all()}
            if names != {f"g{number}" for number in range(2, last + 1)}:
                return False
        return True

    with ThreadPoolExecutor(3) as pool:
        looked = pool.submit(look, stores[2])
        list(pool.map(write, stores[:2]))
        assert looked.result(30)

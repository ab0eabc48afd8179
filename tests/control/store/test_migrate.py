"""Migrations: they lead to today's tables, once, whoever starts at the same moment."""

from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from control.store.migrate import differences, is_in_use, upgrade
from tests.support import builders
from tests.support.databases import Database
from tests.support.stores import ADMIN, Clock


def test_migrations_lead_to_the_tables(empty_database: Database) -> None:
    engine = empty_database.engine()
    upgrade(engine)
    assert differences(engine) == []


def test_migrating_twice_changes_nothing(database: Database, clock: Clock) -> None:
    with database.store(clock).write(ADMIN) as unit:
        unit.groups.add(builders.group())
    upgrade(database.engine())
    with database.store(clock).read() as unit:
        assert (unit.revision(), unit.groups.count()) == (2, 1)


def test_four_that_start_at_once_migrate_once(empty_database: Database) -> None:
    engines = [empty_database.engine() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, engines))
    with engines[0].connect() as connection:
        assert connection.execute(sa.text("SELECT n FROM revision")).scalars().all() == [1]


def test_a_database_is_in_use_once_something_was_written(empty_database: Database, clock: Clock) -> None:
    engine = empty_database.engine()
    assert not is_in_use(engine)
    upgrade(engine)
    assert not is_in_use(engine)
    with empty_database.store(clock).write(ADMIN) as unit:
        unit.groups.add(builders.group())
    assert is_in_use(engine)

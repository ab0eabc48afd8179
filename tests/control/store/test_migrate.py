"""Migrations: they lead to today's tables, once, whoever starts at the same moment."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from control.store.migrate import UnfitDatabase, differences, is_in_use, upgrade
from tests.support import builders
from tests.support.databases import Database
from tests.support.postgres import PostgresServer
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


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def unfit(request: pytest.FixtureRequest, postgres: PostgresServer) -> Iterator[Database]:
    """A database that can't hold every letter."""
    with postgres.empty_database(f"ENCODING '{request.param}' LOCALE 'C'") as name:
        database = Database(postgres.url(name))
        yield database
        database.close()


@pytest.mark.interop
def test_a_database_that_cannot_hold_every_letter_is_refused(unfit: Database) -> None:
    with pytest.raises(UnfitDatabase, match=r"found a database in (LATIN1|SQL_ASCII); expected one in UTF8"):
        upgrade(unfit.engine())


@pytest.mark.interop
def test_text_is_ordered_by_code_point_whatever_the_database_was_made_for(postgres: PostgresServer) -> None:
    with postgres.empty_database("LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LOCALE 'C.UTF-8'") as name:
        database = Database(postgres.url(name))
        engine = database.engine()
        upgrade(engine)
        assert differences(engine) == []
        with engine.connect() as connection:
            question = (
                "SELECT collation_name, count(*) FROM information_schema.columns"
                " WHERE table_schema = 'public' AND data_type IN ('character varying', 'text') GROUP BY 1"
            )
            ((collation, count),) = connection.execute(sa.text(question)).all()
        assert (collation, count > 50) == ("C", True)
        database.close()

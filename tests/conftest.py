"""Fixtures that every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from control.store import Store
from tests.support.databases import POSTGRESQL, SQLITE, Database, postgresql_database, sqlite_database
from tests.support.healings import pytest_terminal_summary
from tests.support.heap import pytest_collection_finish
from tests.support.lanes import pytest_collection_modifyitems, pytest_xdist_make_scheduler
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.stores import Clock, Wakes

__all__ = [
    "clock", "database", "database_kind", "postgres", "pytest_collection_finish", "pytest_collection_modifyitems",
    "pytest_terminal_summary", "pytest_xdist_make_scheduler", "store", "wakes",
]  # fmt: skip

# How long an example takes says how busy the machine is.
settings.register_profile("garrison", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("garrison")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wakes() -> Wakes:
    return Wakes()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """PostgreSQL, started when the first test asks for it."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def database_kind() -> str:
    """Which database the test stands on; folders whose tests run on both say so in their conftest."""
    return SQLITE


@pytest.fixture
def database(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A migrated database of the test's own."""
    if database_kind == POSTGRESQL:
        made = postgresql_database(request.getfixturevalue("postgres"))
    else:
        made = sqlite_database(tmp_path / "garrison.db")
    with made as database:
        yield database


@pytest.fixture
def store(database: Database, clock: Clock, wakes: Wakes) -> Store:
    return database.store(clock, wakes)

"""The store is tested on every database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import BOTH, POSTGRESQL, Database, postgresql_database, sqlite_database


@pytest.fixture(params=BOTH)
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_database(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """One without a table."""
    if database_kind == POSTGRESQL:
        made = postgresql_database(request.getfixturevalue("postgres"), migrated=False)
    else:
        made = sqlite_database(tmp_path / "empty.db", migrated=False)
    with made as database:
        yield database

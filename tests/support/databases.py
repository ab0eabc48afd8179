"""The databases that tests stand on: SQLite everywhere, and PostgreSQL where its tests may start a server.

Each test has its own, made by copying one that was migrated once.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import Dialect, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import Pool, QueuePool
from sqlalchemy.util import LRUCache

from control.store import Sealer, Store, open_engine
from control.store.migrate import upgrade
from tests.support.peers_program import eventually
from tests.support.postgres import PostgresServer

SQLITE, POSTGRESQL = "sqlite", "postgresql"
BOTH = (SQLITE, pytest.param(POSTGRESQL, marks=(pytest.mark.interop, pytest.mark.postgresql)))
KEY = b"k" * 32
_compiled: LRUCache[Any, Any] = LRUCache(2000)


class Database:
    """One database. What a test opened there is closed at the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engines: list[Engine] = []

    @property
    def kind(self) -> str:
        """SQLITE or POSTGRESQL."""
        return self.url.partition(":")[0]

    def engine(self) -> Engine:
        """Another engine on it, as another process would have."""
        engine = open_engine(self.url)
        if self.kind == SQLITE:
            event.listen(engine, "connect", _wait_for_no_disk)
            # Statements are compiled once for all tests, not again for each of thousands of databases.
            engine.dialect = _sqlite()
            engine.update_execution_options(compiled_cache=_compiled)
        self._engines.append(engine)
        return engine

    def store(self, clock: Callable[[], datetime], wake: Callable[[], None] = lambda: None) -> Store:
        """Another store on it."""
        return Store(self.engine(), Sealer(KEY), clock, wake)

    def close(self) -> None:
        """Close all connections, when threads that a test leaves behind have given theirs back."""
        for engine in self._engines:
            event.listen(engine, "do_connect", _refuse)
            # Before, as a pool that is disposed of forgets what it has lent, and nobody would close that.
            eventually(partial(_is_idle, engine.pool), "connections are given back")
            engine.dispose()


def _wait_for_no_disk(connection: DBAPIConnection, _record: object) -> None:
    """No test has its machine lose power; otherwise each would wait for the disk, once more when it ends."""
    connection.cursor().execute("PRAGMA synchronous = OFF")


def _refuse(*_: object) -> NoReturn:
    raise ConnectionError("the test has ended, and its database is closed")


def _is_idle(pool: Pool) -> bool:
    return not isinstance(pool, QueuePool) or pool.checkedout() == 0


@contextmanager
def sqlite_database(path: Path, *, migrated: bool = True) -> Iterator[Database]:
    """One in a file."""
    if migrated:
        path.write_bytes(_migrated_file())
    database = Database(f"sqlite:///{path}")
    try:
        yield database
    finally:
        database.close()


@contextmanager
def postgresql_database(server: PostgresServer, *, migrated: bool = True) -> Iterator[Database]:
    """One of a running server."""
    with server.migrated_database() if migrated else server.empty_database() as name:
        database = Database(server.url(name))
        try:
            yield database
        finally:
            database.close()


@cache
def _sqlite() -> Dialect:
    """What SQLAlchemy has found out of the SQLite here: the same for each database, and part of the cache's keys."""
    engine = create_engine("sqlite://")
    engine.connect().close()
    engine.dispose()
    return engine.dialect


@cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "migrated.db"
        engine = open_engine(f"sqlite:///{path}")
        upgrade(engine)
        engine.dispose()
        return path.read_bytes()

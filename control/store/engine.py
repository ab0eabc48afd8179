"""Opening the database. SQLite is made to behave: write-ahead log, foreign keys, and transactions that we begin.

A writing unit begins with BEGIN IMMEDIATE there, since a busy time-out does not help a read that becomes a write.
"""

import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

WRITES = "garrison_writes"
SQLITE_BUSY_MS = 10_000


class DatabaseBusy(OperationalError):
    """Another unit of work has been writing for longer than one waits; trying again later is all there is to do."""


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:///…` or `postgresql+psycopg://…`."""
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection type
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", f"busy_timeout={SQLITE_BUSY_MS}", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    except OperationalError as error:
        if not isinstance(error.orig, sqlite3.Error) or error.orig.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        raise DatabaseBusy(error.statement, error.params, error.orig) from error

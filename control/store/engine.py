"""Opening the database, SQLite or PostgreSQL, and beginning transactions there so that both behave alike.

Units that write come one after the other on both. On SQLite such a unit begins with BEGIN IMMEDIATE, since a busy
time-out does not help a read that becomes a write; `control.store.postgresql` says how it is done there.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NoReturn

from sqlalchemy import Connection, Engine, Executable, create_engine, event

from control.store import postgresql
from control.store.columns import UNICODE_LOWER

SQLITE_BUSY_MS = 10_000
SQLITE_AGAIN_SECONDS = 0.01
# How often to look for commits of others: where they are announced, only in case one was not heard.
LOOK_SECONDS = {"sqlite": 0.25, "postgresql": 1.0}
_OPTION = "garrison_begin"
_SPELLINGS = ("postgresql+psycopg://", "postgres://")


class NotWriting(Exception):
    """A unit that reads was about to write."""


class Begin(StrEnum):
    """How a transaction begins: for a look, as a writer, or as one that waits for as long as it takes."""

    READING = "reading"
    WRITING = "writing"
    MIGRATING = "migrating"


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:///…` or `postgresql://…`. Raises postgresql.BadUrl."""
    if not url.startswith("sqlite"):
        engine = postgresql.make_engine(plain_url(url))
        event.listen(engine, "begin", _begin_postgresql)
        return engine
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def plain_url(url: str) -> str:
    """The URL as libpq spells it."""
    spelt = next((spelling for spelling in _SPELLINGS if url.startswith(spelling)), "")
    return f"postgresql://{url.removeprefix(spelt)}" if spelt else url


def beginning(engine: Engine, how: Begin) -> Engine:
    """The same engine, with transactions that begin so."""
    reads = how is Begin.READING
    options: dict[str, object] = {_OPTION: how}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ" if reads else "READ COMMITTED", "postgresql_readonly": reads}
    begun = engine.execution_options(**options)
    if reads:
        event.listen(begun, "before_execute", _refuse_to_write)
    return begun


def _refuse_to_write(_connection: Connection, statement: Executable, *_: object) -> None:
    if statement.is_dml:
        raise NotWriting


def time_of(connection: Connection) -> datetime:
    """What time it is where the database is."""
    return postgresql.time_of(connection) if connection.dialect.name == "postgresql" else datetime.now(UTC)


def announce(connection: Connection) -> None:
    """Tell whoever listens of the commit that is about to be."""
    if connection.dialect.name == "postgresql":
        postgresql.announce(connection)


async def listen(engine: Engine, heard: Callable[[], None], listening: Callable[[bool], None]) -> NoReturn:
    """Call `heard` for each announced commit, for ever; on SQLite nothing is announced."""
    if engine.dialect.name == "postgresql":
        await postgresql.listen(engine, heard, listening)
    while True:
        await asyncio.get_running_loop().create_future()


def _begin_postgresql(connection: Connection) -> None:
    how = connection.get_execution_options().get(_OPTION, Begin.READING)
    if how is Begin.READING:
        postgresql.begin_reading(connection)
    else:
        postgresql.begin_writing(connection, patiently=how is Begin.MIGRATING)


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection type
    connection.isolation_level = None
    for pragma in (f"busy_timeout={SQLITE_BUSY_MS}", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    _use_write_ahead_log(connection)
    connection.create_function(UNICODE_LOWER, 1, str.lower, deterministic=True)


def _use_write_ahead_log(connection: Any) -> None:  # noqa: ANN401 - the driver's own connection type
    """Two that do this for a new file at the same moment get in each other's way, and no busy time-out helps there."""
    deadline = time.monotonic() + SQLITE_BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(SQLITE_AGAIN_SECONDS)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get(_OPTION, Begin.READING) is Begin.READING
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

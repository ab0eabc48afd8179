"""What the database can fail at through no fault of ours, told in our own words whatever driver it came from.

`DatabaseUnavailable` is worth another try later: the server is away, restarts or fails over. `DatabaseUnwritable` is,
once somebody has seen to its disk. `DatabaseBusy` is worth one soon: somebody else held what was needed for too long.
Everything else is a bug and stays what it is.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Result codes of SQLite (https://www.sqlite.org/rescode.html): primary ones in the low byte of the extended ones.
_SQLITE_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_SQLITE_UNWRITABLE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY})
# What a disk that Linux has made read-only, since it fails, answers to writes.
_SQLITE_WRITE_FAILED = frozenset(
    {
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
    }
)
_SQLITE_AWAY = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
# SQLSTATE (PostgreSQL's manual, appendix A): transactions rolled back for others' sake, locks and statements that took
# too long; a full disk, a standby. Then by class: connections, resources, an operator's intervention; and a transaction
# that was idle too long.
_POSTGRESQL_BUSY = frozenset({"40001", "40P01", "55P03", "57014"})
_POSTGRESQL_UNWRITABLE = frozenset({"53100", "25006"})
_POSTGRESQL_AWAY = ("08", "53", "57P", "58", "25P03", "25P04")


class DatabaseUnavailable(OperationalError):
    """The database doesn't answer, or not as it should; it may do so later."""


class DatabaseUnwritable(DatabaseUnavailable):
    """The disk is full, read-only or failing: nothing can be written. What was committed is there and can be read."""


class DatabaseBusy(DatabaseUnavailable):
    """Another unit of work has been writing for longer than one waits; trying again later is all there is to do."""


@contextmanager
def told_plainly() -> Iterator[None]:
    """Raise DatabaseUnavailable, or one of its kinds, for what the block meets of them."""
    try:
        yield
    except SQLAlchemyError as error:
        kind = find_kind(error)
        if kind is None or isinstance(error, kind):
            raise
        raise _of_kind(kind, error) from _cause(error)


def find_kind(error: SQLAlchemyError) -> type[DatabaseUnavailable] | None:
    """Which of ours an error is; None when it is a bug, or the caller's fault."""
    if isinstance(error, PoolTimeout):
        return DatabaseBusy
    if not isinstance(error, DBAPIError):
        return None
    match error.orig:
        case sqlite3.Error() as told:
            return _of_sqlite(told)
        case psycopg.Error() as told:
            return _of_postgresql(told)
        case _:
            return None


def _of_sqlite(error: sqlite3.Error) -> type[DatabaseUnavailable] | None:
    # Errors that SQLite didn't raise itself, such as bad parameters, have no code.
    extended = error.sqlite_errorcode if hasattr(error, "sqlite_errorcode") else 0
    code = extended & 0xFF
    if code in _SQLITE_BUSY:
        return DatabaseBusy
    if code in _SQLITE_UNWRITABLE or extended in _SQLITE_WRITE_FAILED:
        return DatabaseUnwritable
    return DatabaseUnavailable if code in _SQLITE_AWAY else None


def _of_postgresql(error: psycopg.Error) -> type[DatabaseUnavailable] | None:
    state = error.sqlstate
    if state in _POSTGRESQL_BUSY:
        return DatabaseBusy
    if state in _POSTGRESQL_UNWRITABLE:
        return DatabaseUnwritable
    # Without a state it is libpq that speaks: of a connection that couldn't be made, or was lost.
    is_away = isinstance(error, psycopg.OperationalError) if state is None else state.startswith(_POSTGRESQL_AWAY)
    return DatabaseUnavailable if is_away else None


def _of_kind(kind: type[DatabaseUnavailable], error: SQLAlchemyError) -> DatabaseUnavailable:
    """Without the statement's parameters, which may be secrets."""
    statement = error.statement if isinstance(error, DBAPIError) else None
    return kind(statement, None, _cause(error), hide_parameters=True)


def _cause(error: SQLAlchemyError) -> BaseException:
    """What the driver said."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def first_line(error: SQLAlchemyError) -> str:
    """What the driver said, as far as it fits on a line."""
    return next(iter(str(_cause(error)).splitlines()), type(error).__name__)

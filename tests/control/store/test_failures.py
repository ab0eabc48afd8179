"""What SQLite fails at through no fault of ours, as it says itself; PostgreSQL has a file of its own."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from control.store import DatabaseBusy, DatabaseUnavailable, DatabaseUnwritable
from control.store.failures import find_kind, told_plainly


def test_a_full_disk(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'db'}")
    with pytest.raises(DatabaseUnwritable) as caught, told_plainly(), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 2")
        connection.exec_driver_sql("CREATE TABLE t (x)")
        connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(100000))")
    assert "full" in str(caught.value.orig)


def test_a_read_only_database(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "db").close()
    (tmp_path / "db").touch()
    engine = sa.create_engine(f"sqlite:///file:{tmp_path / 'db'}?mode=ro&uri=true")
    with pytest.raises(DatabaseUnwritable), told_plainly(), engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'gone' / 'db'}")
    with pytest.raises(DatabaseUnavailable) as caught, told_plainly(), engine.connect():
        pass
    assert not isinstance(caught.value, DatabaseUnwritable | DatabaseBusy)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_IOERR_WRITE, DatabaseUnwritable),
        (sqlite3.SQLITE_IOERR_FSYNC, DatabaseUnwritable),
        (sqlite3.SQLITE_IOERR_READ, DatabaseUnavailable),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, DatabaseBusy),
        (sqlite3.SQLITE_CORRUPT, None),
    ],
)
def test_extended_codes(code: int, kind: type[DatabaseUnavailable] | None) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    assert find_kind(OperationalError("COMMIT", None, error)) is kind


def test_what_is_our_fault_stays_what_it_is(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'db'}")
    with pytest.raises(IntegrityError), told_plainly(), engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x UNIQUE)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1), (1)")

"""Bringing a database to the tables of today, under a lock: two programs that start at once migrate once.

`python -m control.store.migrate check` compares the migrations with the tables; `… new MESSAGE` writes the next one.
"""

import sys
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine

from control.store import tables
from control.store.engine import Begin, beginning, open_engine
from control.store.failures import told_plainly

FIRST_REVISION = 1


class UnfitDatabase(Exception):
    """A database that can't hold our tables: what it is and what was expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"found {found}; expected {expected}")
        self.found = found
        self.expected = expected


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing and make the revision's one row. Raises UnfitDatabase."""
    with told_plainly(), beginning(engine, Begin.MIGRATING).begin() as connection:
        _expect_fit(connection)
        command.upgrade(_config(connection), "head")
        _order_by_code_point(connection)
        if connection.execute(sa.select(tables.revision.c.n)).first() is None:
            connection.execute(sa.insert(tables.revision).values(id=1, n=FIRST_REVISION))


def _expect_fit(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        encoding = connection.execute(sa.text("SHOW server_encoding")).scalar_one()
        if encoding != "UTF8":
            raise UnfitDatabase(f"a database in {encoding}", "one in UTF8")


def _order_by_code_point(connection: Connection) -> None:
    """Let PostgreSQL order text as SQLite and Python do, whatever language the database was made for.

    Done for what any migration has made, so that none has to think of it.
    """
    if connection.dialect.name != "postgresql":
        return
    for table, column, kind in connection.execute(sa.text(_OTHERWISE_ORDERED)).all():
        quote = connection.dialect.identifier_preparer.quote
        connection.exec_driver_sql(f'ALTER TABLE {quote(table)} ALTER {quote(column)} TYPE {kind} COLLATE "C"')


_OTHERWISE_ORDERED = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
    AND l.collname <> 'C'
"""


def is_in_use(engine: Engine) -> bool:
    """Whether anything was ever written, so that there are secrets which another key wouldn't open."""
    with told_plainly(), engine.connect() as connection:
        if not sa.inspect(connection).has_table(tables.revision.name):
            return False
        return (connection.execute(sa.select(tables.revision.c.n)).scalar() or 0) > FIRST_REVISION


def differences(engine: Engine) -> list[object]:
    """What the tables have that the migrated database has not, and the other way round."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, tables.metadata))


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _main(arguments: list[str]) -> int:
    engine = open_engine("sqlite://")
    if arguments[:1] == ["new"]:
        upgrade_in_memory(engine, arguments[1])
        return 0
    upgrade(engine)
    found = differences(engine)
    sys.stdout.writelines(f"{difference}\n" for difference in found)
    return 1 if found else 0


def upgrade_in_memory(engine: Engine, message: str) -> None:
    """Write the migration that leads from the existing ones to the tables."""
    versions = Path(__file__).parent / "migrations" / "versions"
    with engine.connect() as connection:
        if any(versions.glob("*.py")):
            command.upgrade(_config(connection), "head")
        command.revision(
            _config(connection), message, autogenerate=True, rev_id=f"{len(list(versions.glob('*.py'))) + 1:04}"
        )


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))

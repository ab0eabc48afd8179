"""PostgreSQL, made to behave as the rest of the store expects: what SQLite does by itself is asked for here.

- A unit that reads has one snapshot (REPEATABLE READ READ ONLY).
- Units that write come one after the other, behind one advisory lock that is taken first and goes with the transaction:
  no race that SQLite excludes can happen here. READ COMMITTED, so that they see what was written while they waited.
- Nobody waits for ever: for a lock, for a statement, or for a peer that vanished in the middle of a transaction.
- A commit is announced by NOTIFY, in the transaction; `listen` hears it on a connection of its own.

The URL goes to libpq as it is, so all its parameters work: TLS, several hosts, service files. SQLAlchemy never sees it.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import Dialect

WRITER_LOCK = 0x67617272  # "garr"; advisory locks are each database's own
CHANNEL = "garrison"
LISTEN_AGAIN_SECONDS = 1.0
# Kept open, and at most, by each process; whoever finds none free waits so long. Threads never hold two.
POOL_KEPT, POOL_MOST, POOL_SECONDS = 8, 20, 10.0
# What the URL doesn't say. A server that vanished without a word is noticed within half a minute.
DEFAULTS = {
    "application_name": "garrison",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
    "client_encoding": "utf8",
}
# Every statement of ours ends within seconds; more is a server in trouble.
SESSION = {"statement_timeout": "60s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "60s"}
# A writer that fell silent holds up all others, so it has less time than they are willing to wait.
WRITER = {"idle_in_transaction_session_timeout": "8s"}
# A migration takes as long as it takes, and so does waiting for one.
PATIENT = {"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0"}

_CONNINFO, _TIME = "garrison_conninfo", "garrison_time"
_LOCKED = sa.func.pg_advisory_xact_lock(WRITER_LOCK, type_=sa.String)
_CLOCK = sa.func.clock_timestamp(type_=sa.DateTime(timezone=True))

log = logging.getLogger("control.store")


class BadUrl(ValueError):
    """No connection string of libpq. What was found isn't told: there may be a password in it."""


def conninfo(url: str) -> str:
    """What libpq is told, from the URL and our defaults. Raises BadUrl."""
    try:
        return make_conninfo("", **{**DEFAULTS, **conninfo_to_dict(url)})
    except psycopg.ProgrammingError:
        raise BadUrl("a URL that libpq understands, like postgresql://user:password@host:5432/database") from None


def make_engine(url: str) -> Engine:
    """An engine whose pool finds out by itself that the server was restarted."""
    wanted = conninfo(url)
    engine = create_engine(
        "postgresql+psycopg://",
        pool_pre_ping=True,
        pool_size=POOL_KEPT,
        max_overflow=POOL_MOST - POOL_KEPT,
        pool_timeout=POOL_SECONDS,
        pool_use_lifo=True,
        use_native_hstore=False,
        hide_parameters=True,
        # Statements prepared on one connection are missing on another behind a pooler such as PgBouncer.
        connect_args={"prepare_threshold": None},
        execution_options={_CONNINFO: wanted},
    )

    def tell_where(_dialect: Dialect, _record: object, words: list[Any], _named: dict[str, Any]) -> None:
        words[:] = [wanted]

    event.listen(engine, "do_connect", tell_where)
    event.listen(engine, "connect", _prepare)
    return engine


def begin_writing(connection: Connection, *, patiently: bool) -> None:
    """Wait until nobody else writes, and note what time it is then. One journey to the server."""
    settings = PATIENT if patiently else WRITER
    calls = [*(sa.func.set_config(name, value, True) for name, value in settings.items()), _LOCKED]
    # MATERIALIZED makes sure that all of it is done, and before the time is asked for.
    held = sa.select(*(call.label(f"c{place}") for place, call in enumerate(calls))).cte("held")
    statement = sa.select(_CLOCK).select_from(held.prefix_with("MATERIALIZED"))
    connection.info[_TIME] = connection.execute(statement).scalar_one()


def begin_reading(connection: Connection) -> None:
    """The snapshot is taken by the first statement; what an earlier transaction left to know is forgotten."""
    connection.info.pop(_TIME, None)


def time_of(connection: Connection) -> datetime:
    """The server's time; of a writer, when it had waited for the others."""
    known: datetime | None = connection.info.pop(_TIME, None)
    time: datetime = known or connection.execute(sa.select(_CLOCK)).scalar_one()
    return time.astimezone(UTC)


def announce(connection: Connection) -> None:
    """Tell all who listen, once the transaction is committed."""
    connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


async def listen(engine: Engine, heard: Callable[[], None], listening: Callable[[bool], None]) -> NoReturn:
    """Call `heard` for each commit, for ever; `listening` says whether that is so just now.

    Also called when it begins to listen: something may have been committed before.
    """
    wanted, answers = engine.get_execution_options()[_CONNINFO], True
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(wanted, autocommit=True) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                answers = True
                listening(True)
                heard()
                async for _ in connection.notifies():
                    heard()
        except psycopg.Error as error:
            # Said once, until it answers again.
            log.log(logging.WARNING if answers else logging.DEBUG, "can't listen for commits", extra=_reason(error))
            answers = False
        finally:
            listening(False)
        await asyncio.sleep(LISTEN_AGAIN_SECONDS)


def _reason(error: psycopg.Error) -> dict[str, str]:
    return {"reason": next(iter(str(error).splitlines()), type(error).__name__)}


def _prepare(connection: psycopg.Connection[Any], _record: object) -> None:
    settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SESSION.items())
    connection.execute(f"SELECT {settings}")
    connection.commit()

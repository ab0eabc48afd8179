"""What only PostgreSQL needs: sessions set up, failures told plainly, restarts healed, notices, the password kept."""

import asyncio
import logging
import traceback
from collections.abc import Callable
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from control.store import DatabaseBusy, DatabaseUnavailable, DatabaseUnwritable, Store, open_engine, postgresql
from tests.support import builders
from tests.support.databases import POSTGRESQL, Database
from tests.support.peers_program import eventually
from tests.support.peers_tls import self_signed
from tests.support.postgres import ENCODED, PASSWORD, PostgresServer
from tests.support.stores import ADMIN, Clock

pytestmark = pytest.mark.interop


@pytest.fixture
def database_kind() -> str:
    return POSTGRESQL


@pytest.fixture
def name(database: Database) -> str:
    """The database's name."""
    return urlsplit(database.url).path.strip("/")


def ask(store: Store, question: str, *, writing: bool = False) -> object:
    with store.write(ADMIN) if writing else store.read() as unit:
        return unit.users.context.connection.execute(sa.text(question)).scalar_one()


def cut_all(postgres: PostgresServer, name: str) -> None:
    """End all sessions of a database, as a restart of the server does."""
    statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}"
    postgres.execute(sql.SQL(statement).format(sql.Literal(name)))


@pytest.mark.parametrize(
    ("setting", "reading", "writing"),
    [
        ("transaction_isolation", "repeatable read", "read committed"),
        ("transaction_read_only", "on", "off"),
        ("statement_timeout", "1min", "1min"),
        ("lock_timeout", "10s", "10s"),
        ("idle_in_transaction_session_timeout", "1min", "8s"),
        ("application_name", "garrison", "garrison"),
        ("server_encoding", "UTF8", "UTF8"),
    ],
)
def test_transactions_are_set_up(store: Store, setting: str, reading: str, writing: str) -> None:
    for _ in range(2):  # on the same connection of the pool
        assert ask(store, f"SHOW {setting}") == reading
        assert ask(store, f"SHOW {setting}", writing=True) == writing


def test_a_writer_that_falls_silent_is_cut_and_leaves_nothing(database: Database, clock: Clock) -> None:
    silent, other = database.store(clock), database.store(clock)
    with pytest.raises(DatabaseUnavailable), silent.write(ADMIN) as unit:
        unit.groups.add(builders.group("lost"))
        # This one's alone, and only from here on: whoever is merely slow is not cut.
        hasten = sa.text("SET LOCAL idle_in_transaction_session_timeout = '50ms'")
        unit.users.context.connection.execute(hasten)
        with other.write(ADMIN) as theirs:  # waits until the silent one is cut
            theirs.groups.add(builders.group("kept"))
        unit.groups.add(builders.group("late"))
    with silent.read() as unit:
        assert [group.name for group in unit.groups.all()] == ["kept"]


def test_a_statement_that_takes_too_long_is_told(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgresql.SESSION, "statement_timeout", "20ms")
    with pytest.raises(DatabaseBusy):
        ask(database.store(clock), "SELECT 1 FROM pg_sleep(30)")


def test_a_pool_that_is_used_up_is_told(database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "POOL_MOST", postgresql.POOL_KEPT)
    monkeypatch.setattr(postgresql, "POOL_SECONDS", 0.02)
    store = database.store(clock)

    def hold(more: int) -> None:
        with store.read() as unit:
            unit.revision()
            if more:
                hold(more - 1)

    hold(postgresql.POOL_KEPT - 1)
    with pytest.raises(DatabaseBusy):
        hold(postgresql.POOL_KEPT)


def test_sessions_that_were_cut_heal(store: Store, postgres: PostgresServer, name: str) -> None:
    with store.write(ADMIN) as unit:
        unit.groups.add(builders.group("before"))
    cut_all(postgres, name)
    with store.write(ADMIN) as unit:
        unit.groups.add(builders.group("after"))
    with pytest.raises(DatabaseUnavailable), store.write(ADMIN) as unit:
        unit.groups.add(builders.group("lost"))
        cut_all(postgres, name)
    with store.read() as unit:
        assert [group.name for group in unit.groups.all()] == ["after", "before"]


def test_a_server_that_is_away_is_told_and_that_is_back_serves(store: Store, postgres: PostgresServer) -> None:
    with store.read() as unit:
        unit.revision()
    postgres.stop()
    try:
        with pytest.raises(DatabaseUnavailable), store.read() as unit:
            unit.revision()
    finally:
        postgres.start()
    with store.read() as unit:
        assert unit.revision() == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.SerializationFailure, DatabaseBusy),
        (psycopg.errors.DeadlockDetected, DatabaseBusy),
        (psycopg.errors.LockNotAvailable, DatabaseBusy),
        (psycopg.errors.TooManyConnections, DatabaseUnavailable),
        (psycopg.errors.CannotConnectNow, DatabaseUnavailable),
        (psycopg.errors.DiskFull, DatabaseUnwritable),
        (psycopg.errors.ReadOnlySqlTransaction, DatabaseUnwritable),
        (psycopg.errors.UniqueViolation, sa.exc.IntegrityError),
        (psycopg.errors.UndefinedTable, sa.exc.ProgrammingError),
    ],
)
def test_what_may_pass_is_told_from_bugs(store: Store, error: type[psycopg.Error], kind: type[Exception]) -> None:
    """The server itself raises each of them."""
    raised = f"DO $$ BEGIN RAISE EXCEPTION 'told' USING ERRCODE = '{error.sqlstate}'; END $$"
    with pytest.raises(kind) as caught, store.write(ADMIN) as unit:
        unit.users.context.connection.exec_driver_sql(raised)
    assert type(caught.value) is kind


class TestThePassword:
    """It stands in the URL and nowhere else."""

    def test_it_is_used(self, postgres: PostgresServer, name: str, clock: Clock) -> None:
        database = Database(postgres.tcp_url(name))
        assert ask(database.store(clock), "SELECT current_user") == "garrison"
        database.close()

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda url: url.replace(ENCODED, "wrong-" + ENCODED),
            lambda url: url.replace("127.0.0.1", "nowhere.invalid"),
            lambda url: url.replace("127.0.0.1", "192.0.2.1") + "?connect_timeout=1&tcp_user_timeout=100",
            lambda url: url + "_missing",
            lambda url: url + "?sslmode=verify-full&sslrootcert=/nowhere",
        ],
    )
    def test_errors_keep_it(
        self, postgres: PostgresServer, name: str, clock: Clock, spoil: Callable[[str], str]
    ) -> None:
        database = Database(spoil(postgres.tcp_url(name)))
        with pytest.raises(DatabaseUnavailable) as caught:
            ask(database.store(clock), "SELECT 1")
        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert "of/the" not in told
        assert "of%2Fthe" not in told
        database.close()

    @pytest.mark.parametrize("query", ["?frob=1", "?sslmode=%zz", " x=y"])
    def test_a_url_that_nobody_understands_keeps_it(self, postgres: PostgresServer, query: str) -> None:
        with pytest.raises(postgresql.BadUrl) as caught:
            open_engine(postgres.tcp_url("any") + query)
        told = "".join(traceback.format_exception(caught.value))
        assert "of%2Fthe" not in told

    def test_logs_keep_it(
        self, postgres: PostgresServer, name: str, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        database = Database(postgres.tcp_url(name))
        store = database.store(clock)

        async def play() -> None:
            listened: asyncio.Queue[bool] = asyncio.Queue()
            task = asyncio.create_task(store.listen(lambda: None, listened.put_nowait))
            assert await listened.get()
            await asyncio.to_thread(cut_all, postgres, name)
            assert not await listened.get()
            task.cancel()

        asyncio.run(play())
        engine = database.engine()
        logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
        assert "can't listen for commits" in logged
        for text in (logged, repr(engine), str(engine.url), repr(engine.pool.status()), repr(store)):
            assert PASSWORD not in text
            assert ENCODED not in text
        database.close()


class TestTls:
    """The URL's parameters reach libpq."""

    def test_the_server_is_verified(self, postgres: PostgresServer, name: str, clock: Clock) -> None:
        url = postgres.tcp_url(name, sslmode="verify-full", sslrootcert=str(postgres.certificate))
        database = Database(url.replace("127.0.0.1", "localhost"))
        assert ask(database.store(clock), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
        database.close()

    def test_another_server_is_refused(
        self, postgres: PostgresServer, name: str, clock: Clock, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        other, _ = self_signed(tmp_path_factory.mktemp("other"), "localhost")
        url = postgres.tcp_url(name, sslmode="verify-full", sslrootcert=str(other))
        database = Database(url.replace("127.0.0.1", "localhost"))
        with pytest.raises(DatabaseUnavailable, match="certificate verify failed"):
            ask(database.store(clock), "SELECT 1")
        database.close()

    def test_of_several_hosts_the_one_that_answers_serves(
        self, postgres: PostgresServer, name: str, clock: Clock
    ) -> None:
        url = postgres.tcp_url(name, target_session_attrs="read-write")
        database = Database(url.replace("@127.0.0.1", "@127.0.0.1:1,127.0.0.1"))
        assert ask(database.store(clock), "SELECT 1") == 1
        database.close()


class TestNotices:
    """A commit is heard by whoever listens, on whichever machine."""

    @pytest.fixture
    def writer(self, database: Database, clock: Clock) -> Store:
        return database.store(clock)

    def test_a_commit_is_heard_and_what_is_rolled_back_is_not(self, store: Store, writer: Store) -> None:
        async def play() -> None:
            heard: asyncio.Queue[int] = asyncio.Queue()
            task = asyncio.create_task(store.listen(lambda: heard.put_nowait(revision(store)), lambda _: None))
            assert await asyncio.wait_for(heard.get(), 5) == 1  # it begins to listen
            with pytest.raises(ZeroDivisionError), writer.write(ADMIN) as unit:
                unit.groups.add(builders.group("lost"))
                _ = 1 / 0
            with writer.write(ADMIN) as unit:
                unit.users.find_named("a look is no change")
            with writer.write(ADMIN) as unit:
                unit.groups.add(builders.group())
            assert await asyncio.wait_for(heard.get(), 5) == 2
            assert heard.empty()
            task.cancel()

        asyncio.run(play())

    def test_a_listener_that_was_cut_listens_again_and_looks(
        self, store: Store, writer: Store, postgres: PostgresServer, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgresql, "LISTEN_AGAIN_SECONDS", 0.01)

        async def play() -> None:
            states: asyncio.Queue[bool] = asyncio.Queue()
            heard: asyncio.Queue[int] = asyncio.Queue()
            task = asyncio.create_task(store.listen(lambda: heard.put_nowait(revision(writer)), states.put_nowait))
            assert await asyncio.wait_for(states.get(), 5)
            assert await asyncio.wait_for(heard.get(), 5) == 1
            await asyncio.to_thread(cut_all, postgres, name)
            assert not await asyncio.wait_for(states.get(), 5)
            assert await asyncio.wait_for(states.get(), 5)
            assert await asyncio.wait_for(heard.get(), 5) == 1
            task.cancel()

        asyncio.run(play())


def revision(store: Store) -> int:
    """The newest."""
    found: list[int] = []

    def look() -> bool:
        with store.read() as unit:
            found.append(unit.revision())
        return True

    eventually(look, "the database answers")
    return found[-1]

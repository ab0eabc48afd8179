"""A PostgreSQL server of the tests' own: Debian's programs on a folder of a moment, one for a whole run.

It gives up durability for speed and nothing else. A migrated database is lent to one test after the other and emptied
in between, which takes milliseconds. The server refuses to run as root, so there it runs as Debian's `postgres`.
"""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from control.store import open_engine
from control.store.migrate import upgrade
from tests.support.peers_program import MissingPeer, Program, eventually, free_port, plain_environment
from tests.support.peers_tls import self_signed

PROGRAMS = Path("/usr/lib/postgresql")
ACCOUNT = "postgres"
OWNER, PASSWORD = "garrison", "pa55-of/the@database"
ENCODED = "pa55-of%2Fthe%40database"
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "ssl": "on",
    "log_statement": "none",
}
# What migrations put into tables is kept in a schema of its own, and put back when a test has ended. Triggers, and with
# them foreign keys, rest meanwhile; whoever is still connected is cut.
REMEMBER = """
DO $$ DECLARE t text; BEGIN
    CREATE SCHEMA pristine;
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('CREATE TABLE pristine.%I AS TABLE public.%I', t, t);
    END LOOP;
END $$"""
FORGET = """
DO $$ DECLARE t text; BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('DELETE FROM public.%I', t);
        EXECUTE format('INSERT INTO public.%I SELECT * FROM pristine.%I', t, t);
    END LOOP;
END $$"""
_numbers = itertools.count(1)


class PostgresServer:
    """A running server. By its socket everybody is let in, over TCP only who knows the password."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._program: Program | None = None
        self._migrated: list[str] = []
        self._make()

    @property
    def program(self) -> Program:
        """The running process."""
        assert self._program is not None, "PostgreSQL was not started"
        return self._program

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [f"--{name}={value}" for name, value in self._settings().items()]
        command = [*_as_account(), str(_program("postgres")), "-D", str(self.folder / "data"), *options]
        self._program = Program("postgres", command)
        eventually(self._answers, "PostgreSQL answers", alive=self._program)

    def stop(self) -> None:
        """End it at once but in order, whoever is connected."""
        self.program.process.send_signal(signal.SIGINT)
        self.program.process.wait(30)
        self.program.stop()

    def url(self, database: str) -> str:
        """The address of a database by the socket."""
        return f"postgresql://{OWNER}@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database: str, **parameters: str) -> str:
        """The address of a database over TCP, with the password."""
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"postgresql://{OWNER}:{ENCODED}@127.0.0.1:{self.port}/{database}" + (f"?{query}" if query else "")

    @property
    def certificate(self) -> Path:
        """The certificate it shows over TCP; it is its own authority."""
        return self.folder / "web.pem"

    @contextmanager
    def empty_database(self, options: LiteralString = "") -> Iterator[str]:
        """The name of a new database without a table, which is gone afterwards; `options` of CREATE DATABASE."""
        name = self._create(options)
        try:
            yield name
        finally:
            self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def migrated_database(self) -> Iterator[str]:
        """The name of a database with today's tables and nothing in them but what migrations put there."""
        name = self._migrated.pop() if self._migrated else self._create_migrated()
        try:
            yield name
        finally:
            self.execute(sql.SQL(FORGET), name)
            self._migrated.append(name)

    def execute(self, statement: sql.SQL | sql.Composed, database: str = "postgres") -> list[tuple[object, ...]]:
        """What a statement of the superuser gives, outside of any transaction."""
        with self._connect(database) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _create(self, options: LiteralString = "") -> str:
        name = f"test_{next(_numbers)}"
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 {}")
        self.execute(statement.format(sql.Identifier(name), sql.Identifier(OWNER), sql.SQL(options)))
        return name

    def _create_migrated(self) -> str:
        name = self._create()
        engine = open_engine(self.url(name))
        upgrade(engine)
        engine.dispose()
        self.execute(sql.SQL(REMEMBER), name)
        return name

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        host = str(self.folder)
        return psycopg.connect(host=host, port=self.port, user=ACCOUNT, dbname=database, autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _settings(self) -> dict[str, str]:
        return {
            **SETTINGS,
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "ssl_cert_file": str(self.certificate),
            "ssl_key_file": str(self.certificate.with_suffix(".key")),
        }

    def _make(self) -> None:
        _, key = self_signed(self.folder, "localhost")
        key.chmod(0o600)
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, ACCOUNT)
        command = [
            *_as_account(), str(_program("initdb")), "--pgdata", str(self.folder / "data"), "--username", ACCOUNT,
            "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync",
        ]  # fmt: skip
        subprocess.run(command, env=plain_environment(), capture_output=True, check=True)
        self.start()
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        self.execute(statement.format(sql.Identifier(OWNER), sql.Literal(PASSWORD)))


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server until the block ends."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        try:
            yield server
        finally:
            server.stop()


def _program(name: str) -> Path:
    found = sorted(PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise MissingPeer(f"{name} is not installed (Debian package postgresql; scripts/peers.txt)")
    return found[-1]


def _as_account() -> tuple[str, ...]:
    """What runs a command as Debian's account where we are root, and ends it with the thread that started it.

    A test that takes too long ends the whole run without a word; no server is to stay behind.
    """
    tether = ("setpriv", "--pdeathsig", "INT")
    if os.geteuid() != 0:
        return tether
    # In this order: Linux forgets the tether when the account changes.
    return "setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups", *tether

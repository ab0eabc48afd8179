"""Opening what the settings name: the data folder, the installation's key, and the database with its tables of today.

What doesn't fit together is said before anything is written: another key than the database was made with opens nothing
of it, and a mistyped folder is no new installation.
"""

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine

from control.settings import SHORTEST_SECRET_KEY, BadSetting, Settings
from control.store import DatabaseUnavailable, Sealer, SealingError, Store, open_engine
from control.store.failures import first_line
from control.store.migrate import UnfitDatabase, is_in_use, upgrade

# How long a start waits for the database, and how long between two looks.
START_SECONDS, START_AGAIN_SECONDS = 60.0, 1.0
log = logging.getLogger("control.settings")


def open_store(settings: Settings, *, migrate: bool) -> Store:
    """The database, brought to today's tables where `migrate`; the data folder and its key are made when missing.

    Raises BadSetting, DatabaseUnavailable.
    """
    make_folders(settings)
    _close_database(settings)
    engine = open_engine(settings.database_url)
    is_old = is_in_use(engine)
    if is_old:
        _expect_key(settings)
    if migrate:
        _upgrade(engine)
    store = Store(engine, Sealer(secret_key(settings)), None, _waker(settings))
    if is_old:
        _expect_right_key(settings, store)
    return store


def wait_for_store(settings: Settings, seconds: float = START_SECONDS) -> Store:
    """The database brought to today's tables, for a program that starts with its machine: PostgreSQL may start later.

    Raises as open_store, DatabaseUnavailable only after so many seconds.
    """
    deadline = time.monotonic() + (0 if settings.is_sqlite else seconds)
    while True:
        try:
            return open_store(settings, migrate=True)
        except DatabaseUnavailable as error:
            if time.monotonic() >= deadline:
                raise
            log.warning("the database doesn't answer yet", extra={"reason": first_line(error)})
            time.sleep(START_AGAIN_SECONDS)


def _upgrade(engine: Engine) -> None:
    try:
        upgrade(engine)
    except UnfitDatabase as error:
        raise BadSetting("GARRISON_DATABASE_URL", error.found, error.expected) from error


def _waker(settings: Settings) -> Callable[[], None]:
    """How the link hears of a commit; PostgreSQL tells it itself, on every machine."""
    return waker(settings.run / "wake.sock") if settings.is_sqlite else lambda: None


def _close_database(settings: Settings) -> None:
    """Take from others what an earlier version, or a copy, may have left open to them."""
    scheme, _, path = settings.database_url.partition(":///")
    if scheme != "sqlite":
        return
    for file in (Path(path), Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(FileNotFoundError):
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)


def expect_database(settings: Settings) -> None:
    """Raise BadSetting where there is no database yet, so that a mistyped folder doesn't become a new installation."""
    scheme, _, path = settings.database_url.partition(":///")
    if scheme == "sqlite" and not Path(path).exists():
        raise BadSetting("--data", str(settings.data), f"a data folder of garrison; there is no {Path(path).name}")


def make_folders(settings: Settings) -> None:
    """Make the data folder, for its owner only. Raises BadSetting."""
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.run.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        expected = f"a folder that can be written ({error.strerror})"
        raise BadSetting("--data", str(settings.data), expected) from error


def _expect_key(settings: Settings) -> None:
    """A new key would open nothing of a database in use, and stand in the way of the right one."""
    path = settings.data / "secret.key"
    if settings.secret_key is None and not path.exists():
        raise BadSetting(str(path), "no file", "the key of the database that is there, or GARRISON_SECRET_KEY")


def _expect_right_key(settings: Settings, store: Store) -> None:
    """Look at once whether the key opens what is sealed: every installation has an authority, made at its start."""
    try:
        with store.read() as unit:
            unit.authorities.all()
    except SealingError as error:
        name = str(settings.data / "secret.key") if settings.secret_key is None else "GARRISON_SECRET_KEY"
        raise BadSetting(name, "another key", "the key that the database was made with") from error


def secret_key(settings: Settings) -> bytes:
    """The installation's secret key: the one set, or the one in the data folder, made when there is none."""
    if settings.secret_key is not None:
        return settings.secret_key.encode()
    path = settings.data / "secret.key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        text = path.read_text().strip()
        if len(text) < SHORTEST_SECRET_KEY:
            raise BadSetting(str(path), f"{len(text)} characters", "the key that the database was made with") from None
        return text.encode()
    text = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    return text.encode()


def waker(path: Path) -> Callable[[], None]:
    """A call that tells the link that something was committed; nobody listening is no error, it also looks itself."""

    def wake() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            datagrams.setblocking(False)
            try:
                datagrams.sendto(b"", str(path))
            except OSError:
                return

    return wake

"""A real database for tests: migrated, sealed, with a clock that stands still until told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from control.store import Actor, Sealer, Store, Unit, open_engine
from control.store.migrate import upgrade

ADMIN = Actor(name="akadmin", address="192.0.2.7", request_id="r1")


@dataclass
class Clock:
    """A clock that a test moves by hand."""

    now: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@dataclass
class Wakes:
    """Counts how often listeners were woken."""

    count: int = 0
    also: list[Callable[[], None]] = field(default_factory=list)

    def __call__(self) -> None:
        self.count += 1
        for call in self.also:
            call()


def make_store(path: Path, clock: Callable[[], datetime], wake: Callable[[], None]) -> Store:
    """A migrated SQLite store in a file."""
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    return Store(engine, Sealer(b"k" * 32), clock, wake)


class _RollBack(Exception):
    """Ends a unit that is to leave nothing."""


@contextmanager
def rolled_back(store: Store) -> Iterator[Unit]:
    """A unit that may write and leaves nothing."""
    with suppress(_RollBack), store.write(ADMIN) as unit:
        yield unit
        raise _RollBack


def statements(unit: Unit) -> list[str]:
    """The statements that the unit runs from now on, its end included."""
    seen: list[str] = []
    unit.revision()  # so that BEGIN is over
    sa.event.listen(
        unit.users.context.connection, "before_cursor_execute", lambda *arguments: seen.append(arguments[2])
    )
    return seen

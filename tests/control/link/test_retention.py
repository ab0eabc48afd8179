"""Old audit events go, a few at a time, and nobody who writes waits long for that."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.exc import OperationalError

from control.domain.security import AuditEvent
from control.link.retention import keep_short, shorten
from control.store import SYSTEM, Store
from tests.support.links import Control, eventually
from tests.support.stores import ADMIN, Clock, Wakes

KEPT = timedelta(days=30)


@pytest.fixture
def trail(store: Store, clock: Clock) -> None:
    """One event a day for a hundred days."""
    with store.write(SYSTEM) as unit:
        unit.audit.record(made(clock, day) for day in range(100))


def made(clock: Clock, day: int) -> AuditEvent:
    at = clock.now - timedelta(days=day)
    said = {"actor": "alice", "action": "created", "kind": "group", "target": "", "name": str(day)}
    return AuditEvent(id=uuid4(), at=at, recorded=clock.now, **said)  # type: ignore[arg-type] # texts


def days(store: Store) -> list[int]:
    with store.read() as unit:
        return [int(event.name) for event in unit.audit.latest(1000) if event.name.isdecimal()]


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize("batch", [7, 1000])
def test_what_is_older_goes(store: Store, batch: int) -> None:
    asyncio.run(shorten(store, KEPT, batch, 0))
    assert days(store) == list(range(31))


@pytest.mark.usefixtures("trail")
def test_others_write_in_between(store: Store) -> None:
    async def play() -> None:
        dropping = asyncio.ensure_future(shorten(store, KEPT, 5, 0.01))
        written = 0
        while not dropping.done():
            await asyncio.to_thread(write, store)
            written += 1
        await dropping
        assert written > 3

    asyncio.run(play())
    assert days(store) == list(range(31))


def write(store: Store) -> None:
    with store.write(ADMIN) as unit:
        unit.sign_ins.drop_expired()


@pytest.mark.usefixtures("trail")
def test_the_link_does_it(control: Control) -> None:
    control.audit_kept = KEPT

    async def play() -> None:
        async with control.link():
            await eventually(lambda: len(days(control.store)) == 31)

    asyncio.run(play())


@pytest.mark.usefixtures("trail")
def test_nothing_goes_where_everything_is_kept(store: Store) -> None:
    async def play() -> None:
        keeping = asyncio.ensure_future(keep_short(store, None))
        await asyncio.sleep(0)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(play())
    assert days(store) == list(range(100))


@pytest.mark.usefixtures("trail")
def test_what_fails_is_said_and_tried_again(
    store: Store, wakes: Wakes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_actor: object) -> None:
        raise OperationalError("DELETE", {}, Exception("disk"))

    with monkeypatch.context() as patched:
        patched.setattr(store, "write", fail)
        asyncio.run(shorten(store, KEPT))
    assert "old audit events could not be dropped" in caplog.text
    asyncio.run(shorten(store, KEPT))
    assert len(days(store)) == 31
    assert wakes.count == 0

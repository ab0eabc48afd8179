"""The audit trail in the database: read from a place on, narrowed by anything, appended once, dropped from its end."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from control.domain.audit import AuditFilter, Place, place_of
from control.domain.security import AuditEvent
from control.store import SYSTEM, Store, Unit
from control.store.trail import OVERLAP, follow, parts
from tests.support.databases import SQLITE
from tests.support.stores import ADMIN, Clock, statements

NAMES = ("red team", "100% sure", "100 sure", "a_b", "axb", "ÄRGER", "ärger", "'; DROP TABLE audit_events; --", "\\")


def make(clock: Clock, number: int, **fields: Any) -> AuditEvent:
    """One of many events, three of which share each moment."""
    at = clock.now - timedelta(minutes=number // 3)
    usual = {
        "id": UUID(int=number * 7919 % 1009),
        "at": at,
        "recorded": at,
        "actor": ("alice", "bob", "cli")[number % 3],
        "action": ("created", "signed_in")[number % 2],
        "kind": ("user", "group", "application", "user")[number % 4],
        "target": f"t{number % 5}",
        "name": NAMES[number % len(NAMES)],
        "address": ("192.0.2.7", "")[number % 2],
        "outcome": ("success", "success", "failure", "access_denied")[number % 4],
        "request_id": f"r{number // 2}",
        "outpost": ("", "edge", "west")[number % 3],
    }
    return AuditEvent(**{**usual, **fields})


@pytest.fixture
def trail(store: Store, clock: Clock) -> list[AuditEvent]:
    """Two hundred events, newest first."""
    events = [make(clock, number) for number in range(200)]
    with store.write(SYSTEM) as unit:
        unit.audit.record(events)
    return sorted(events, key=place_of, reverse=True)


def paged(store: Store, wanted: AuditFilter, size: int) -> list[AuditEvent]:
    """All that is found, a page at a time, newest first."""
    found: list[AuditEvent] = []
    place: Place | None = None
    with store.read() as unit:
        while page := unit.audit.older(wanted, place, size):
            found += page
            place = place_of(page[-1])
    return found


@pytest.mark.parametrize("size", [1, 7, 200])
def test_pages_have_everything_once_and_in_order(store: Store, trail: list[AuditEvent], size: int) -> None:
    assert paged(store, AuditFilter(), size) == trail
    upwards = [event for part in parts(store, AuditFilter(), size) for event in part]
    assert upwards == trail[::-1]


def matching(trail: list[AuditEvent], judge: Callable[[AuditEvent], bool]) -> list[AuditEvent]:
    found = [event for event in trail if judge(event)]
    assert found
    return found


FILTERS: list[tuple[dict[str, str], Callable[[AuditEvent], bool]]] = [
    ({"actor": "alice"}, lambda event: event.actor == "alice"),
    ({"action": "signed_in"}, lambda event: event.action == "signed_in"),
    ({"kind": "group"}, lambda event: event.kind == "group"),
    ({"target": "t3"}, lambda event: event.target == "t3"),
    ({"outcome": "success"}, lambda event: event.outcome == "success"),
    ({"outcome": "failure"}, lambda event: event.outcome != "success"),
    ({"outcome": "access_denied"}, lambda event: event.outcome == "access_denied"),
    ({"address": "192.0.2.7"}, lambda event: event.address == "192.0.2.7"),
    ({"outpost": "edge"}, lambda event: event.outpost == "edge"),
    ({"request_id": "r17"}, lambda event: event.request_id == "r17"),
    ({"name": "TEAM"}, lambda event: event.name == "red team"),
    ({"name": "0%"}, lambda event: event.name == "100% sure"),
    ({"name": "a_b"}, lambda event: event.name == "a_b"),
    ({"name": "Ärg"}, lambda event: event.name in {"ÄRGER", "ärger"}),
    ({"name": "\\"}, lambda event: event.name == "\\"),
    ({"name": "'; DROP"}, lambda event: event.name.startswith("'; DROP")),
    ({"actor": "alice", "outcome": "failure"}, lambda event: event.actor == "alice" and event.outcome != "success"),
]


@pytest.mark.parametrize(("given", "judge"), FILTERS, ids=[str(given) for given, _ in FILTERS])
def test_filters(
    store: Store, trail: list[AuditEvent], given: dict[str, str], judge: Callable[[AuditEvent], bool]
) -> None:
    wanted = AuditFilter(**given)  # type: ignore[arg-type] # texts
    assert paged(store, wanted, 9) == matching(trail, judge)
    assert [event for part in parts(store, wanted, 9) for event in part] == matching(trail, judge)[::-1]


def test_times(store: Store, trail: list[AuditEvent], clock: Clock) -> None:
    since, until = clock.now - timedelta(minutes=20), clock.now - timedelta(minutes=10)
    found = paged(store, AuditFilter(since=since, until=until), 4)
    assert found == matching(trail, lambda event: since <= event.at < until)
    assert {since, until} & {event.at for event in found} == {since}


@pytest.mark.parametrize("text", ["%", "_", "al%", "a\0", "\ud800", "' OR 1=1 --", "x" * 500, "ALICE"])
def test_nothing_but_the_whole_word_is_found(store: Store, trail: list[AuditEvent], text: str) -> None:
    assert trail
    for name in ("actor", "action", "kind", "target", "outcome", "address", "outpost", "request_id"):
        wanted = AuditFilter(**{name: text})  # type: ignore[arg-type] # a text
        assert paged(store, wanted, 9) == []


@pytest.mark.parametrize("text", ["\0", "\ud800", "%%", "__", "' OR 1=1 --"])
def test_no_text_is_more_than_text(store: Store, trail: list[AuditEvent], text: str) -> None:
    assert trail
    assert paged(store, AuditFilter(name=text), 9) == []


def test_what_is_said_is_kept_whatever_it_is(store: Store, clock: Clock) -> None:
    said = make(clock, 1, name="a\0b" + "x" * 600, actor="\ud800" * 300, reason="\x1b[2J\nnext", fields=("ä", "\n"))
    with store.write(SYSTEM) as unit:
        unit.audit.record([said])
    with store.read() as unit:
        kept = unit.audit.get(said.id)
    assert (kept.name, kept.actor) == (("a\N{REPLACEMENT CHARACTER}b" + "x" * 600)[:500], "?" * 200)
    assert (kept.reason, kept.fields) == ("\x1b[2J\nnext", ("ä", "\n"))
    assert paged(store, AuditFilter(name="a\0b"), 5) == [kept]


def test_new_ones_are_kept_once_and_nothing_is_overwritten(store: Store, clock: Clock) -> None:
    first, second = make(clock, 1), make(clock, 2)
    forged = replace(first, actor="mallory")
    with store.write(SYSTEM) as unit:
        assert unit.audit.record_new([first, first]) == 1
        assert unit.audit.record_new([forged, second]) == 1
    with store.write(SYSTEM) as unit:
        assert unit.audit.record_new([forged, second]) == 0
        assert unit.audit.record_new([]) == 0
    assert paged(store, AuditFilter(), 5) == [first, second]


def test_words_are_those_there_are(store: Store, trail: list[AuditEvent]) -> None:
    with store.read() as unit:
        assert unit.audit.words("action") == sorted({event.action for event in trail})
        assert unit.audit.words("outpost") == ["", "edge", "west"]


def test_there_may_be_no_words(store: Store) -> None:
    with store.read() as unit:
        assert unit.audit.words("action") == []


def test_the_oldest_are_dropped_some_at_a_time(store: Store, trail: list[AuditEvent], clock: Clock) -> None:
    limit = clock.now - timedelta(minutes=30)
    old = [event for event in trail if event.at < limit]
    with store.read() as unit:
        before = unit.revision()
    dropped: list[int] = []
    while not dropped or dropped[-1]:
        with store.write(SYSTEM) as unit:
            dropped.append(unit.audit.drop_older(limit, 40))
    assert (sum(dropped), max(dropped)) == (len(old), 40)
    assert paged(store, AuditFilter(), 50) == trail[: len(trail) - len(old)]
    with store.read() as unit:
        assert unit.revision() == before


def test_every_filter_that_may_be_narrow_has_an_index(store: Store, database_kind: str) -> None:
    """As SQLite plans it; PostgreSQL plans by what the table holds."""
    if database_kind != SQLITE:
        return
    narrow = ("actor", "action", "kind", "target", "address", "outpost", "request_id")
    for wanted in (*(AuditFilter(**{name: "x"}) for name in narrow), AuditFilter(outcome="failure"), AuditFilter()):  # type: ignore[arg-type] # texts
        plan = plan_of(store, wanted)
        assert any("USING INDEX ix_audit_events_" in step for step in plan), (wanted, plan)
        assert not any("USE TEMP B-TREE FOR ORDER BY" in step for step in plan), (wanted, plan)


def plan_of(store: Store, wanted: AuditFilter) -> list[str]:
    with store.read() as unit:
        connection, seen = unit.audit.context.connection, statements(unit)
        arguments: list[Any] = []
        sa.event.listen(connection, "before_cursor_execute", lambda *given: arguments.append(given[3]))
        unit.audit.older(wanted, Place(at=unit.now, id=uuid4()), 5)
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {seen[-1]}", arguments[-1])
        return [row[3] for row in rows]


def test_an_export_ends_though_events_keep_coming(store: Store, trail: list[AuditEvent], clock: Clock) -> None:
    seen = []
    for number, part in zip(itertools.count(), parts(store, AuditFilter(), 50), strict=False):
        seen += part
        clock.advance(seconds=1)
        with store.write(SYSTEM) as unit:
            unit.audit.record(make(clock, 0, id=uuid4(), at=clock.now) for _ in range(60))
        assert number < 10
    assert seen == trail[::-1]


class Followed:
    """A follower whose pauses play what happens meanwhile, until nothing more does."""

    def __init__(self, store: Store, wanted: AuditFilter, *happenings: Callable[[Unit], None]) -> None:
        self._store = store
        self._waiting = list(happenings)
        self.told: list[AuditEvent] = []
        with pytest.raises(EOFError):
            for part in follow(store, wanted, wanted.since, self._pause, 3):
                self.told += part

    def _pause(self) -> None:
        if not self._waiting:
            raise EOFError
        with self._store.write(ADMIN) as unit:
            self._waiting.pop(0)(unit)


def test_who_follows_hears_of_each_event_once(store: Store, trail: list[AuditEvent], clock: Clock) -> None:
    assert trail
    made = [make(clock, 0, id=uuid4(), name=f"new {number}") for number in range(10)]

    def record(*events: AuditEvent, later: float = 1) -> Callable[[Unit], None]:
        def happen(unit: Unit) -> None:
            clock.advance(seconds=later)
            unit.audit.record(replace(event, recorded=clock.now) for event in events)

        return happen

    late = replace(made[9], at=clock.now - timedelta(days=3))
    steps = [record(*made[:5]), record(), record(*made[5:8], later=60), record(made[8], later=-5), record(late)]
    told = Followed(store, AuditFilter(name="new"), *steps).told
    assert sorted(event.name for event in told) == [f"new {number}" for number in range(10)]
    assert told[-1].at == late.at


def test_who_follows_hears_of_a_unit_that_began_before(store: Store, clock: Clock) -> None:
    there, coming = make(clock, 0, id=uuid4()), make(clock, 0, id=uuid4(), recorded=clock.now - OVERLAP / 2)
    with store.write(SYSTEM) as unit:
        unit.audit.record([there])
    assert Followed(store, AuditFilter(), lambda unit: unit.audit.record([coming])).told == [coming]


def test_who_follows_from_a_time_on_hears_what_there_is_first(
    store: Store, trail: list[AuditEvent], clock: Clock
) -> None:
    wanted = AuditFilter(since=clock.now - timedelta(minutes=5), actor="alice")
    expected = {event.id for event in trail if event.actor == "alice" and event.at >= clock.now - timedelta(minutes=5)}
    told = Followed(store, wanted, lambda _unit: None).told
    assert expected
    assert ({event.id for event in told}, len(told)) == (expected, len(expected))

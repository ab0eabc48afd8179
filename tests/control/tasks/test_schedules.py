"""What comes round: when it is due, about whom, and once however many processes look."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from control.domain.task import RunFilter, TaskKind, TaskRun, TaskState
from control.fleet.outposts import create_outpost
from control.store import DatabaseUnavailable, Store
from control.tasks.kinds import KINDS
from control.tasks.schedules import SCHEDULES, Timetable
from tests.support import builders
from tests.support.databases import Database
from tests.support.stores import ADMIN, Clock
from tests.support.tasks import Leaving, counted_writes


def runs(store: Store, kind: TaskKind | None = None) -> list[TaskRun]:
    with store.read() as unit:
        return unit.runs.page(RunFilter(kind=kind), 0, 1000)[0]


def told(store: Store) -> list[str]:
    return sorted(f"{run.kind} {run.name} {run.cause}".replace("  ", " ") for run in runs(store))


def end_all(store: Store) -> None:
    """Let none wait, which would take up the next."""
    with store.read() as unit:
        waiting = unit.runs.page(RunFilter(state=TaskState.QUEUED), 0, 1000)[0]
    with store.write(ADMIN) as unit:
        for run in waiting:
            unit.runs.ask_cancel(run)


def test_every_kind_of_the_timetable_is_known() -> None:
    assert {schedule.kind for schedule in SCHEDULES} <= KINDS.keys() == set(TaskKind)


def test_at_the_start_engines_are_looked_for(store: Store) -> None:
    timetable = Timetable(store, SCHEDULES)
    timetable.look()
    assert told(store) == ["clean up tasks schedule", "discover integrations start"]
    with counted_writes() as written:
        timetable.look()
    assert written == []
    end_all(store)
    Timetable(store, SCHEDULES).look()
    assert len(runs(store, TaskKind.DISCOVER)) == 2


def test_integrations_and_the_outposts_there_have_their_rounds(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        engine = unit.integrations.add(builders.integration("engine", created=clock.now))
        edge = create_outpost(unit, {"name": "edge", "type": "proxy", "integration": "engine"})
        create_outpost(unit, {"name": "by hand", "type": "proxy"})
    timetable = Timetable(store, SCHEDULES)
    timetable.look()
    assert told(store) == ["clean up tasks schedule", "discover integrations start"]
    clock.advance(days=1)
    timetable.look()
    assert told(store) == [
        "check integration engine schedule",
        "clean up tasks schedule",
        "deploy outpost edge schedule",
        "discover integrations start",
        "survey integration engine schedule",
    ]
    assert {run.subject for run in runs(store)} == {None, engine.id, edge.id}
    for _ in range(2 * 60):
        end_all(store)
        clock.advance(minutes=1)
        timetable.look()
    counted = {kind: len(runs(store, kind)) for kind in TaskKind}
    assert counted == {
        TaskKind.DISCOVER: 2,
        TaskKind.CHECK: 121,
        TaskKind.SURVEY: 25,
        TaskKind.DEPLOY: 1,
        TaskKind.PREVIEW: 0,
        TaskKind.CLEAN_UP: 3,
    }
    clock.advance(hours=22)
    timetable.look()
    assert (len(runs(store, TaskKind.DEPLOY)), len(runs(store, TaskKind.DISCOVER))) == (2, 3)


def test_what_was_just_done_for_another_reason_is_not_due(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        engine = unit.integrations.add(builders.integration("engine", created=clock.now))
        asked = unit.runs.submit(TaskKind.CHECK, "akadmin", engine.id, engine.name)
    clock.advance(seconds=59)
    timetable = Timetable(store, SCHEDULES)
    timetable.look()
    assert [run.id for run in runs(store, TaskKind.CHECK)] == [asked.id]
    end_all(store)
    clock.advance(seconds=1)
    timetable.look()
    assert len(runs(store, TaskKind.CHECK)) == 2


def test_several_that_look_hand_in_one_round(database: Database, store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        unit.integrations.add(builders.integration("engine", created=clock.now - timedelta(minutes=5)))
    timetables = [Timetable(database.store(clock), SCHEDULES) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(Timetable.look, timetables):
            pass
    assert {kind: len(runs(store, kind)) for kind in (TaskKind.CHECK, TaskKind.SURVEY, TaskKind.DISCOVER)} == {
        TaskKind.CHECK: 1,
        TaskKind.SURVEY: 1,
        TaskKind.DISCOVER: 1,
    }


def test_a_start_while_the_database_is_away_is_made_up_for(database: Database, clock: Clock) -> None:
    store = Leaving.on(database, clock)
    timetable = Timetable(store, SCHEDULES)
    store.away = True
    with pytest.raises(DatabaseUnavailable):
        timetable.look()
    store.away = False
    timetable.look()
    assert len(runs(store, TaskKind.DISCOVER)) == 1


def test_a_clock_that_goes_back_stops_nothing(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        unit.integrations.add(builders.integration("engine", created=clock.now))
    timetable = Timetable(store, SCHEDULES)
    for _ in range(5):
        clock.advance(minutes=1)
        timetable.look()
        end_all(store)
    before = len(runs(store, TaskKind.CHECK))
    clock.advance(days=-2)
    for _ in range(60):
        timetable.look()
        end_all(store)
        clock.advance(minutes=1)
    assert len(runs(store, TaskKind.CHECK)) == before + 60

"""The timetable: what comes round by itself, about what, and how often.

A round is handed in when the newest run of its kind and subject, whatever it came of, is older than the period: so
several processes hand in one, and what was just done isn't done again. What is new is not due at once: whoever watches
for changes has handed it in.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from control.domain.task import Cause, TaskKind
from control.store import SYSTEM, Store, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a round is about, what that is called, and since when it is there; all empty where it is about no object."""

    id: UUID | None = None
    name: str = ""
    since: datetime | None = None


def _nobody(_unit: Unit) -> Iterable[Subject]:
    return (Subject(),)


def _integrations(unit: Unit) -> Iterable[Subject]:
    return (Subject(id=each.id, name=each.name, since=each.created) for each in unit.integrations.all())


def _managed(unit: Unit) -> Iterable[Subject]:
    """The outposts that integrations run."""
    managed = (each for each in unit.outposts.all() if each.integration is not None)
    return (Subject(id=each.id, name=each.name, since=each.created) for each in managed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One row of the timetable."""

    kind: TaskKind
    period: timedelta
    subjects: Callable[[Unit], Iterable[Subject]]


SCHEDULES = (
    Schedule(kind=TaskKind.DISCOVER, period=timedelta(hours=8), subjects=_nobody),
    Schedule(kind=TaskKind.CHECK, period=timedelta(minutes=1), subjects=_integrations),
    Schedule(kind=TaskKind.SURVEY, period=timedelta(minutes=5), subjects=_integrations),
    Schedule(kind=TaskKind.DEPLOY, period=timedelta(days=1), subjects=_managed),
    Schedule(kind=TaskKind.CLEAN_UP, period=timedelta(hours=1), subjects=_nobody),
)
# Handed in at each start besides: the machine may be another one than before.
AT_START = (TaskKind.DISCOVER,)


class Timetable:
    """Hands in the rounds of some schedules."""

    def __init__(self, store: Store, schedules: Sequence[Schedule]) -> None:
        self._store = store
        self._schedules = schedules
        self._has_started = False

    def look(self) -> None:
        """Hand in what is due, if anything is. Raises DatabaseUnavailable."""
        if not self._has_started:
            self._start()
        with self._store.read() as unit:
            is_any = bool(self._due(unit))
        if is_any:
            with self._store.write(SYSTEM) as unit:
                for schedule, subject in self._due(unit):
                    unit.runs.submit(schedule.kind, Cause.SCHEDULE, subject.id, subject.name)

    def _start(self) -> None:
        with self._store.write(SYSTEM) as unit:
            for schedule in self._schedules:
                if schedule.kind in AT_START:
                    unit.runs.submit(schedule.kind, Cause.START)
        self._has_started = True

    def _due(self, unit: Unit) -> list[tuple[Schedule, Subject]]:
        newest = unit.runs.latest_of({schedule.kind for schedule in self._schedules})
        rounds = ((schedule, subject) for schedule in self._schedules for subject in schedule.subjects(unit))
        found = (
            (schedule, subject, newest.get((schedule.kind, subject.id), subject.since)) for schedule, subject in rounds
        )
        return [(schedule, subject) for schedule, subject, last in found if _is_due(schedule, last, unit.now)]


def _is_due(schedule: Schedule, last: datetime | None, now: datetime) -> bool:
    """Whether the last time is long ago, or lies in the future as only a clock that went back can make it."""
    return last is None or abs(now - last) >= schedule.period

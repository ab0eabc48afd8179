"""Turns committed changes into work: whatever differs from what was seen before is handed in, whoever changed it.

Nobody has to remember to hand anything in. What is missed all the same, as by an end in the middle, is found by the
first look after a start, and by surveys.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from control.domain.integration import Deployment, DeploymentState, Integration
from control.domain.task import Cause, TaskKind
from control.fleet.launch import Home
from control.store import SYSTEM, Store, Unit
from control.store.recent import Mark
from control.tasks import places
from control.tasks.wanted import Desire, desires

# The kinds of objects that anything here follows from.
RELEVANT = frozenset({"outpost", "token", "integration", "provider", "certificate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A run to be handed in."""

    kind: TaskKind
    subject: UUID
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is wanted where, what is to go from where, and how engines are reached."""

    desires: Mapping[UUID, Desire] = field(default_factory=dict)
    rows: tuple[Deployment, ...] = ()
    integrations: Mapping[UUID, Integration] = field(default_factory=dict)

    @classmethod
    def of(cls, unit: Unit, home: Home) -> Self:
        """How things stand."""
        managed = [each for each in unit.outposts.all() if each.integration is not None]
        return cls(
            desires=desires(unit, home, managed),
            rows=tuple(unit.deployments.all()),
            integrations={each.id: each for each in unit.integrations.all()},
        )

    @property
    def leaving(self) -> Mapping[tuple[UUID, UUID], str]:
        """What is to go: outpost and integration, with the name."""
        return {(row.outpost, row.integration): row.name for row in self.rows if not self._is_wanted(row)}

    def _is_wanted(self, row: Deployment) -> bool:
        desire = self.desires.get(row.outpost)
        return desire is not None and desire.integration is not None and desire.integration.id == row.integration


class Watcher:
    """Looks at the database, as often as it is told to."""

    def __init__(self, store: Store, home: Home) -> None:
        self._store = store
        self._home = home
        self._mark: Mark | None = None
        self._seen: Picture | None = None

    def look(self) -> None:
        """Hand in what follows from all that was committed since the last look.

        Raises DatabaseUnavailable, DatabaseBusy; the next look makes up for it.
        """
        with self._store.read() as unit:
            mark = unit.recent.find_mark()
            if self._seen is not None and mark == self._mark:
                return
            picture = Picture.of(unit, self._home) if self._concerns_us(unit) else self._seen
        if picture is not None and picture is not self._seen:
            self._hand_in({*(first(picture) if self._seen is None else following(self._seen, picture))})
        self._seen, self._mark = picture, mark

    def _concerns_us(self, unit: Unit) -> bool:
        changed = unit.recent.find_since(self._mark) if self._mark is not None else None
        return self._seen is None or changed is None or not RELEVANT.isdisjoint(changed)

    def _hand_in(self, found: Iterable[Handed]) -> None:
        runs = sorted(found, key=lambda each: (each.kind, each.name, each.subject))
        if not runs:
            return
        with self._store.write(SYSTEM) as unit:
            for each in runs:
                unit.runs.submit(each.kind, Cause.CHANGE, each.subject, each.name)


def first(picture: Picture) -> Iterator[Handed]:
    """What is to be done as far as rows tell, when nothing was seen before. Pure."""
    rows = {(row.outpost, row.integration): row for row in picture.rows}
    for desire in picture.desires.values():
        place = desire.integration.id if desire.integration is not None else None
        row = rows.get((desire.outpost.id, place)) if place is not None else None
        if place is not None and (row is None or not _is_settled(row, desire)):
            yield _deployment(desire.outpost.id, desire.outpost.name)
    for (outpost, _), name in picture.leaving.items():
        yield _deployment(outpost, name)


def following(before: Picture, after: Picture) -> Iterator[Handed]:
    """What is to be done since things stood differently. Pure."""
    for key, desire in after.desires.items():
        known = before.desires.get(key)
        if known is None or known.signature != desire.signature:
            yield _deployment(key, desire.outpost.name)
    for place in after.leaving.keys() - before.leaving.keys():
        yield _deployment(place[0], after.leaving[place])
    for key, integration in after.integrations.items():
        if before.integrations.get(key) != integration:
            yield Handed(kind=TaskKind.CHECK, subject=key, name=integration.name)


def _is_settled(row: Deployment, desire: Desire) -> bool:
    """Whether it lies there as wanted, or could not be had and is for surveys to try again."""
    is_failed = row.failed in {each.attempt for each in desire.wanted} and row.state is not DeploymentState.LEAVING
    is_faulty = desire.fault is not None and row.error == desire.fault.code
    return places.is_as_wanted(row, desire.fingerprint) or is_failed or is_faulty


def _deployment(outpost: UUID, name: str) -> Handed:
    return Handed(kind=TaskKind.DEPLOY, subject=outpost, name=name)

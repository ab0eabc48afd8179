"""Compare all that an integration holds with what is wanted there: whatever differs becomes a deployment.

One look at the engine for all outposts, nothing fetched and nothing touched. An engine that is away is no failure of
a survey: its health tells of it, and the survey is made when it is back.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from control.domain.integration import Deployment, Integration
from control.domain.task import CAUSES, Cause, LineLevel, RunFilter, TaskKind, TaskState
from control.integrations.model import ActionFailed, Found, TargetAway
from control.integrations.plan import plan
from control.store import SYSTEM, Unit
from control.tasks import checking, places
from control.tasks.context import Work
from control.tasks.counting import AWAY
from control.tasks.engines import open_engine
from control.tasks.wanted import Desire, Readiness, desires, instances_of, without_gone

MOST_RUNNING = 10_000
CODES = ("surveyed", "survey_differs", "survey_away", "survey_resting")


class Verdict(StrEnum):
    """What a look has shown of one outpost."""

    AS_WANTED = "as wanted"
    DIFFERS = "differs"
    # It differs, and that was tried already, or is to rest for a while: what is there serves, or nothing does.
    LET_BE = "let be"
    DOWN = "down"
    FAULTY = "faulty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Who may have something on an engine: what is wanted of them, and the rows of what lies there."""

    integration: Integration
    desires: Mapping[UUID, Desire]
    rows: Mapping[UUID, Deployment]

    @property
    def owners(self) -> frozenset[UUID]:
        """All whose objects are ours to look at."""
        return frozenset(self.desires) | frozenset(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was found, by owner, and what the engine can do."""

    found: Mapping[UUID, Sequence[Found]]
    can_run_beside: bool


def run(work: Work) -> Mapping[str, object] | None:
    """Survey the integration that the run is about. Raises Cancelled."""
    scene = find_scene(work)
    if scene is None:
        return None
    work.progress(0, len(scene.owners))
    try:
        sight = look(work, scene)
    except TargetAway as error:
        AWAY.labels(error.code).inc()
        with work.store.write(SYSTEM) as unit:
            checking.note_away(unit, scene.integration, error)
        work.say("survey_away", LineLevel.WARNING, code=error.code, detail=error.detail)
        return {"away": error.code}
    concluded = _concluded(work, scene, sight)
    work.progress(len(scene.owners), len(scene.owners))
    for owner, verdict in concluded.items():
        if verdict is Verdict.DIFFERS:
            work.say("survey_differs", name=_name(scene, owner))
        elif verdict is Verdict.DOWN:
            work.say("survey_resting", LineLevel.WARNING, name=_name(scene, owner))
    differing = [*concluded.values()].count(Verdict.DIFFERS)
    work.say("surveyed", count=len(scene.owners), differing=differing)
    return {"outposts": len(scene.owners), "deploys": differing}


def find_scene(work: Work) -> Scene | None:
    """What is known of the integration, None where it is gone."""
    with work.store.read() as unit:
        integration = unit.integrations.find(work.run.subject)
        if integration is None:
            return None
        here = [each for each in unit.outposts.all() if each.integration == integration.id]
        rows = {row.outpost: row for row in unit.deployments.of_integration(integration.id)}
        return Scene(integration=integration, desires=desires(unit, work.home, here), rows=rows)


def look(work: Work, scene: Scene) -> Sight:
    """What lies there. Raises TargetAway."""
    found: defaultdict[UUID, list[Found]] = defaultdict(list)
    is_ready = Readiness(work.store, scene.owners).as_of_now()
    with open_engine(work.store, scene.integration, work.means.ssh_config, is_ready) as engine:
        for each in engine.target.observe(scene.owners):
            found[each.key.owner].append(each)
        return Sight(found=found, can_run_beside=engine.target.can_run_beside)


def judge(scene: Scene, sight: Sight, owner: UUID, now: datetime) -> Verdict:
    """What to think of one outpost. Pure."""
    desire, row = scene.desires.get(owner), scene.rows.get(owner)
    is_resting = row is not None and places.is_resting(row, now)
    if desire is None:
        return Verdict.LET_BE if is_resting else Verdict.DIFFERS
    if row is None or places.is_leaving(row):
        return Verdict.DIFFERS
    if desire.fault is not None:
        return Verdict.FAULTY
    actions = plan(desire.wanted, sight.found.get(owner, ()), can_run_beside=sight.can_run_beside)
    if not actions:
        return Verdict.AS_WANTED
    if is_resting and places.is_down(actions):
        return Verdict.DOWN
    is_let_be = is_resting or all(places.is_held(row, action, {}) for action in actions)
    return Verdict.LET_BE if is_let_be else Verdict.DIFFERS


def _concluded(work: Work, scene: Scene, sight: Sight) -> Mapping[UUID, Verdict]:
    """Write down what was seen, and hand in what is to be done; what to think of those that nobody works on."""
    verdicts = {owner: judge(scene, sight, owner, work.now()) for owner in sorted(scene.owners)}
    with work.store.write(SYSTEM) as unit:
        busy = _busy(unit)
        known = {row.outpost: row for row in unit.deployments.of_integration(scene.integration.id)}
        # Whoever works on the others, or has since, knows better.
        untouched = {each for each in scene.owners - busy if known.get(each) == scene.rows.get(each)}
        concluded = {owner: verdict for owner, verdict in verdicts.items() if owner in untouched}
        is_unsettled = _write(unit, scene, sight, concluded)
        for owner, verdict in concluded.items():
            if verdict is Verdict.DIFFERS:
                unit.runs.submit(TaskKind.DEPLOY, _cause(work), owner, _name(scene, owner))
        if is_unsettled or busy & scene.owners:
            places.look_again(unit, scene.integration, work.run.cause)
    return concluded


def _busy(unit: Unit) -> frozenset[UUID]:
    """The outposts that are being deployed."""
    running, _ = unit.runs.page(RunFilter(kind=TaskKind.DEPLOY, state=TaskState.RUNNING), 0, MOST_RUNNING)
    return frozenset(each.subject for each in running if each.subject is not None)


def _write(unit: Unit, scene: Scene, sight: Sight, concluded: Mapping[UUID, Verdict]) -> bool:
    """Write the rows and forget instances of what is gone; whether the link has yet to note that one of them is."""
    instances = instances_of(unit, scene.rows)
    rows: list[Deployment] = []
    forgotten: set[UUID] = set()
    is_unsettled = False
    for owner, verdict in concluded.items():
        if owner not in scene.rows:
            continue
        found = sight.found.get(owner, ())
        row = row_after(scene.rows[owner], verdict, scene.desires.get(owner), found, unit.now)
        if verdict is Verdict.AS_WANTED:
            row, gone = without_gone(row, [each.id for each in found], instances[owner])
            forgotten |= gone.noted
            is_unsettled |= bool(gone.late) and places.has_just_changed(row, unit.now)
        elif verdict in {Verdict.LET_BE, Verdict.DOWN}:
            _try_later(unit, row)
        rows.append(row)
    unit.instances.forget(forgotten)
    unit.deployments.save(rows)
    return is_unsettled


def row_after(
    row: Deployment, verdict: Verdict, desire: Desire | None, found: Sequence[Found], now: datetime
) -> Deployment:
    """The row of an outpost of which that was found. Pure."""
    match verdict:
        case Verdict.AS_WANTED if desire is not None:
            return places.arrived(row, desire.fingerprint, found, "", now)
        case Verdict.FAULTY if desire is not None and desire.fault is not None:
            error = ActionFailed(desire.fault.code, desire.fault.detail)
            return places.failed(row, error, places.NOTHING_TRIED, now)
        case Verdict.LET_BE | Verdict.DOWN:
            return places.let_be(row, now, down=verdict is Verdict.DOWN)
        case Verdict.AS_WANTED | Verdict.FAULTY | Verdict.DIFFERS:
            return replace(row, checked=now)
        case _:
            assert_never(verdict)


def _try_later(unit: Unit, row: Deployment) -> None:
    """Leave it as it is until its rest is over, if it has one."""
    retry = places.find_retry(row)
    if retry is not None and places.is_resting(row, unit.now):
        unit.runs.submit(TaskKind.DEPLOY, Cause.EVENT, row.outpost, row.name, retry)


def _cause(work: Work) -> str:
    """Drift is mended with what is there; who asks for all to be looked at asks for that too."""
    if work.run.cause in (Cause.SCHEDULE, Cause.START):
        return Cause.EVENT
    return work.run.cause if work.run.cause in CAUSES else Cause.CHANGE


def _name(scene: Scene, owner: UUID) -> str:
    desire = scene.desires.get(owner)
    return desire.outpost.name if desire is not None else scene.rows[owner].name

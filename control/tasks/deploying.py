"""Bring one outpost to where it is wanted, and then whatever is left of it elsewhere away.

- Where it lies, or is about to, is written down first; so whatever ends this in the middle, the next run goes on.
- What it left behind elsewhere goes once it is up where it is wanted: moving it interrupts nothing.
- What failed is not done again while the old one serves, until something changes or somebody asks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from control.domain.integration import Deployment, Integration
from control.domain.task import CAUSES, Cause, LineLevel, TaskKind
from control.integrations.model import Action, ActionFailed, Found, Key, Remove, TargetAway
from control.integrations.reconcile import Failure, Outcome, as_json, reconcile
from control.store import Unit
from control.tasks import checking, places, trail
from control.tasks.context import Work
from control.tasks.counting import AWAY, SECONDS
from control.tasks.engines import Engine, open_engine
from control.tasks.recorded import Ours, Recorded
from control.tasks.wanted import Desire, Readiness, find_desire, without_gone

STILL_THERE = "still_there"
CODES = (
    STILL_THERE,
    "deploying",
    "as_wanted",
    "held",
    "kept_until_healthy",
    "leaving",
    "left",
    "lost_at_loopback",
    "nothing_to_deploy",
    "same_engine",
    "wanted_again",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What came of it where the outpost is wanted: what was done, what was held back, and what lies there now.

    `images` is what each part is made of, as far as that was looked for.
    """

    outcome: Outcome
    held: tuple[Action, ...]
    found: tuple[Found, ...]
    images: Mapping[Key, str]


def run(work: Work) -> Mapping[str, object] | None:
    """Deploy the outpost that the run is about. Raises TargetAway, ActionFailed, Cancelled."""
    outpost = work.run.subject
    if outpost is None:
        return None
    with work.store.write(trail.actor_of(work.run)) as unit:
        desire = find_desire(unit, work.home, outpost)
        settled = places.settle(unit, outpost, desire)
    work.progress(0, len(settled.leaving) + (_steps(work, desire) if settled.here is not None else 0))
    if desire is None or desire.integration is None or settled.here is None:
        if not settled.leaving:
            work.say("nothing_to_deploy", name=work.run.name)
        _clear(work, settled.leaving, frozenset())
        return None
    brought = _brought(work, desire, desire.integration, settled)
    _clear(work, settled.leaving, frozenset(each.id for each in brought.found))
    return {"applied": as_json(brought.outcome.applied), "held": as_json(brought.held)}


def _is_fetching(work: Work) -> bool:
    """Drift is mended with what is there; a registry that is away, or counts, has no part in it."""
    return work.run.cause != Cause.EVENT


def _steps(work: Work, desire: Desire | None) -> int:
    """How many steps of progress there are where it is wanted: each part is fetched, then all is brought about."""
    return 1 + (len(desire.wanted) if desire is not None and _is_fetching(work) else 0)


def _advance(work: Work) -> None:
    """One more step is done."""
    run = work.hand.run
    work.progress(run.done + 1, run.total)


def _brought(work: Work, desire: Desire, integration: Integration, settled: places.Places) -> Brought:
    """Have it run where it is wanted; what it left elsewhere stays as long as that can't be had."""
    assert settled.here is not None  # noqa: S101 - for the checker: who calls has looked
    try:
        return _bring(work, desire, integration, settled.here)
    except (ActionFailed, TargetAway):
        if settled.leaving:
            work.say("kept_until_healthy", LineLevel.WARNING, count=len(settled.leaving))
        raise


def _bring(work: Work, desire: Desire, integration: Integration, row: Deployment) -> Brought:
    """Have it run there. What happens is in the row afterwards, whatever is raised."""
    work.say("deploying", name=desire.outpost.name, integration=integration.name)
    if desire.lost_at:
        work.say("lost_at_loopback", LineLevel.WARNING, url=desire.lost_at)
    began = monotonic()
    try:
        wanted = desire.get_wanted()
        _check_known(work, integration)
        is_ready = Readiness(work.store, [row.outpost])
        with open_engine(work.store, integration, work.means.ssh_config, is_ready) as engine:
            brought = _reconciled(work, engine, replace(desire, wanted=wanted), row)
    except TargetAway as error:
        _note_away(work, row, error)
        raise
    except ActionFailed as error:
        _note_failed(work, row, error)
        raise
    if brought.outcome.applied:
        SECONDS.observe(monotonic() - began)
    _tell(work, desire, row, brought)
    return brought


def _check_known(work: Work, integration: Integration) -> None:
    """Raises TargetAway where an engine is known to be away, unless a person wants it to be asked.

    Each outpost on one that hangs would wait for it otherwise, and everybody else for them.
    """
    with work.store.read() as unit:
        known = checking.find_away(unit, integration)
    if known is not None and work.run.cause in CAUSES:
        raise known


def _reconciled(work: Work, engine: Engine, desire: Desire, row: Deployment) -> Brought:
    about = trail.About(
        outpost=row.outpost, name=desire.outpost.name, as_wanted=places.is_as_wanted(row, desire.fingerprint)
    )
    target, owners = Recorded(engine.target, work, about), frozenset({row.outpost})
    images: dict[Key, str] = {}
    for each in desire.wanted if _is_fetching(work) else ():
        images[each.key] = target.prepare(each, work.report)
        _advance(work)
    held: list[Action] = []

    def holds(action: Action) -> bool:
        is_held = work.run.cause in CAUSES and places.is_held(row, action, images)
        if is_held:
            held.append(action)
        return is_held

    outcome = reconcile(target, desire.wanted, owners, work.report, holds)
    found = target.observe(owners)
    _advance(work)
    return Brought(outcome=outcome, held=tuple(held), found=found, images=images)


def _tell(work: Work, desire: Desire, row: Deployment, brought: Brought) -> None:
    """Write down what came of it, and say so. Raises ActionFailed where something could not be done."""
    ids = [each.id for each in brought.found]
    if brought.outcome.failed:
        failure = brought.outcome.failed[0]
        error = ActionFailed(failure.code, failure.detail, restored=failure.restored)
        _note_failed(work, row, error, _attempt(failure, brought))
        raise error
    if brought.held:
        work.say("held", LineLevel.WARNING, code=row.error, detail=row.detail)
        _rewrite(work, row, lambda unit, now: replace(now, checked=unit.now), ids)
        return
    if not brought.outcome.applied:
        work.say("as_wanted")
    image = next(iter(brought.images.values()), "")
    is_mended = bool(brought.outcome.applied) and places.is_as_wanted(row, desire.fingerprint)

    def after(unit: Unit, known: Deployment) -> Deployment:
        noted = places.arrived(known, desire.fingerprint, brought.found, image, unit.now)
        again = brought.outcome.retry_after
        if again is not None and desire.integration is not None:
            unit.runs.submit(TaskKind.SURVEY, Cause.EVENT, row.integration, desire.integration.name, unit.now + again)
        if is_mended:
            return places.mended(noted, unit.now)
        return replace(noted, changed=unit.now) if brought.outcome.applied else noted

    _rewrite(work, row, after, ids)


def _attempt(failure: Failure, brought: Brought) -> places.Attempt:
    match failure.action:
        case Remove():
            return places.NOTHING_TRIED
        case action:
            image = brought.images.get(action.wanted.key, "")
            return places.Attempt(of=action.wanted.attempt, image=image)


def _clear(work: Work, rows: Sequence[Deployment], kept: frozenset[str]) -> None:
    """Have nothing left of it at these places but what is to stay. Raises what went wrong, when all were seen to."""
    errors: list[TargetAway | ActionFailed] = []
    for row in rows:
        try:
            _take_away(work, row, kept)
            _advance(work)
        except TargetAway as error:
            _note_away(work, row, error)
            errors.insert(0, error)
        except ActionFailed as error:
            _note_failed(work, row, error)
            errors.append(error)
    for first in errors:
        raise first


def _take_away(work: Work, row: Deployment, kept: frozenset[str]) -> None:
    """Have nothing of it left on one engine, and then forget that it was there."""
    with work.store.read() as unit:
        integration = unit.integrations.find(row.integration)
        outpost = unit.outposts.find(row.outpost)
    if integration is None:
        return
    if outpost is not None and outpost.integration == integration.id:
        # Somebody has changed their mind meanwhile; the run that follows brings it.
        work.say("wanted_again", integration=integration.name)
        return
    _check_known(work, integration)
    work.say("leaving", name=row.name, integration=integration.name)
    about = trail.About(outpost=row.outpost, name=row.name, leaving=True)
    with open_engine(work.store, integration, work.means.ssh_config) as engine:
        target = Recorded(Ours(engine.target), work, about)
        found = target.observe(frozenset({row.outpost}))
        if not kept.isdisjoint(each.id for each in found):
            # Two integrations of one engine: what lies there is where it is wanted.
            work.say("same_engine", LineLevel.WARNING, integration=integration.name)
        else:
            _emptied(work, target, row)
    _forget(work, row, kept)
    work.say("left", name=row.name, integration=integration.name)


def _emptied(work: Work, target: Recorded, row: Deployment) -> None:
    """Have nothing of it left. Raises ActionFailed."""
    owners = frozenset({row.outpost})
    for failure in reconcile(target, (), owners, work.report).failed:
        raise ActionFailed(failure.code, failure.detail)
    left = target.observe(owners)
    if left:
        raise ActionFailed(STILL_THERE, ", ".join(sorted(each.name for each in left)))


def _forget(work: Work, row: Deployment, kept: frozenset[str]) -> None:
    with work.store.write(trail.actor_of(work.run)) as unit:
        known = unit.deployments.find(row.id)
        if known is None:
            return
        _, gone = without_gone(known, kept, unit.instances.of_outpost(row.outpost))
        unit.instances.forget(gone.noted)
        unit.deployments.remove(known)
        for other in unit.deployments.of_outpost(row.outpost):
            # Who looks there later can forget them, too.
            unit.deployments.update(replace(other, hosts=tuple(sorted({*other.hosts, *gone.late}))))


def _note_away(work: Work, row: Deployment, error: TargetAway) -> None:
    AWAY.labels(error.code).inc()

    def after(unit: Unit, known: Deployment) -> Deployment:
        integration = unit.integrations.find(row.integration)
        if integration is not None and checking.find_away(unit, integration) is None:
            checking.note_away(unit, integration, error)
        return places.away(known, error, unit.now)

    _rewrite(work, row, after)


def _note_failed(
    work: Work, row: Deployment, error: ActionFailed, attempt: places.Attempt = places.NOTHING_TRIED
) -> None:
    """Write down what failed, and hand in the next try."""

    def after(unit: Unit, known: Deployment) -> Deployment:
        noted = places.failed(known, error, attempt, unit.now)
        retry = places.find_retry(noted)
        if retry is not None:
            unit.runs.submit(TaskKind.DEPLOY, Cause.EVENT, row.outpost, row.name, retry)
        return noted

    _rewrite(work, row, after)


def _rewrite(
    work: Work, row: Deployment, after: Callable[[Unit, Deployment], Deployment], there: Sequence[str] | None = None
) -> None:
    """Write the row as it is now, if it is yet; `there` are the ids of what lies on the engine, where that is known."""
    with work.store.write(trail.actor_of(work.run)) as unit:
        known = unit.deployments.find(row.id)
        if known is None:
            return
        noted = after(unit, known)
        if there is not None:
            noted, gone = without_gone(noted, there, unit.instances.of_outpost(row.outpost))
            unit.instances.forget(gone.noted)
            integration = unit.integrations.find(row.integration)
            if gone.late and integration is not None:
                places.look_again(unit, integration, Cause.EVENT)
        unit.deployments.update(noted)

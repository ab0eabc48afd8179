"""Say what a deployment of an outpost would do: where it is wanted, and where it would be taken away from.

Nothing is fetched, touched or written: an image that has moved at its registry is not known of yet.
"""

from collections.abc import Iterator, Mapping
from uuid import UUID

from control.domain.integration import Integration
from control.domain.task import LineLevel
from control.integrations.model import Action, ActionFailed
from control.integrations.reconcile import as_json, dry_run
from control.tasks.context import Work
from control.tasks.engines import open_engine
from control.tasks.recorded import Ours
from control.tasks.wanted import Desire, Readiness, find_desire

CODES = ("previewed", "preview_fault")


def run(work: Work) -> Mapping[str, object] | None:
    """Preview the outpost that the run is about. Raises TargetAway."""
    if work.run.subject is None:
        return None
    with work.store.read() as unit:
        desire = find_desire(unit, work.home, work.run.subject)
        rows = unit.deployments.of_outpost(work.run.subject)
        known = {each.id: each for each in unit.integrations.all()}
    here = desire.integration if desire is not None else None
    elsewhere = [known[row.integration] for row in rows if here is None or row.integration != here.id]
    planned = [*_here(work, desire), *(_elsewhere(work, work.run.subject, each) for each in elsewhere)]
    work.say("previewed", count=sum(len(actions) for _, actions in planned))
    return {"plan": [{**item, "place": place.name} for place, actions in planned for item in as_json(actions)]}


def _here(work: Work, desire: Desire | None) -> Iterator[tuple[Integration, tuple[Action, ...]]]:
    if desire is None or desire.integration is None:
        return
    try:
        wanted = desire.get_wanted()
    except ActionFailed as error:
        work.say("preview_fault", LineLevel.WARNING, code=error.code, detail=error.detail)
        raise
    is_ready = Readiness(work.store, [desire.outpost.id])
    with open_engine(work.store, desire.integration, work.means.ssh_config, is_ready) as engine:
        yield desire.integration, dry_run(engine.target, wanted, frozenset({desire.outpost.id}))


def _elsewhere(work: Work, outpost: UUID, integration: Integration) -> tuple[Integration, tuple[Action, ...]]:
    with open_engine(work.store, integration, work.means.ssh_config) as engine:
        return integration, dry_run(Ours(engine.target), (), frozenset({outpost}))

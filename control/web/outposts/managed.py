"""What is told of an outpost that control deploys itself: where it lies, how that went, what a deployment would do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from control.domain.integration import Deployment, DeploymentState, Integration
from control.domain.outpost import InstanceState, Outpost
from control.domain.task import FINAL, RunFilter, TaskKind, TaskRun, TaskState
from control.fleet.launch import Launch, Sites
from control.integrations.docker.render import render
from control.store import Unit
from control.web.integrations.reading import IntegrationView, view_of

RUNS = 4
# An outpost that has started is connected within seconds.
UNHEARD_AFTER = timedelta(seconds=30)
# What tells, or changes, how it lies there.
_DEPLOYS = frozenset({TaskKind.DEPLOY, TaskKind.PREVIEW})


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """What lies, or may lie, on an engine where the outpost isn't wanted any more."""

    integration: Integration
    deployment: Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed:
    """An outpost's life on engines. `view` is None where it is deployed by hand (and something is left elsewhere).

    `working` is the run that is under way or waits, `plan` what the newest preview says as long as nothing was done
    since. `again` is when `working` is due, where it is queued for later.
    `is_unheard`: it lies there and runs, and no instance of the outpost is connected.
    """

    view: IntegrationView | None
    deployment: Deployment | None
    leftovers: Sequence[Leftover]
    runs: Sequence[TaskRun]
    working: TaskRun | None
    again: datetime | None
    preview: TaskRun | None
    is_unheard: bool

    @property
    def plan(self) -> Sequence[Mapping[str, Any]]:
        """The actions of the preview."""
        found = (self.preview.result or {}).get("plan", ()) if self.preview is not None else ()
        return found if isinstance(found, list | tuple) else ()


def find_managed(unit: Unit, outpost: Outpost) -> Managed | None:
    """All that is told; None where there is nothing: deployed by hand, and nothing left on any engine."""
    deployments = unit.deployments.of_outpost(outpost.id)
    if outpost.integration is None and not deployments:
        return None
    places = unit.integrations.find_many({each.integration for each in deployments} | {outpost.integration} - {None})
    runs, _ = unit.runs.page(RunFilter(subject=outpost.id), 0, RUNS)
    here = places.get(outpost.integration)
    working = next((run for run in runs if run.state not in FINAL), None)
    deployment = next((each for each in deployments if each.integration == outpost.integration), None)
    return Managed(
        view=view_of(unit, here) if here is not None else None,
        deployment=deployment,
        leftovers=_leftovers(deployments, places, outpost.integration),
        runs=runs,
        working=working,
        again=working.due if working is not None and _is_for_later(working, unit.now) else None,
        preview=_valid_preview(runs),
        is_unheard=deployment is not None and _is_unheard(unit, deployment),
    )


def is_exclusive(launch: Launch) -> bool:
    """Whether nothing can run beside it, since it takes ports that are there once: a replacement is a pause."""
    return any(wanted.exclusive for wanted in render(launch, Sites(), frozenset()))


def read_states(unit: Unit, outposts: Sequence[Outpost]) -> Mapping[UUID, Deployment]:
    """How these outposts fare where they are wanted."""
    wanted = {outpost.id: outpost.integration for outpost in outposts if outpost.integration is not None}
    found = unit.deployments.of_outposts(wanted)
    return {each.outpost: each for each in found if each.integration == wanted[each.outpost]}


def _is_for_later(run: TaskRun, now: datetime) -> bool:
    return run.state is TaskState.QUEUED and run.due > now


def _is_unheard(unit: Unit, deployment: Deployment) -> bool:
    serves = deployment.state in {DeploymentState.DEPLOYED, DeploymentState.ROLLED_BACK}
    if not serves or deployment.changed is None or unit.now - deployment.changed < UNHEARD_AFTER:
        return False
    instances = unit.instances.of_outpost(deployment.outpost)
    return all(each.state is InstanceState.DISCONNECTED for each in instances)


def _leftovers(
    deployments: Sequence[Deployment], places: Mapping[UUID, Integration], wanted: UUID | None
) -> Sequence[Leftover]:
    return [
        Leftover(integration=places[each.integration], deployment=each)
        for each in deployments
        if each.integration != wanted and each.integration in places
    ]


def _valid_preview(runs: Sequence[TaskRun]) -> TaskRun | None:
    """The newest look, as long as nothing was done since; `runs` are the newest first."""
    newest = next((run for run in runs if run.kind in _DEPLOYS and run.state in FINAL), None)
    is_look = newest is not None and newest.kind is TaskKind.PREVIEW and newest.state is TaskState.DONE
    return newest if is_look else None

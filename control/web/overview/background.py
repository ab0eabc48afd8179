"""What happens at engines, at a glance: which integrations don't answer, which tasks fail, whether anybody works."""

from collections.abc import Sequence
from dataclasses import dataclass

from control.domain.integration import Integration, IntegrationHealth
from control.domain.task import RunFilter, TaskKind, TaskRun, TaskState
from control.store import Unit
from control.web.integrations.standing import IntegrationStanding, standing
from control.web.tasks.listing import TOLD, is_stuck

# A preview fails before the eyes of whoever asked for it.
_LASTING = frozenset(TaskKind) - {TaskKind.PREVIEW}


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubled:
    """An integration that can't do, as far as anybody knows, all that is needed."""

    integration: Integration
    standing: IntegrationStanding
    health: IntegrationHealth | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Integrations and tasks: how many there are, and those that somebody should look at."""

    integrations: int
    troubled: Sequence[Troubled]
    failing: Sequence[TaskRun]
    running: int
    waiting: int
    stuck: bool

    @property
    def shown(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.integrations or self.failing or self.stuck)


def read_background(unit: Unit) -> Background:
    """How it is now."""
    integrations = unit.integrations.all()
    counts = unit.runs.states(RunFilter())
    return Background(
        integrations=len(integrations),
        troubled=_troubled(unit, integrations),
        failing=unit.runs.failing(_LASTING, unit.now - TOLD),
        running=counts.get(TaskState.RUNNING, 0),
        waiting=counts.get(TaskState.QUEUED, 0) + counts.get(TaskState.RETRYING, 0),
        stuck=is_stuck(unit),
    )


def _troubled(unit: Unit, integrations: Sequence[Integration]) -> list[Troubled]:
    healths = {health.id: health for health in unit.integration_healths.all()}
    judged = (
        Troubled(integration=each, standing=standing(healths.get(each.id), unit.now), health=healths.get(each.id))
        for each in integrations
    )
    fine = {IntegrationStanding.HEALTHY, IntegrationStanding.UNCHECKED}
    return [each for each in judged if each.standing not in fine]

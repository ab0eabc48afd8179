"""What the pages of integrations show, read in one unit: for whole pages and for the parts of them that are polled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from control.domain.integration import PERMISSIONS, Deployment, Integration, IntegrationHealth
from control.domain.outpost import Outpost
from control.domain.security import Certificate
from control.domain.task import FINAL, RunFilter, TaskKind
from control.store import Unit
from control.web.integrations.host_keys import find_host_key
from control.web.integrations.standing import IntegrationStanding, standing

RUNS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationView:
    """An integration with what the last look has shown."""

    integration: Integration
    health: IntegrationHealth | None
    standing: IntegrationStanding

    @property
    def offers_key(self) -> bool:
        """Whether the server shows another host key than the pinned one."""
        return self.health is not None and bool(self.health.offered_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """An outpost that is wanted here, lies here, or both; at least one of the two is there."""

    outpost: Outpost | None
    deployment: Deployment | None


def view_of(unit: Unit, integration: Integration) -> IntegrationView:
    """One integration as it is."""
    return _view(unit, integration, unit.integration_healths.find(integration.id))


def read_views(unit: Unit) -> Sequence[IntegrationView]:
    """All integrations as they are, by name."""
    healths = {health.id: health for health in unit.integration_healths.all()}
    return [_view(unit, each, healths.get(each.id)) for each in unit.integrations.all()]


def read_rows(unit: Unit) -> Mapping[str, object]:
    """The list, and how many outposts are deployed to each."""
    counts = Counter(outpost.integration for outpost in unit.outposts.all() if outpost.integration is not None)
    return {"views": read_views(unit), "counts": counts}


def read_live(unit: Unit, integration: Integration) -> Mapping[str, object]:
    """What of one integration's page changes by itself."""
    view = view_of(unit, integration)
    check = unit.runs.latest(TaskKind.CHECK, integration.id)
    runs, _ = unit.runs.page(RunFilter(subject=integration.id), 0, RUNS)
    health = view.health
    return {
        "view": view,
        "integration": integration,
        "checking": check if check is not None and check.state not in FINAL else None,
        "runs": runs,
        "permissions": PERMISSIONS,
        "host_key": find_host_key(health.host_key) if health is not None else None,
        "offered_key": find_host_key(health.offered_key) if health is not None else None,
        **_placements(unit, integration.id),
    }


def read_page(unit: Unit, integration: Integration) -> Mapping[str, object]:
    """Everything."""
    return {
        **read_live(unit, integration),
        "verification": _certificate(unit, integration.tls_verification),
        "authentication": _certificate(unit, integration.tls_authentication),
    }


def leftovers(unit: Unit, integration: UUID) -> Sequence[Placement]:
    """What lies on an engine for outposts that are gone or elsewhere."""
    deployments = unit.deployments.of_integration(integration)
    return _left(deployments, _outposts(unit, integration, deployments), integration)


def _placements(unit: Unit, integration: UUID) -> Mapping[str, object]:
    deployments = unit.deployments.of_integration(integration)
    outposts = _outposts(unit, integration, deployments)
    by_outpost = {each.outpost: each for each in deployments}
    here = [
        Placement(outpost=outpost, deployment=by_outpost.get(outpost.id))
        for outpost in outposts.values()
        if outpost.integration == integration
    ]
    return {"placements": here, "leftovers": _left(deployments, outposts, integration)}


def _outposts(unit: Unit, integration: UUID, deployments: Sequence[Deployment]) -> Mapping[UUID, Outpost]:
    """The outposts that are wanted or lie there, by id, in the order of their names."""
    lying = {each.outpost for each in deployments}
    return {each.id: each for each in unit.outposts.all() if each.integration == integration or each.id in lying}


def _left(
    deployments: Sequence[Deployment], outposts: Mapping[UUID, Outpost], integration: UUID
) -> Sequence[Placement]:
    found = (Placement(outpost=outposts.get(each.outpost), deployment=each) for each in deployments)
    return [each for each in found if each.outpost is None or each.outpost.integration != integration]


def _view(unit: Unit, integration: Integration, health: IntegrationHealth | None) -> IntegrationView:
    return IntegrationView(integration=integration, health=health, standing=standing(health, unit.now))


def _certificate(unit: Unit, key: UUID | None) -> Certificate | None:
    return unit.certificates.find(key) if key is not None else None

"""Integrations, how they are, and what lies on them."""

from collections.abc import Collection, Iterable
from uuid import UUID

import sqlalchemy as sa

from control.domain.integration import Deployment, Integration, IntegrationHealth
from control.store import tables
from control.store.base import Quiet, Repository, chunks


class Integrations(Repository[Integration]):
    """The engines that control deploys to. One that an outpost names can't be removed."""

    table = tables.integrations
    entity = Integration
    kind = "integration"
    unique = ("name",)

    def _users_of(self, entity: Integration) -> Iterable[str]:
        names = sa.select(tables.outposts.c.name).where(tables.outposts.c.integration == entity.id)
        for (name,) in self.context.rows(names.order_by(tables.outposts.c.name)):
            yield f"outpost {name!r}"


class IntegrationHealths(Quiet[IntegrationHealth]):
    """What the last look at each integration has shown: what was found, and not what is wanted."""

    table = tables.integration_health
    entity = IntegrationHealth
    kind = "integration health"
    name = "id"
    order = "checked"


class Deployments(Quiet[Deployment]):
    """What lies on engines: it follows from the configuration and what was found.

    The trail is told in words of its own (`Unit.record`), when something is done there.
    """

    table = tables.deployments
    entity = Deployment
    kind = "deployment"

    def of_integration(self, integration: UUID) -> list[Deployment]:
        """All that lies, or is about to lie, on one engine."""
        return self._select(self.table.c.integration == integration)

    def of_outpost(self, outpost: UUID) -> list[Deployment]:
        """Where an outpost lies, or did and may yet."""
        return self._select(self.table.c.outpost == outpost)

    def of_outposts(self, outposts: Collection[UUID]) -> list[Deployment]:
        """The same of several."""
        return [each for some in chunks(outposts) for each in self._select(self.table.c.outpost.in_(some))]

    def find_on(self, outpost: UUID, integration: UUID) -> Deployment | None:
        """What is known of an outpost on one engine."""
        return self._one(sa.and_(self.table.c.outpost == outpost, self.table.c.integration == integration))

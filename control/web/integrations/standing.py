"""What an integration is to whoever looks at many: one standing each. Words stand in templates.

A look that is too old says nothing any more: whoever should look doesn't, and that is told instead.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from control.domain.integration import IntegrationHealth

# It is looked at each minute; several looks in a row didn't happen.
STALE = timedelta(minutes=5)


class IntegrationStanding(StrEnum):
    """What an integration is."""

    HEALTHY = "healthy"
    # It answers, and refuses something that it can do without.
    LIMITED = "limited"
    UNHEALTHY = "unhealthy"
    # Nobody has looked for a while.
    STALE = "stale"
    # Nobody has looked yet.
    UNCHECKED = "unchecked"


def standing(health: IntegrationHealth | None, now: datetime) -> IntegrationStanding:
    """The one word for an integration."""
    if health is None or not health.was_checked:
        return IntegrationStanding.UNCHECKED
    # A look from the future is of a clock that was wrong: it says as little.
    if abs(now - health.checked) > STALE:
        return IntegrationStanding.STALE
    if not health.error and health.missing:
        return IntegrationStanding.LIMITED
    return IntegrationStanding.HEALTHY if health.healthy else IntegrationStanding.UNHEALTHY

"""One word for an integration."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from control.domain.integration import IntegrationHealth
from control.web.integrations.standing import STALE, IntegrationStanding, standing

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WELL = {"id": UUID(int=1), "healthy": True, "checked": NOW, "since": NOW}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, IntegrationStanding.HEALTHY),
        ({"checked": NOW - STALE}, IntegrationStanding.HEALTHY),
        ({"checked": NOW - STALE - timedelta(seconds=1)}, IntegrationStanding.STALE),
        ({"checked": NOW + timedelta(days=2)}, IntegrationStanding.STALE),
        ({"healthy": False, "host_key": "ssh-ed25519 AAAA"}, IntegrationStanding.UNCHECKED),
        ({"healthy": False, "error": "engine_away"}, IntegrationStanding.UNHEALTHY),
        (
            {"healthy": False, "error": "permissions_missing", "missing": ("containers kill",)},
            IntegrationStanding.UNHEALTHY,
        ),
        ({"healthy": True, "missing": ("images pull",)}, IntegrationStanding.LIMITED),
        ({"healthy": False, "error": "not_allowed", "missing": ("containers read",)}, IntegrationStanding.UNHEALTHY),
        ({"healthy": False, "checked": NOW - 2 * STALE, "error": "engine_away"}, IntegrationStanding.STALE),
    ],
)
def test_what_matters_most(changes: dict[str, object], expected: IntegrationStanding) -> None:
    health = IntegrationHealth(**{**WELL, **changes})  # type: ignore[arg-type] # by keyword
    assert standing(health, NOW) is expected


def test_nobody_has_looked_yet() -> None:
    assert standing(None, NOW) is IntegrationStanding.UNCHECKED

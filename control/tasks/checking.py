"""Whether one integration answers, and allows what is needed; what it shows is its health, with since when.

A run of this ends well whatever it finds. An engine that is back is surveyed at once.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from control.domain.integration import Integration, IntegrationHealth
from control.domain.task import Cause, LineLevel, TaskKind
from control.integrations.model import Checked, TargetAway
from control.store import DatabaseUnavailable, Event, Unit
from control.tasks import trail
from control.tasks.context import Work
from control.tasks.counting import AWAY
from control.tasks.engines import HOST_KEY_CHANGED, open_engine

LACKING, UNFORESEEN = "permissions_missing", "crashed"
CODES = (LACKING, UNFORESEEN, "engine_well", "engine_ill")
# Nothing can be done there until a check has found otherwise, which is made each minute.
UNREACHABLE, KNOWN_FOR = frozenset({"engine_away", "not_an_engine", "tls_refused", "ssh_refused"}), timedelta(minutes=2)
# What is there already serves where nothing can be fetched.
DISPENSABLE = frozenset({"images pull"})


log = logging.getLogger("control.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a check has shown; `error` is empty where all is well."""

    error: str = ""
    detail: str = ""
    version: str = ""
    missing: tuple[str, ...] = ()
    offered_key: str = ""


def run(work: Work) -> Mapping[str, object] | None:
    """Check the integration that the run is about."""
    with work.store.read() as unit:
        integration = unit.integrations.find(work.run.subject)
        if integration is None:
            return None
        owners = frozenset(row.outpost for row in unit.deployments.of_integration(integration.id))
    shown = _shown(work, integration, owners)
    with work.store.write(trail.actor_of(work.run)) as unit:
        if unit.integrations.find(integration.id) != integration:
            # Changed or gone meanwhile: whoever changed it has asked for another check.
            return None
        _save(unit, integration, shown)
    _say(work, shown)
    return {"healthy": not shown.error, "error": shown.error, "version": shown.version, "missing": [*shown.missing]}


def note_away(unit: Unit, integration: Integration, error: TargetAway) -> None:
    """Write down that an engine is away, whoever found out: nobody else has to wait for it to find out too."""
    known = unit.integration_healths.find(integration.id)
    if error.code in UNREACHABLE and unit.integrations.find(integration.id) == integration:
        missing = known.missing if known is not None else ()
        _save(unit, integration, Shown(error=error.code, detail=error.detail, missing=missing))


def find_away(unit: Unit, integration: Integration) -> TargetAway | None:
    """That an engine is away, as was found last, and when; None where that is too long ago, or it is not."""
    known = unit.integration_healths.find(integration.id)
    if known is None or known.error not in UNREACHABLE or abs(unit.now - known.checked) > KNOWN_FOR:
        return None
    return TargetAway(known.error, f"{known.detail} (found at {known.checked:%H:%M:%S} UTC)")


def health_after(
    known: IntegrationHealth | None, integration: Integration, shown: Shown, unit: Unit
) -> IntegrationHealth:
    """The health of an integration once that was shown."""
    fresh = IntegrationHealth(id=integration.id, healthy=False, checked=unit.now, since=unit.now)
    is_healthy, before = not shown.error, known or fresh
    is_same = known is not None and known.healthy == is_healthy
    return replace(
        before,
        healthy=is_healthy,
        checked=unit.now,
        since=before.since if is_same else unit.now,
        error=shown.error,
        detail=shown.detail,
        version=shown.version or before.version,
        missing=shown.missing,
        offered_key=shown.offered_key,
    )


def _shown(work: Work, integration: Integration, owners: frozenset[UUID]) -> Shown:
    try:
        with open_engine(work.store, integration, work.means.ssh_config) as engine:
            shown = _checked(engine.preflight())
            if not shown.error:
                # As surveys do: what they can't look at is not healthy.
                engine.target.observe(owners)
            return shown
    except TargetAway as error:
        AWAY.labels(error.code).inc()
        offered = error.detail if error.code == HOST_KEY_CHANGED else ""
        return Shown(error=error.code, detail=error.detail, offered_key=offered)
    except DatabaseUnavailable:
        raise
    except Exception as error:
        # An engine that says what nobody foresaw is not one to be told as healthy.
        AWAY.labels(UNFORESEEN).inc()
        log.exception("an engine could not be checked", extra={"integration": integration.name})
        return Shown(error=UNFORESEEN, detail=type(error).__name__)


def _checked(checked: Checked) -> Shown:
    lacking = [each for each in checked.missing if each not in DISPENSABLE]
    return Shown(
        error=LACKING if lacking else "",
        detail=", ".join(lacking),
        version=checked.version,
        missing=tuple(checked.missing),
    )


def _save(unit: Unit, integration: Integration, shown: Shown) -> None:
    known = unit.integration_healths.find(integration.id)
    health = health_after(known, integration, shown, unit)
    unit.integration_healths.save([health])
    if known is not None and known.healthy == health.healthy and known.was_checked:
        return
    unit.record(_turned(integration, health))
    if health.healthy:
        unit.runs.submit(TaskKind.SURVEY, Cause.CHANGE, integration.id, integration.name)


def _turned(integration: Integration, health: IntegrationHealth) -> Event:
    return Event(
        action="reachable" if health.healthy else "unreachable",
        kind="integration",
        target=str(integration.id),
        name=integration.name,
        outcome="success" if health.healthy else "failure",
        reason=health.error,
    )


def _say(work: Work, shown: Shown) -> None:
    if shown.error:
        work.say("engine_ill", LineLevel.WARNING, code=shown.error, detail=shown.detail)
    else:
        work.say("engine_well", version=shown.version)

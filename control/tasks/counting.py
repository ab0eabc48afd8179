"""What deployments count: what was done on engines, how long it took, and how all of them are.

Counters live here, since tasks have no other place for them; the gauges are read from the database when asked, so that
what is gone leaves no series behind.
"""

from collections import Counter as Tally
from collections.abc import Iterator

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from control.domain.integration import DeploymentState
from control.integrations.model import Action
from control.store import Store

BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
ACTIONS = Counter(
    "garrison_deployment_actions", "What was done on engines, by action and how it ended.", ["action", "result"]
)
SECONDS = Histogram("garrison_deployment_seconds", "A deployment, until all of it is healthy.", buckets=BUCKETS)
AWAY = Counter("garrison_integration_away", "Times that an engine did not answer, or not to us.", ["reason"])
EVENTS = Counter("garrison_integration_events", "Events of engines about outposts of ours.")
COUNTERS = (ACTIONS, SECONDS, AWAY, EVENTS)


def count(action: Action, result: str) -> None:
    """Count an action."""
    ACTIONS.labels(type(action).__name__.lower(), result).inc()


class DeploymentsCollector(Collector):
    """Integrations and deployments as gauges."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges of now. Raises DatabaseUnavailable."""
        with self._store.read() as unit:
            names = {each.id: each.name for each in unit.integrations.all()}
            health = unit.integration_healths.all()
            states = Tally(each.state for each in unit.deployments.all())
        healthy = GaugeMetricFamily(
            "garrison_integration_healthy", "Whether an engine answers and allows what is needed.", labels=["name"]
        )
        deployments = GaugeMetricFamily(
            "garrison_deployments", "Outposts on engines, by how they were at the last look.", labels=["state"]
        )
        for each in health:
            healthy.add_metric([names[each.id]], float(each.healthy))
        for state in DeploymentState:
            deployments.add_metric([state.value], states[state])
        yield healthy
        yield deployments

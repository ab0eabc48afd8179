"""What the tasks process counts, and what it finds in the queue when it is asked."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from control.store import DatabaseUnavailable, Store
from control.tasks.context import LEFT_OUT
from control.tasks.counting import COUNTERS, DeploymentsCollector

BUCKETS = (0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
# `outcome` is the state that a run was left in: done, failed, cancelled, retrying, or queued where it was given back;
# and `lost` where it was somebody else's by then.
ENDED = Counter("garrison_task_runs", "Runs of tasks that this process worked on, by outcome.", ["kind", "outcome"])
SECONDS = Histogram("garrison_task_seconds", "How long attempts of runs took.", ["kind"], buckets=BUCKETS)
RUNNING = Gauge("garrison_tasks_running", "Runs of tasks that this process works on.")


class WhileThere(Collector):
    """Another collector, that tells nothing while the database is away: the rest can be told all the same."""

    def __init__(self, other: Collector) -> None:
        self._other = other

    def collect(self) -> Iterable[Metric]:
        """What the other one tells."""
        try:
            return [*self._other.collect()]
        except DatabaseUnavailable:
            return []


class QueueCollector(Collector):
    """What waits in the queue, whoever will do it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges of now. Raises DatabaseUnavailable."""
        with self._store.read() as unit:
            waiting, overdue = unit.runs.waiting(), unit.runs.overdue()
        family = GaugeMetricFamily("garrison_tasks_waiting", "Runs of tasks that wait.", labels=["kind"])
        for kind, count in sorted(waiting.items()):
            family.add_metric([kind], count)
        yield family
        yield GaugeMetricFamily(
            "garrison_tasks_overdue_seconds",
            "For how long the run that waits the longest has been due.",
            value=overdue.total_seconds(),
        )


def make_registry(store: Store) -> CollectorRegistry:
    """All metrics of the process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    found = (WhileThere(QueueCollector(store)), WhileThere(DeploymentsCollector(store)))
    for each in (ENDED, SECONDS, RUNNING, LEFT_OUT, *COUNTERS, *found):
        registry.register(each)
    return registry

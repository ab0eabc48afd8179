"""Where the state of the processes is shown: `run/processes.json` for the pages, counters for Prometheus."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from control.serve.programs import ProcessState, Status


class Board(Collector):
    """Holds the latest statuses, writes them to the file and answers Prometheus."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._statuses: tuple[Status, ...] = ()

    def show(self, statuses: Sequence[Status]) -> None:
        """Take the statuses of now."""
        self._statuses = tuple(statuses)
        written = self._path.with_suffix(".new")
        written.write_text(json.dumps([status.to_json() for status in statuses], indent=1))
        written.replace(self._path)

    def collect(self) -> Iterable[Metric]:
        """The two metrics of each process."""
        up = GaugeMetricFamily("garrison_process_up", "Whether the process runs.", labels=["process"])
        restarts = CounterMetricFamily(
            "garrison_process_restarts", "How often the process ended by itself.", labels=["process"]
        )
        for status in self._statuses:
            up.add_metric([status.name], float(status.state is ProcessState.RUNNING))
            restarts.add_metric([status.name], status.restarts)
        yield up
        yield restarts

"""Prometheus texts of several processes as one: each family once, samples that say the same thing added up.

What the client library tells of every Python process (`process_*`, `python_*`) gets a `process` label instead.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

# When a counter began: meaningless once counters of several processes are added up.
CREATED = "_created"
OWN = ("process_", "python_")
_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class _Family:
    """A family under construction."""

    name: str
    documentation: str
    type: str
    values: dict[_Key, float] = field(default_factory=dict)

    def add(self, sample: Sample, process: str) -> None:
        labels = dict(sample.labels)
        if self.name.startswith(OWN):
            labels["process"] = process
        key = (sample.name, tuple(sorted(labels.items())))
        self.values[key] = self.values.get(key, 0.0) + sample.value

    def metric(self) -> Metric:
        metric = Metric(self.name, self.documentation, self.type)
        for (name, labels), value in self.values.items():
            metric.add_sample(name, dict(labels), value)
        return metric


class _Merged(Collector):
    def __init__(self, families: Iterable[_Family]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        """The families."""
        return (family.metric() for family in self._families)


def merge(texts: Mapping[str, str]) -> bytes:
    """One Prometheus text of those of several processes, by process. Raises ValueError on a text that is none."""
    families: dict[str, _Family] = {}
    for process, text in texts.items():
        for metric in text_string_to_metric_families(text):
            if metric.name.endswith(CREATED):
                continue
            family = families.setdefault(metric.name, _Family(metric.name, metric.documentation, metric.type))
            for sample in metric.samples:
                family.add(sample, process)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged(families[name] for name in sorted(families)))
    return generate_latest(registry)

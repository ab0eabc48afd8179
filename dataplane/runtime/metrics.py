"""The outpost's metrics: what the workers counted, added up, with the supervisor's own, as Prometheus text.

Workers count plain integers; nothing is shared while they serve. A worker that ends leaves its counters behind, so
totals never go back. prometheus_client only renders.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from dataplane.runtime.server import Histogram, Sample, Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_Key = tuple[str, tuple[tuple[str, str], ...]]


def _key(entry: Sample | Histogram) -> _Key:
    return entry.name, tuple(sorted(entry.labels.items()))


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The sum of snapshots, by name and labels."""
    histograms: dict[_Key, Histogram] = {}
    counters: dict[_Key, Sample] = {}
    gauges: dict[_Key, Sample] = {}
    for snapshot in snapshots:
        for histogram in snapshot.histograms:
            _add_histogram(histograms, histogram)
        _add_samples(counters, snapshot.counters)
        _add_samples(gauges, snapshot.gauges)
    return Snapshot(
        histograms=tuple(histograms.values()), counters=tuple(counters.values()), gauges=tuple(gauges.values())
    )


def left_behind(snapshot: Snapshot) -> Snapshot:
    """What remains of a worker that has ended: all but its gauges."""
    return Snapshot(histograms=snapshot.histograms, counters=snapshot.counters)


def _add_samples(sums: dict[_Key, Sample], samples: Iterable[Sample]) -> None:
    for sample in samples:
        key = _key(sample)
        before = sums[key].value if key in sums else 0.0
        sums[key] = Sample(name=sample.name, help=sample.help, labels=sample.labels, value=before + sample.value)


def _add_histogram(sums: dict[_Key, Histogram], histogram: Histogram) -> None:
    key = _key(histogram)
    before = sums.get(key)
    # Workers are of one version, so a name has the same bounds everywhere.
    sums[key] = histogram if before is None else _added(before, histogram)


def _added(one: Histogram, other: Histogram) -> Histogram:
    return Histogram(
        name=one.name,
        help=one.help,
        labels=one.labels,
        bounds=one.bounds,
        counts=tuple(a + b for a, b in zip(one.counts, other.counts, strict=True)),
        sum=one.sum + other.sum,
    )


class _Once(Collector):
    """A registry wants a collector; ours has its families already."""

    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def render(snapshot: Snapshot) -> bytes:
    """The snapshot in the Prometheus text format."""
    families = (
        *_families(snapshot.gauges, GaugeMetricFamily),
        *_families(snapshot.counters, CounterMetricFamily),
        *_histogram_families(snapshot.histograms),
    )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(families))
    return generate_latest(registry)


def _families(
    samples: Iterable[Sample], family: type[GaugeMetricFamily] | type[CounterMetricFamily]
) -> Iterator[Metric]:
    found: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for sample in samples:
        if sample.name not in found:
            found[sample.name] = family(sample.name, sample.help, labels=sorted(sample.labels))
        found[sample.name].add_metric(_label_values(sample), sample.value)
    yield from found.values()


def _histogram_families(histograms: Iterable[Histogram]) -> Iterator[Metric]:
    found: dict[str, HistogramMetricFamily] = {}
    for histogram in histograms:
        if histogram.name not in found:
            labels = sorted(histogram.labels)
            found[histogram.name] = HistogramMetricFamily(histogram.name, histogram.help, labels=labels)
        found[histogram.name].add_metric(_label_values(histogram), _buckets(histogram), histogram.sum)
    yield from found.values()


def _label_values(entry: Sample | Histogram) -> list[str]:
    """In the order of the names, which is the family's."""
    return [entry.labels[name] for name in sorted(entry.labels)]


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, histogram.bounds), "+Inf"), histogram.counts, strict=True):
        total += count
        buckets.append((bound, total))
    return buckets

"""What protocol servers count: plain integers, in the shapes that the runtime exports.

Labels come from config and from our own code only, so that no stranger can grow their number.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import TypedDict

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class HistogramSample(TypedDict):
    """One histogram; `counts` are per bucket, the last one above all bounds."""

    name: str
    help: str
    labels: dict[str, str]
    bounds: list[float]
    counts: list[int]
    sum: float


class Sample(TypedDict):
    """One counter or gauge."""

    name: str
    help: str
    labels: dict[str, str]
    value: float


class Snapshot(TypedDict):
    """All there is to export."""

    histograms: list[HistogramSample]
    counters: list[Sample]
    gauges: list[Sample]


class Histogram:
    """Durations in fixed buckets."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration; one during which the clock was set back took no time."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        if seconds > 0.0:
            self.sum += seconds

    def sample(self, name: str, help_: str, labels: dict[str, str]) -> HistogramSample:
        """It as it is exported."""
        return {
            "name": name,
            "help": help_,
            "labels": labels,
            "bounds": list(BOUNDS),
            "counts": list(self.counts),
            "sum": self.sum,
        }


def gauge(name: str, help_: str, value: float) -> Sample:
    """One figure of now."""
    return {"name": name, "help": help_, "labels": {}, "value": value}


def counters(name: str, help_: str, label: str, counts: Mapping[str, int]) -> list[Sample]:
    """One counter for each value of a label."""
    return [{"name": name, "help": help_, "labels": {label: key}, "value": value} for key, value in counts.items()]

"""Adding up what workers counted, and rendering it: read back by Prometheus' own parser."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dataplane.runtime.metrics import left_behind, merged, render
from dataplane.runtime.server import Histogram, Sample, Snapshot


def histogram(counts: tuple[int, ...], total: float, **labels: str) -> Histogram:
    return Histogram(name="h_seconds", help="?", labels=labels, bounds=(0.1, 1.0), counts=counts, sum=total)


def sample(value: float, **labels: str) -> Sample:
    return Sample(name="c_total", help="?", labels=labels, value=value)


def parsed(snapshot: Snapshot) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for family in text_string_to_metric_families(render(snapshot).decode())
        for each in family.samples
    }


def test_sums_are_by_name_and_labels() -> None:
    one = Snapshot(counters=(sample(1, a="x"), sample(2, a="y")), histograms=(histogram((1, 0, 2), 5.0, a="x"),))
    other = Snapshot(counters=(sample(4, a="y"),), histograms=(histogram((1, 1, 0), 0.5, a="x"),))
    assert parsed(merged((one, other))) == {
        ("c_total", (("a", "x"),)): 1,
        ("c_total", (("a", "y"),)): 6,
        ("h_seconds_bucket", (("a", "x"), ("le", "0.1"))): 2,
        ("h_seconds_bucket", (("a", "x"), ("le", "1.0"))): 3,
        ("h_seconds_bucket", (("a", "x"), ("le", "+Inf"))): 5,
        ("h_seconds_count", (("a", "x"),)): 5,
        ("h_seconds_sum", (("a", "x"),)): 5.5,
    }


def test_labels_in_another_order_are_the_same_series() -> None:
    one = Snapshot(counters=(sample(1, a="x", b="y"),))
    other = Snapshot(counters=(sample(1, b="y", a="x"),))
    assert [each.value for each in merged((one, other)).counters] == [2]


def test_a_label_from_outside_cannot_break_the_text() -> None:
    nasty = 'x"} 1\nevil 2'
    assert parsed(Snapshot(counters=(sample(1, host=nasty),))) == {("c_total", (("host", nasty),)): 1}


def test_gauges_die_with_their_worker() -> None:
    snapshot = Snapshot(counters=(sample(1),), gauges=(Sample(name="g", help="", labels={}, value=1),))
    assert left_behind(snapshot) == Snapshot(counters=(sample(1),))


def test_nothing_counted_renders_as_nothing() -> None:
    assert render(Snapshot()) == b""


def test_labels_that_differ_in_order_between_samples_keep_their_values() -> None:
    counters = (sample(1, a="x", b="y"), sample(2, b="q", a="p"))
    assert parsed(Snapshot(counters=counters)) == {
        ("c_total", (("a", "x"), ("b", "y"))): 1,
        ("c_total", (("a", "p"), ("b", "q"))): pytest.approx(2),
    }

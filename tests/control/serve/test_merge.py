"""Metrics of several processes as one text."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from control.serve.merge import merge


def text(count: int, seconds: float) -> str:
    """What one process tells."""
    registry = CollectorRegistry()
    Counter("requests", "Requests.", ["code"], registry=registry).labels("200").inc(count)
    Histogram("seconds", "Time.", buckets=[1, 5], registry=registry).observe(seconds)
    Gauge("python_threads", "Threads.", registry=registry).set(count)
    return generate_latest(registry).decode()


def test_families_stand_once_and_equal_samples_are_added() -> None:
    lines = merge({"a": text(2, 0.5), "b": text(3, 3)}).decode().splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# HELP python_threads Threads.",
        "# TYPE python_threads gauge",
        "# HELP requests_total Requests.",
        "# TYPE requests_total counter",
        "# HELP seconds Time.",
        "# TYPE seconds histogram",
    ]
    assert 'requests_total{code="200"} 5.0' in lines
    assert [line for line in lines if line.startswith("seconds")] == [
        'seconds_bucket{le="1.0"} 1.0',
        'seconds_bucket{le="5.0"} 2.0',
        'seconds_bucket{le="+Inf"} 2.0',
        "seconds_count 2.0",
        "seconds_sum 3.5",
    ]


def test_what_every_process_has_is_told_apart() -> None:
    lines = merge({"a": text(2, 1), "b": text(3, 1)}).decode().splitlines()
    assert 'python_threads{process="a"} 2.0' in lines
    assert 'python_threads{process="b"} 3.0' in lines


def test_what_comes_out_parses_and_merges_again() -> None:
    once = merge({"a": text(2, 1)}).decode()
    assert {family.name for family in text_string_to_metric_families(once)} == {"requests", "seconds", "python_threads"}
    assert merge({"a": once}).decode() == once


def test_nothing_gives_nothing() -> None:
    assert merge({}) == b""


def test_a_text_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        merge({"a": "metric not-a-number\n"})

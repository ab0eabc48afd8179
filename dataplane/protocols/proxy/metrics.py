"""What a worker counts: plain integers, exported by others.

Labels come from config and from our own code only, so that no stranger can grow their number.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import TypedDict

from dataplane.verifier import Verifier

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_METHODS = {method.encode(): method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")}


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


class Metrics:
    """The counts of one worker's proxy server."""

    def __init__(self) -> None:
        self._durations: dict[tuple[bytes, str, str], Histogram] = {}
        self._upstream: dict[tuple[bytes, str], Histogram] = {}
        self.cache: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.sign_ins: Counter[str] = Counter()
        self.header_auth: Counter[str] = Counter()

    def observe(self, method: bytes, host: str, kind: str, seconds: float) -> None:
        """Count a request by method, configured host (or empty) and kind."""
        self.timer(method, host, kind).observe(seconds)

    def timer(self, method: bytes, host: str, kind: str) -> Histogram:
        """The histogram of these labels."""
        key = (method if method in _METHODS else b"other", host, kind)
        histogram = self._durations.get(key)
        if histogram is None:
            histogram = self._durations[key] = Histogram()
        return histogram

    def observe_upstream(self, method: bytes, host: str, seconds: float) -> None:
        """Count how long an upstream took to begin its answer."""
        key = (method if method in _METHODS else b"other", host)
        self._upstream.setdefault(key, Histogram()).observe(seconds)

    def snapshot(
        self, outpost_name: str, limits: Mapping[str, int], connections: int, passing: int, verifier: Verifier
    ) -> Snapshot:
        """Everything as plain data; `passing` are those of the connections that only pass to the link."""
        return {
            "histograms": self._histograms(outpost_name),
            "counters": [
                *_counters("garrison_proxy_limits_total", "Limits hit", "limit", limits),
                *_counters("garrison_proxy_session_cache_total", "Session cookies looked up", "result", self.cache),
                *_counters("garrison_proxy_refusals_total", "Requests refused", "reason", self.refusals),
                *_counters("garrison_proxy_sign_ins_total", "Sign-ins by outcome", "outcome", self.sign_ins),
                *_counters("garrison_proxy_header_auth_total", "Credentials by outcome", "outcome", self.header_auth),
                *_counters("garrison_verifier_lookups_total", "Credentials looked up", "result", verifier.counts),
                *_counters("garrison_verifier_limits_total", "Limits of it hit", "limit", verifier.limits),
            ],
            "gauges": [
                gauge("garrison_verifier_entries", "Answers about credentials that are kept", len(verifier)),
                gauge("garrison_proxy_connections", "Connections open", connections),
                gauge("garrison_proxy_link_connections", "Connections passed on to the link", passing),
            ],
        }

    def _histograms(self, outpost_name: str) -> list[HistogramSample]:
        requests = [
            _histogram(
                "authentik_outpost_proxy_request_duration_seconds",
                "Proxy request latencies in seconds",
                {"outpost_name": outpost_name, "method": _METHODS.get(method, "other"), "host": host, "type": kind},
                histogram,
            )
            for (method, host, kind), histogram in self._durations.items()
        ]
        upstream = [
            _histogram(
                "authentik_outpost_proxy_upstream_response_duration_seconds",
                "Proxy upstream response latencies in seconds",
                {"outpost_name": outpost_name, "method": _METHODS.get(method, "other"), "host": host},
                histogram,
            )
            for (method, host), histogram in self._upstream.items()
        ]
        return requests + upstream


def _histogram(name: str, help_: str, labels: dict[str, str], histogram: Histogram) -> HistogramSample:
    return {
        "name": name,
        "help": help_,
        "labels": labels,
        "bounds": list(BOUNDS),
        "counts": list(histogram.counts),
        "sum": histogram.sum,
    }


def gauge(name: str, help_: str, value: float) -> Sample:
    """One figure of now."""
    return {"name": name, "help": help_, "labels": {}, "value": value}


def _counters(name: str, help_: str, label: str, counts: Mapping[str, int]) -> list[Sample]:
    return [{"name": name, "help": help_, "labels": {label: key}, "value": value} for key, value in counts.items()]

"""What a worker counts: plain integers, exported by others.

Labels come from config and from our own code only, so that no stranger can grow their number.
"""

from collections import Counter
from collections.abc import Mapping

from dataplane.metering import Histogram, HistogramSample, Sample, Snapshot, counters, gauge
from dataplane.verifier import Verifier

_METHODS = {method.encode(): method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")}


class Metrics:
    """The counts of one worker's proxy server."""

    def __init__(self) -> None:
        self._durations: dict[tuple[bytes, str, str], Histogram] = {}
        self._upstream: dict[tuple[bytes, str], Histogram] = {}
        self.cache: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.sign_ins: Counter[str] = Counter()
        self.header_auth: Counter[str] = Counter()
        self.failures: Counter[tuple[str, str]] = Counter()
        """Of requests that went on to an application, by configured host and what went wrong."""

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
        histogram = self._upstream.get(key)
        if histogram is None:
            histogram = self._upstream[key] = Histogram()
        histogram.observe(seconds)

    def snapshot(
        self, outpost_name: str, limits: Mapping[str, int], connections: int, passing: int, verifier: Verifier
    ) -> Snapshot:
        """Everything as plain data; `passing` are those of the connections that only pass to the link."""
        return {
            "histograms": self._histograms(outpost_name),
            "counters": [
                *counters("garrison_proxy_limits_total", "Limits hit", "limit", limits),
                *counters("garrison_proxy_session_cache_total", "Session cookies looked up", "result", self.cache),
                *counters("garrison_proxy_refusals_total", "Requests refused", "reason", self.refusals),
                *counters("garrison_proxy_sign_ins_total", "Sign-ins by outcome", "outcome", self.sign_ins),
                *counters("garrison_proxy_header_auth_total", "Credentials by outcome", "outcome", self.header_auth),
                *self._failures(),
                *verifier.counters(),
            ],
            "gauges": [
                verifier.gauge(),
                gauge("garrison_proxy_connections", "Connections open", connections),
                gauge("garrison_proxy_link_connections", "Connections passed on to the link", passing),
            ],
        }

    def _failures(self) -> list[Sample]:
        help_ = "Requests that went on to an application and failed, by reason"
        return [
            {
                "name": "garrison_proxy_upstream_failures_total",
                "help": help_,
                "labels": {"host": host, "reason": reason},
                "value": count,
            }
            for (host, reason), count in self.failures.items()
        ]

    def _histograms(self, outpost_name: str) -> list[HistogramSample]:
        requests = [
            histogram.sample(
                "authentik_outpost_proxy_request_duration_seconds",
                "Proxy request latencies in seconds",
                {"outpost_name": outpost_name, "method": _METHODS.get(method, "other"), "host": host, "type": kind},
            )
            for (method, host, kind), histogram in self._durations.items()
        ]
        upstream = [
            histogram.sample(
                "authentik_outpost_proxy_upstream_response_duration_seconds",
                "Proxy upstream response latencies in seconds",
                {"outpost_name": outpost_name, "method": _METHODS.get(method, "other"), "host": host},
            )
            for (method, host), histogram in self._upstream.items()
        ]
        return requests + upstream

"""What a worker counts of LDAP: how long requests took, which were refused, how binds went, which limits were hit."""

from collections import Counter
from collections.abc import Mapping

from dataplane.metering import Histogram, HistogramSample, Sample, Snapshot, counters, gauge
from dataplane.protocols.ldap.messages import ResultCode
from dataplane.verifier import Verifier

_FINE = frozenset({ResultCode.SUCCESS, ResultCode.COMPARE_FALSE, ResultCode.COMPARE_TRUE})


class Metrics:
    """The counts of one worker's LDAP server. Labels are kinds of requests, slugs of applications and our own words."""

    def __init__(self) -> None:
        self._durations: dict[tuple[str, str], Histogram] = {}
        self._rejected: Counter[tuple[str, str, str]] = Counter()
        self.binds: Counter[str] = Counter()
        self.limits: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()

    def observe(self, kind: str, application: str, seconds: float, code: ResultCode = ResultCode.SUCCESS) -> None:
        """Count a request and how it went."""
        histogram = self._durations.get((kind, application))
        if histogram is None:
            histogram = self._durations[kind, application] = Histogram()
        histogram.observe(seconds)
        if code not in _FINE:
            self._rejected[kind, code.name.lower(), application] += 1

    def snapshot(
        self, outpost_name: str, limits: Mapping[str, int], gauges: Mapping[str, float], verifier: Verifier
    ) -> Snapshot:
        """Everything as plain data; `limits` are those of connections, `gauges` what is open and held now."""
        return {
            "histograms": self._histograms(outpost_name),
            "counters": [
                *self._rejections(outpost_name),
                *counters("garrison_ldap_limits_total", "Limits hit", "limit", Counter(limits) + self.limits),
                *counters("garrison_ldap_binds_total", "Binds by outcome", "outcome", self.binds),
                *counters("garrison_ldap_ended_total", "Connections ended before their time", "reason", self.ended),
                *verifier.counters(),
            ],
            "gauges": [
                verifier.gauge(),
                *(gauge(name, _GAUGES[name], value) for name, value in gauges.items()),
            ],
        }

    def _histograms(self, outpost_name: str) -> list[HistogramSample]:
        return [
            histogram.sample(
                "authentik_outpost_ldap_request_duration_seconds",
                "LDAP request latencies in seconds",
                {"outpost_name": outpost_name, "type": kind, "app": application},
            )
            for (kind, application), histogram in self._durations.items()
        ]

    def _rejections(self, outpost_name: str) -> list[Sample]:
        return [
            {
                "name": "authentik_outpost_ldap_requests_rejected_total",
                "help": "Refused LDAP requests by result code",
                "labels": {"outpost_name": outpost_name, "type": kind, "reason": reason, "app": application},
                "value": value,
            }
            for (kind, reason, application), value in self._rejected.items()
        ]


_GAUGES = {
    "garrison_ldap_connections": "Connections open",
    "garrison_ldap_bound_connections": "Connections that are bound",
    "garrison_ldap_directory_loaded": "Whether there is a directory to search",
    "garrison_ldap_events_untold": "What was counted for the audit trail and waits to be told",
}

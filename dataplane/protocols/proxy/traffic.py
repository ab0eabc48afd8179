"""What goes on between us and the applications behind us, as figures: connections, dials, retries, what is open.

Read when somebody asks for metrics, from what pools and relays count for themselves. A change of config makes new
ones; what the old ones had counted until the last reading stays in the totals, which never go back.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from weakref import WeakKeyDictionary

from dataplane.io.pool import Pool
from dataplane.io.resolve import RESOLVER
from dataplane.metering import Sample, counters, gauge
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.relay.relay import Relay

_DIALS, _REUSED, _STALE, _REAPED = "dials", "reused", "stale", "reaped"
_RETRIES, _FAILED = "retries", "dial_failures"
_HELP = {
    _DIALS: "Connections to upstreams that were begun",
    _REUSED: "Requests that went over a connection that was kept",
    _STALE: "Connections that the upstream ended, or spoke on, while they rested",
    _REAPED: "Connections that were closed for their age or rest",
    _RETRIES: "Requests that were sent again over a fresh connection",
    _FAILED: "Connections to upstreams that came to nothing, by reason",
}
_Key = tuple[str, str]
"""Of what, and for what reason, where there are several."""


class Traffic:
    """The totals of one worker."""

    def __init__(self) -> None:
        self._pools: WeakKeyDictionary[Pool, Counter[_Key]] = WeakKeyDictionary()
        self._relays: WeakKeyDictionary[Relay, Counter[_Key]] = WeakKeyDictionary()
        self._totals: Counter[tuple[str, *_Key]] = Counter()

    def counters(self, applications: Iterable[Application]) -> list[Sample]:
        """What happened so far, by host as configured."""
        for host, relay in _relays(applications):
            self._add(host, _relay_counts(relay), self._relays.setdefault(relay, Counter()))
            for pool in relay.pools:
                self._add(host, _pool_counts(pool), self._pools.setdefault(pool, Counter()))
        looked = RESOLVER.counts
        resolved = {"looked_up": looked.look_ups, "failed": looked.failures, "kept": looked.kept}
        help_ = "Names of upstreams: asked for, not answered, and served by an older answer"
        return [*self._samples(), *counters("garrison_proxy_upstream_names_total", help_, "outcome", resolved)]

    def gauges(self, applications: Iterable[Application], live: int) -> list[Sample]:
        """How it is now; `live` exchanges are open."""
        now: Counter[tuple[str, str]] = Counter()
        for host, relay in _relays(applications):
            now[host, "websockets"] += relay.websockets
            for pool in relay.pools:
                now[host, "idle"] += pool.idle
                now[host, "busy"] += pool.open - pool.idle
                now[host, "waiting"] += pool.waiting
                now[host, "resting"] += pool.health.is_resting
        return [gauge("garrison_proxy_open_exchanges", "Requests at applications that are open", live), *_gauges(now)]

    def _add(self, host: str, counted: Counter[_Key], seen: Counter[_Key]) -> None:
        for key, value in counted.items():
            self._totals[host, *key] += value - seen[key]
        seen.update(counted - seen)

    def _samples(self) -> Iterator[Sample]:
        for (host, what, reason), value in self._totals.items():
            labels = {"host": host, "reason": reason} if what == _FAILED else {"host": host}
            yield {
                "name": f"garrison_proxy_upstream_{what}_total", "help": _HELP[what], "labels": labels, "value": value,
            }  # fmt: skip


def _relays(applications: Iterable[Application]) -> Iterator[tuple[str, Relay]]:
    for application in applications:
        if application.backend is not None:
            for relay in application.backend.relays:
                yield application.origin.host, relay


def _relay_counts(relay: Relay) -> Counter[_Key]:
    return Counter({(_RETRIES, ""): relay.retries})


def _pool_counts(pool: Pool) -> Counter[_Key]:
    counts = pool.counts
    plain = {_DIALS: counts.dials, _REUSED: counts.reused, _STALE: counts.stale, _REAPED: counts.reaped}
    failed = {(_FAILED, reason.value): count for reason, count in counts.failures.items()}
    return Counter({(what, ""): count for what, count in plain.items()} | failed)


def _gauges(now: Counter[tuple[str, str]]) -> Iterator[Sample]:
    for (host, what), value in now.items():
        match what:
            case "websockets":
                yield _gauge("garrison_proxy_websockets", "WebSockets to applications that are open", value, host=host)
            case "waiting":
                help_ = "Requests that wait for a connection to their upstream"
                yield _gauge("garrison_proxy_upstream_waiting", help_, value, host=host)
            case "resting":
                help_ = "Addresses of upstreams that could not be connected to and are left alone for a while"
                yield _gauge("garrison_proxy_upstream_resting", help_, value, host=host)
            case _:
                name = "garrison_proxy_upstream_connections"
                yield _gauge(name, "Connections to upstreams, by state", value, host=host, state=what)


def _gauge(name: str, help_: str, value: float, **labels: str) -> Sample:
    return {"name": name, "help": help_, "labels": labels, "value": value}

"""The link's metrics, and the unix socket on which they are read.

Names that start with authentik are those of authentik's core, kept to the letter.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from control.auth.deciding import DECISIONS
from control.auth.lockout import LOCKOUTS
from control.auth.passwords import REFUSED
from control.domain.outpost import Instance, InstanceState, Outpost
from control.link.wake import bind_unix

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
REQUEST_SECONDS = 5.0


class Metrics:
    """What the link counts."""

    def __init__(self) -> None:  # long: a statement for each metric
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        # Counted where it is decided who may in, which is the web process's work too.
        for counted in (DECISIONS, LOCKOUTS, REFUSED):
            self.registry.register(counted)
        self.streams = Gauge("garrison_link_streams", "Open streams of outposts.", registry=self.registry)
        self.push_seconds = Histogram(
            "garrison_link_push_seconds",
            "From sending a configuration to the word that it is applied.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.refused = Counter(
            "garrison_link_refused", "Calls and streams refused or cut.", ["reason"], registry=self.registry
        )
        self.outpost_events = Counter(
            "garrison_link_outpost_events",
            "Events that outposts told for the audit trail, by what became of them.",
            ["result"],
            registry=self.registry,
        )
        self.listens = Gauge(
            "garrison_link_hears_commits",
            "Whether PostgreSQL tells of commits; where it doesn't, they are looked for each second.",
            registry=self.registry,
        )
        self.faulty = Gauge(
            "garrison_link_faulty_outposts",
            "Outposts that get no updates, since their stored options can't be used.",
            registry=self.registry,
        )
        self.rejected = Counter(
            "garrison_link_rejected_resources", "Resources that outposts refused.", registry=self.registry
        )
        self.directory_streams = Gauge(
            "garrison_link_directory_streams", "Streams that get users and groups.", registry=self.registry
        )
        self.directory_copies = Counter(
            "garrison_link_directory_copies", "Whole copies of users and groups begun.", registry=self.registry
        )
        self.directory_too_large = Counter(
            "garrison_link_directory_too_large",
            "Users and groups that were left out, since they are too large.",
            registry=self.registry,
        )


class FleetCollector(Collector):
    """Instances as gauges, read when asked: one that is forgotten leaves no series behind."""

    def __init__(
        self, instances: Callable[[], Iterable[Instance]], outposts: Callable[[], Mapping[UUID, Outpost]]
    ) -> None:
        self._instances = instances
        self._outposts = outposts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges of now."""
        connected = GaugeMetricFamily(
            "authentik_outposts_connected", "Currently connected outposts", labels=["outpost", "uid", "expected"]
        )
        updated = GaugeMetricFamily(
            "authentik_outposts_last_update", "Last update from any outpost", labels=["outpost", "uid", "version"]
        )
        for instance, outpost in self._known():
            is_connected = instance.state is not InstanceState.DISCONNECTED
            connected.add_metric([outpost.name, instance.uid, _expected(outpost)], float(is_connected))
            updated.add_metric([outpost.name, instance.uid, instance.version], instance.last_seen.timestamp())
        yield connected
        yield updated

    def _known(self) -> Iterator[tuple[Instance, Outpost]]:
        outposts = self._outposts()
        for instance in tuple(self._instances()):
            if instance.outpost in outposts:
                yield instance, outposts[instance.outpost]


def _expected(outpost: Outpost) -> str:
    return str(outpost.config.get("kubernetes_replicas", 1))


@asynccontextmanager
async def metrics_socket(path: Path, registry: CollectorRegistry) -> AsyncIterator[None]:
    """Answer every HTTP request on the socket at `path` with the metrics in Prometheus' text format."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(generate_latest(registry)))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(answer, sock=bind_unix(path, socket.SOCK_STREAM))
    try:
        yield
    finally:
        server.close()


def _response(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body

"""The proxy outpost's protocol server, as a worker runs it: prepare and commit config, serve sockets, drain, count."""

import datetime as dt
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dataplane.config import Edit
from dataplane.gate import Event, Gate
from dataplane.io.connection import Connection
from dataplane.io.dial import UnixAddress
from dataplane.io.limits import Limits
from dataplane.io.passage import PassageSettings
from dataplane.io.pool import PoolLimits, Target, Upstreams
from dataplane.io.self_signed import self_signed
from dataplane.io.tcp import TcpServer
from dataplane.io.tls import ServerNames, server_context
from dataplane.metering import Snapshot, gauge
from dataplane.protocols.proxy.common import Outside
from dataplane.protocols.proxy.config import Prepared, prepare
from dataplane.protocols.proxy.doors import Doors
from dataplane.protocols.proxy.handler import ProxyHandler
from dataplane.protocols.proxy.relay.flow import RelayLimits
from dataplane.protocols.proxy.relay.relay import Relay
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.told.told import Outlets
from dataplane.protocols.proxy.traffic import Traffic
from dataplane.protocols.proxy.trust import Trust
from dataplane.sansio.clients import DEFAULT_TRUSTED
from dataplane.verifier import Lesson, Sharing

_LAST_LINES = (0.3, 2.0)
"""Seconds for the last lines and spans: when all others are used up, and at most, as a reader may stand still."""

LIMITS = Limits(connections=20_000, connections_per_peer=10_000)
"""Idle ones cost 11 KiB, with TLS 30; a WebSocket takes one as long as it lives. A reverse proxy in front, or a network
behind one address, is one peer: it may have half."""

__all__ = ["LIMITS", "Limits", "Prepared", "ProxyServer", "ProxySettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """What doesn't come from control."""

    trusted_cidrs: tuple[str, ...] = DEFAULT_TRUSTED
    """Whose X-Forwarded-* count, and who may say in the PROXY protocol whose connection it is."""
    control_socket: str | None = None
    """Where requests for unclaimed hosts go; None where this is no front door."""
    passage: PassageSettings | None = None
    """Which TLS connections go on to control's link; None where this is no front door."""
    version: str
    service_hosts: frozenset[str] = frozenset()
    """Names that proxies call us by in Host, as ingress-nginx does: they say nothing of an application."""
    limits: Limits = LIMITS
    relay: RelayLimits = field(default_factory=RelayLimits)
    outlets: Outlets = field(default_factory=Outlets)
    certificate: tuple[str, ...] = field(default=(), repr=False)
    """Chain and key (PEM) for names without one of their own; empty for one that is made here."""


class ProxyServer:
    """One worker's server. Raises ValueError for a bad setting."""

    def __init__(
        self,
        settings: ProxySettings,
        gate: Gate,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        control = settings.control_socket
        relay = Relay(_to_control(control, settings), settings.relay) if control else None
        trust = Trust(settings.trusted_cidrs, settings.service_hosts)
        self._version = settings.version
        self._random = random
        outside = Outside(gate=gate, clock=clock, random=random, outlets=settings.outlets)
        self._doors = Doors(outside, trust, relay)
        self._relay = relay
        self._tcp = TcpServer(self._open, settings.limits, settings.passage, relays=trust.is_trusted)
        now = dt.datetime.fromtimestamp(clock(), dt.UTC)
        chain, key = settings.certificate or self_signed(now)
        self._names = ServerNames(server_context(chain, key))
        self._prepared = Prepared()
        self._traffic = Traffic()

    def prepare(self, edit: Edit) -> tuple[Prepared, Mapping[str, str]]:
        """What is served, with this edit, made ready; and which keys can't be served, with reasons."""
        return prepare(edit, self._version, self._random, self._prepared)

    def commit(self, prepared: Prepared) -> None:
        """Serve by `prepared` from the next request on."""
        self._names.replace(prepared.find_context)
        self._doors.commit(prepared)
        self._prepared = prepared

    def serve(self, listener: socket.socket, *, tls: bool) -> None:
        """Accept on `listener` from now on."""
        self._doors.live.watch()
        self._tcp.serve(listener, self._names.context if tls else None)

    def end_here(self, session: str, until: float) -> None:
        """Refuse a session at once: another worker of this outpost has signed it out."""
        self._doors.end_here(session, until)

    def join(self, sharing: Sharing) -> None:
        """Keep what control says of credentials in common with the other workers of the outpost."""
        self._doors.verifier.join(sharing)

    def learn(self, lesson: Lesson) -> None:
        """Another worker has asked control about credentials."""
        self._doors.verifier.learn(lesson)

    def drain(self, seconds: float) -> None:
        """Stop accepting, let requests in flight finish for `seconds`, then cut."""
        self._doors.live.part()
        if self._relay is not None:
            self._relay.part()
        ends = self._tcp.now() + seconds
        self._tcp.drain(seconds)
        self._doors.live.stop()
        least, most = _LAST_LINES
        self._doors.common.told.settle(max(least, min(most, ends - self._tcp.now())))

    def take_events(self, *, last: bool = False) -> tuple[Event, ...]:
        """What happened since the last time, to be told to control; `last`: there is no next one."""
        return self._doors.take_events(last=last)

    @property
    def connections(self) -> int:
        """How many are open now."""
        return self._tcp.connections

    def metrics(self) -> Snapshot:
        """What was counted so far."""
        options = self._prepared.options
        name = options.outpost_name if options is not None else ""
        doors, tcp = self._doors, self._tcp
        snapshot = doors.metrics.snapshot(name, tcp.counts.limits, self.connections, tcp.passing, doors.verifier)
        served = self._prepared.routes.applications
        snapshot["counters"] += [*doors.common.told.counters(), *self._traffic.counters(served)]
        snapshot["gauges"] += self._traffic.gauges(served, len(doors.live))
        help_ = "What was counted for the audit trail and waits to be told"
        snapshot["gauges"].append(gauge("garrison_proxy_events_untold", help_, doors.ledger.untold))
        return snapshot

    def _open(self, _: Connection[Any]) -> tuple[HttpSession, ProxyHandler]:
        session = HttpSession()
        return session, ProxyHandler(self._doors, session)


def _to_control(path: str, settings: ProxySettings) -> Upstreams:
    """As many connections as there are clients: the relay bounds what each may have."""
    limits = PoolLimits(connections=settings.limits.connections, connect=settings.relay.dial)
    return Upstreams((Target(text="control", address=UnixAddress(path=path)),), limits)

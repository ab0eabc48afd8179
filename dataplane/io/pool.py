"""Connections to an upstream, kept for the next request: bounded, watched while they rest, and by address in order.

A `Pool` is one address, `Upstreams` are all of an application, in order of preference. Health is passive: an address
that can't be connected to rests for a while, and is then tried by one request. Nothing here knows what is said over a
connection: who takes one gives it back, or drops it where it can't be used for another request.
"""

import errno
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gevent import get_hub
from gevent.event import AsyncResult

from dataplane.io.dial import Address, TcpAddress, UnixAddress, Upstream, dial
from dataplane.io.health import Health
from dataplane.io.resolve import RESOLVER, Resolver
from dataplane.io.tls_client import ClientTls
from dataplane.io.url import UpstreamUrl

_EVER = float("inf")


class DialFailure(StrEnum):
    """Why there is no connection."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    LATE_CONNECT = "late_connect"
    FULL = "full"


_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What we lack: no address is to blame for that."""


class Unreachable(Exception):
    """No connection to the address can be made: `failure` in a word, `detail` in more."""

    def __init__(self, failure: DialFailure, address: str, detail: str) -> None:
        super().__init__(f"{address}: {detail}")
        self.failure = failure
        self.address = address
        self.detail = detail


class Full(Exception):
    """All connections to the address that may be are in use, and none has become free in time."""

    failure = DialFailure.FULL

    def __init__(self, address: str, detail: str) -> None:
        super().__init__(f"{address}: {detail}")
        self.address = address
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """What connections to one address may take; times in seconds."""

    connections: int = 1024
    """At once, those that rest included."""
    connect: float = 5.0
    """To be connected, TLS included."""
    patience: float = 5.0
    """For a connection to become free."""
    idle: float = 50.0
    """At rest."""
    lifetime: float = 600.0
    """Of a connection, at the end of a request: what DNS and balancers say now should count some time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One address of an upstream; `text` is what people call it."""

    text: str
    address: Address
    tls: ClientTls | None = None


@dataclass(slots=True)
class PoolCounts:
    """What happened so far; plain integers, read by whoever exports them."""

    dials: int = 0
    reused: int = 0
    stale: int = 0
    """Ended by the upstream while at rest, or of no use for what it said."""
    reaped: int = 0
    """Ended by us, for they rested or lived too long."""
    failures: Counter[DialFailure] = field(default_factory=Counter)


class Lease:
    """A connection in use. Give it back or drop it: what comes first counts."""

    __slots__ = ("_pool", "address", "reused", "wire")

    def __init__(self, pool: "Pool", wire: Upstream, *, reused: bool) -> None:
        self._pool: Pool | None = pool
        self.wire = wire
        self.address = pool.target.text
        """As configured."""
        self.reused = reused
        """Whether it has carried a request before: the upstream may have ended it by now."""

    def give_back(self) -> None:
        """It has carried a whole request and its whole answer, and may carry another."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.take_back(self.wire)

    def drop(self) -> None:
        """Close it."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.discard(self.wire)

    def keep(self) -> None:
        """It is the pool's no more and counts for none: who keeps it closes it."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.let_go()

    def blame(self) -> None:
        """Drop it, and have the address rest unless it has just answered others: it broke off without any answer."""
        if self._pool is not None:
            self._pool.health.blame()
        self.drop()


class Pool:
    """The connections to one address."""

    def __init__(
        self,
        target: Target,
        limits: PoolLimits,
        resolver: Resolver = RESOLVER,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.health = Health(now)
        self.counts = PoolCounts()
        self.open = 0
        """Connections, those at rest and those that are being made included."""
        self._limits = limits
        self._resolver = resolver
        self._now = now
        self._idle: dict[Upstream, None] = {}  # who rests longest is first
        self._waiting: deque[AsyncResult[Upstream | None]] = deque()
        self._closed = False
        self._on_heard = self._hear
        self._reaper = get_hub().loop.timer(limits.idle / 4, limits.idle / 4, ref=False)
        self._reaping = False

    @property
    def idle(self) -> int:
        """How many connections rest."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    def take(self, patience: float, rested: float = _EVER) -> Lease:
        """A connection: one that has not `rested` for longer, or a new one. Raises Unreachable and Full."""
        idle = self._idle
        while idle:
            wire = next(reversed(idle))
            if rested is not _EVER and self._now() - wire.rested >= rested:
                break  # and all others have rested for longer
            del idle[wire]
            wire.stir()
            if not wire.is_stale():
                self.counts.reused += 1
                return Lease(self, wire, reused=True)
            self.counts.stale += 1
            self.discard(wire)
        if self.open >= self._limits.connections:
            if not idle:
                return self._await(patience, fresh=rested <= 0)
            self._retire(next(iter(idle)))
        self.open += 1
        return self._dial()

    def take_back(self, wire: Upstream) -> None:
        """It is free: for who waits, else to rest."""
        if self._closed or self._now() - wire.born >= self._limits.lifetime:
            self.counts.reaped += 1
            self.discard(wire)
        else:
            self.health.prove()
            self._pass_on(wire)

    def discard(self, wire: Upstream) -> None:
        """It is no more."""
        wire.close()
        self._pass_on(None)

    def let_go(self) -> None:
        """One goes on elsewhere."""
        self._pass_on(None)

    def reap(self) -> None:
        """Close what has rested too long."""
        before = self._now() - self._limits.idle
        for wire in list(self._idle):
            if wire.rested > before:
                break
            self._retire(wire)
        if not self._idle:
            self._stop_reaping()

    def close(self) -> None:
        """Close what rests now, and all else when it is given back."""
        self._closed = True
        for wire in list(self._idle):
            self._retire(wire)
        self._stop_reaping()

    def _stop_reaping(self) -> None:
        self._reaper.stop()
        self._reaping = False

    def _retire(self, wire: Upstream) -> None:
        del self._idle[wire]
        wire.stir()
        self.counts.reaped += 1
        self.discard(wire)

    def _hear(self, wire: Upstream) -> None:
        """Called in the hub: one at rest has ended, or said something that nobody asked for."""
        if wire in self._idle:
            del self._idle[wire]
            self.counts.stale += 1
            self.discard(wire)

    def _pass_on(self, wire: Upstream | None) -> None:
        """A connection, or with None the right to make one, goes to who has waited longest."""
        if self._waiting:
            self._waiting.popleft().set(wire)
        elif wire is None:
            self.open -= 1
        else:
            if not self._reaping:
                self._reaping = True
                self._reaper.start(self.reap)
            self._idle[wire] = None
            wire.rest(self._on_heard)

    def _await(self, patience: float, *, fresh: bool) -> Lease:
        offer: AsyncResult[Upstream | None] = AsyncResult()
        self._waiting.append(offer)
        try:
            wire = offer.wait(patience)
        except BaseException:  # whoever ends this greenlet: what it was given meanwhile goes to the next
            if not offer.ready():
                self._waiting.remove(offer)
            elif offer.value is None:
                self._pass_on(None)
            else:
                self.take_back(offer.value)
            raise
        if not offer.ready():
            self._waiting.remove(offer)
            self.counts.failures[DialFailure.FULL] += 1
            raise Full(self.target.text, f"all {self._limits.connections} connections are in use")
        if wire is None:
            return self._dial()
        if not fresh and not wire.is_stale():
            self.counts.reused += 1
            return Lease(self, wire, reused=True)
        wire.close()
        return self._dial()

    def _dial(self) -> Lease:
        """Make one, the right to which is ours already."""
        target = self.target
        self.counts.dials += 1
        try:
            wire = dial(target.address, self._limits.connect, target.tls, self._resolver)
        except BaseException as error:
            self._pass_on(None)
            if isinstance(error, OSError):
                if error.errno in _OURS:
                    raise Full(target.text, f"this machine is short of something: {_words(error)}") from error
                self.health.fail()
                failure = _failure(error)
                self.counts.failures[failure] += 1
                raise Unreachable(failure, target.text, _words(error)) from error
            raise
        self.health.recover()
        return Lease(self, wire, reused=False)


class Upstreams:
    """All addresses of an upstream, the preferred one first."""

    def __init__(
        self,
        targets: Sequence[Target],
        limits: PoolLimits | None = None,
        resolver: Resolver = RESOLVER,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits or PoolLimits()
        self.pools = tuple(Pool(target, self._limits, resolver, now) for target in targets)

    def take(self, patience: float | None = None, *, fresh: bool = False, rested: float = _EVER) -> Lease:
        """A connection to the first address that gives one. Raises Unreachable, of the last one tried, and Full.

        `patience` is how long to wait for one to become free, in seconds; with `fresh` it has carried nothing yet. One
        that has just been used is not about to be ended by the upstream: `rested` says how many seconds it may be ago.
        """
        if patience is None:
            patience = self._limits.patience
        if fresh:
            rested = 0.0
        pools = self.pools
        if not pools[0].health.troubled:
            try:
                return pools[0].take(patience, rested)
            except Unreachable:
                if len(pools) == 1:
                    raise
                pools = pools[1:]
        return self._take_any(pools, patience, rested)

    def close(self) -> None:
        """Close what rests now, and all else when it is given back."""
        for pool in self.pools:
            pool.close()

    def _take_any(self, pools: Sequence[Pool], patience: float, rested: float) -> Lease:
        """Those that rest come last: when nobody else is left they are tried all the same."""
        last: Unreachable | None = None
        for pool in sorted(pools, key=lambda each: each.health.is_resting):
            try:
                with pool.health.trial():
                    return pool.take(patience, rested)
            except Unreachable as error:
                last = error
        assert last is not None  # noqa: S101  # there is an address
        raise last


def targets_of(urls: Iterable[UpstreamUrl], context: ssl.SSLContext, server_name: str = "") -> tuple[Target, ...]:
    """What to connect to: by TLS for https. Certificates are for `server_name`, or for the host of each URL."""
    return tuple(Target(text=url.text, address=url.address, tls=_client_tls(url, context, server_name)) for url in urls)


def _client_tls(url: UpstreamUrl, context: ssl.SSLContext, server_name: str) -> ClientTls | None:
    match url.address:
        case TcpAddress(host=host) if url.scheme == "https":
            return ClientTls(context=context, server_name=server_name or host.rstrip("."))
        case TcpAddress() | UnixAddress():
            return None


def _failure(error: OSError) -> DialFailure:
    match error:
        case TimeoutError():
            return DialFailure.LATE_CONNECT
        case ssl.SSLError():
            return DialFailure.TLS
        case _:
            return DialFailure.UNREACHABLE


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate does not hold: {error.verify_message}"
    return error.strerror or str(error)

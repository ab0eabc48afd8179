"""What the tests of connections to upstreams share: TLS servers of a test's own authority, and the way to them."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import gevent
from gevent import ssl as gevent_ssl

from dataplane.io.dial import Address, TcpAddress
from dataplane.io.pool import Lease, Pool, PoolLimits, Target
from dataplane.io.tls import load_chain
from dataplane.io.tls_client import ClientTls, client_context
from tests.dataplane.io.doors import Peer, Play, there
from tests.dataplane.io.lines import until
from tests.support.fake_authority import Authority, Pair


@cache
def authority() -> Authority:
    return Authority()


@cache
def certificate() -> Pair:
    return authority().issue("app.example", "127.0.0.1")


def server_tls(pair: Pair, wanted: Authority | None = None) -> gevent_ssl.SSLContext:
    """What a server shows, and whose certificates it wants of clients."""
    context = gevent_ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_chain(context, pair.certificate, pair.key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if wanted is not None:
        context.load_verify_locations(cadata=wanted.pem)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def secured(play: Play, context: gevent_ssl.SSLContext | None = None) -> Iterator[TcpAddress]:
    """A TLS server: `play` gets each connection that has shaken hands."""
    context = context or server_tls(certificate())

    def shake_hands(peer: Peer) -> None:
        with context.wrap_socket(peer, server_side=True, suppress_ragged_eofs=False) as inner:
            play(inner)

    with there(shake_hands) as address:
        yield address


def way(
    server_name: str = "app.example", shown: Pair | None = None, *, verify: bool = True, trusted: str | None = None
) -> ClientTls:
    own = (shown.certificate, shown.key) if shown is not None else None
    context = client_context(authority().pem if trusted is None else trusted, own, verify=verify)
    return ClientTls(context=context, server_name=server_name)


class Clock:
    """The real one, unless it stands, and what a test adds to it."""

    def __init__(self, *, stands: bool = False) -> None:
        self.ahead = 0.0
        self._begun = time.monotonic()
        self._stands = stands

    def __call__(self) -> float:
        return (self._begun if self._stands else time.monotonic()) + self.ahead


def bounce(lease: Lease) -> None:
    lease.wire.write(b"x", 5)
    assert lease.wire.read(5) == b"x"


@contextmanager
def pool_of(address: Address, now: Callable[[], float] = time.monotonic, **limits: Any) -> Iterator[Pool]:
    limits.setdefault("connections", 2)
    pool = Pool(Target(text="the app", address=address), PoolLimits(connect=5, **limits), now=now)
    try:
        yield pool
    finally:
        pool.close()
        until(lambda: pool.open == 0)
        assert (pool.idle, pool.waiting) == (0, 0)


def spin(times: int = 3) -> None:
    for _ in range(times):
        gevent.sleep(0)

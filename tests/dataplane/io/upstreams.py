"""What the tests of connections to upstreams share: TLS servers of a test's own authority, and the way to them."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from gevent import ssl as gevent_ssl

from dataplane.io.dial import TcpAddress
from dataplane.io.tls import load_chain
from dataplane.io.tls_client import ClientTls, client_context
from tests.dataplane.io.doors import Peer, Play, there
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

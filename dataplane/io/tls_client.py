"""TLS towards upstreams: whom to believe, what to show, and sessions that spare a handshake.

Contexts are made when a configuration is prepared, since they cost milliseconds; a bad certificate is refused there.
"""

import ssl
import time
from dataclasses import dataclass, field
from functools import lru_cache

from dataplane.io.tls import TlsStream, load_chain

_RESUMABLE = 600.0
"""Seconds after a full handshake: a session that is resumed has its certificate looked at no more."""


class Resumption:
    """The last session of an upstream: good for the same context and name."""

    __slots__ = ("_proven", "_session")

    def __init__(self) -> None:
        self._session: ssl.SSLSession | None = None
        self._proven = 0.0

    def find(self) -> ssl.SSLSession | None:
        """What to offer in the next handshake."""
        if time.monotonic() - self._proven > _RESUMABLE:
            self._session = None
        return self._session

    def keep(self, stream: TlsStream) -> None:
        """Remember the session of a connection that has been answered upon: by then its tickets have come."""
        session = None if stream.resumed else stream.session
        if session is not None and session.id:
            self._session = session
            self._proven = time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """How a connection is secured.

    `server_name` (a name, or an address as text) goes as SNI if it is a name; where the context verifies, the
    certificate has to bear it.
    """

    context: ssl.SSLContext
    server_name: str
    resumption: Resumption = field(default_factory=Resumption, compare=False)


def client_context(authorities: str, certificate: tuple[str, str] | None, *, verify: bool) -> ssl.SSLContext:
    """A context of TLS 1.2 and up that offers HTTP/1.1 alone. Raises ValueError saying what is wrong.

    `authorities` is PEM, empty for those of the system; a certificate in it that is no authority counts for itself.
    `certificate` is a chain and its private key (PEM), to show to who asks. Without `verify` anybody is believed.
    """
    if verify and not authorities and certificate is None:
        return _common_context()
    context = _bare_context()
    if verify:
        _trust(context, authorities)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        load_chain(context, *certificate)
    return context


def _bare_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


@lru_cache(maxsize=1)
def _common_context() -> ssl.SSLContext:
    """One for all that trust the system's authorities and show nothing: reading those takes long, and room."""
    context = _bare_context()
    _trust(context, "")
    return context


def _trust(context: ssl.SSLContext, authorities: str) -> None:
    if not authorities:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"authorities can't be used for TLS: expected certificates as PEM: {error}") from error
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

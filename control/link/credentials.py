"""The link's side of mutual TLS: a short-lived server certificate and the authorities whose clients may connect.

gRPC asks for the configuration at each handshake, so both are renewed while the server runs.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import grpc

from control.domain.security import Authority
from control.fleet.authority import SERVER_LIFE, ServerIdentity, issue_server, trust_bundle


class ServerCredentials:
    """What the server shows and whom it trusts; `renew` now and then."""

    def __init__(self, authorities: Sequence[Authority], clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._identity = issue_server(authorities[-1], clock())
        self._bundle = trust_bundle(authorities, clock())
        self._shown = self._given = self._configuration()

    def renew(self, authorities: Sequence[Authority]) -> bool:
        """Take over changed authorities, and make a new certificate when half of its life is over."""
        now = self._clock()
        bundle = trust_bundle(authorities, now)
        aged = self._identity.expires - now < SERVER_LIFE / 2
        if bundle == self._bundle and not aged:
            return False
        self._identity = issue_server(authorities[-1], now)
        self._bundle = bundle
        self._shown = self._configuration()
        return True

    @property
    def identity(self) -> ServerIdentity:
        """The certificate in use."""
        return self._identity

    def channel_credentials(self) -> grpc.ServerCredentials:
        """For the port: a client certificate is required."""
        return grpc.dynamic_ssl_server_credentials(
            self._shown,
            self._fetch,  # type: ignore[arg-type]  # None means no change, which the stubs don't know
            require_client_authentication=True,
        )

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC at each handshake, from its own thread; None keeps what there is, which costs nothing."""
        if self._given is self._shown:
            return None
        self._given = self._shown
        return self._given

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = (self._identity.private_key.encode(), self._identity.certificate.encode())
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=self._bundle.encode())

"""The link's side of mutual TLS: a short-lived server certificate and the authorities whose clients may connect.

gRPC asks for the configuration at each handshake, so both are renewed while the server runs. Which authority signs is
a pure function of the database and the time, so several replicas change over alike.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import grpc

from control.domain.security import Authority
from control.fleet.authority import SERVER_LIFE, ServerIdentity, find_server_signer, issue_server, trust_bundle


class ServerCredentials:
    """What the server shows and whom it trusts; `renew` now and then."""

    def __init__(self, authorities: Sequence[Authority], clock: Callable[[], datetime]) -> None:
        """Raises ValueError where no authority is trusted."""
        self._clock = clock
        signer = find_server_signer(authorities, clock())
        if signer is None:
            raise ValueError("the link has no authority that is trusted")
        self._signer = signer.id
        self._identity = issue_server(signer, clock())
        self._bundle = trust_bundle(authorities, clock())
        self._shown = self._given = self._configuration()

    def renew(self, authorities: Sequence[Authority]) -> bool:
        """Take over changed authorities, and make a new certificate when another is to sign or half its life is over.

        Without any authority all stays as it is: whoever enrols next makes one.
        """
        now = self._clock()
        signer, bundle = find_server_signer(authorities, now), trust_bundle(authorities, now)
        if signer is None or (bundle == self._bundle and not self._is_due(signer, now)):
            return False
        if self._is_due(signer, now):
            self._identity = issue_server(signer, now)
            self._signer = signer.id
        self._bundle = bundle
        self._shown = self._configuration()
        return True

    def _is_due(self, signer: Authority, now: datetime) -> bool:
        # More is left than it ever had where the clock was ahead: nobody whose clock is right takes it yet.
        return signer.id != self._signer or not SERVER_LIFE / 2 <= self._identity.expires - now <= SERVER_LIFE

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

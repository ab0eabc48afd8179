"""What the page of a provider in mode proxy says: how people come to the outpost that stands before its application."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from control.domain.application import ProxyProvider
from control.domain.origins import Origin, origin_of
from control.domain.security import Certificate
from control.fleet.instances import OutpostHealth
from control.fleet.upstreams import addresses_of
from control.store import Unit
from control.web.context import WebSettings

HTTP_PORT, HTTPS_PORT = 9000, 9443
UNKNOWN_OUTPOST = "outpost.example.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """From people, who ask at the external host, to the outpost and its two ports.

    `is_example`: the name of the outpost stands in for another.
    """

    external: Origin
    outpost: str
    http_port: int
    https_port: int
    is_example: bool

    @property
    def tls(self) -> bool:
        """Whether people ask by HTTPS."""
        return self.external.scheme == "https"

    @property
    def listens(self) -> int:
        """The port of the outpost that is meant for them."""
        return self.https_port if self.tls else self.http_port

    @property
    def attempt(self) -> str:
        """A command that goes there before DNS does."""
        unverified = "-k " if self.tls else ""
        goes = f"{self.external.authority_host}:{self.external.effective_port}:{self.outpost}:{self.listens}"
        return f"curl -I {unverified}{self.external}/ \\\n  --connect-to {goes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """From the outpost to the application, with the certificates by what they are."""

    addresses: tuple[str, ...]
    has_tls: bool
    authorities: Certificate | None
    certificate: Certificate | None


def way_to(provider: ProxyProvider, outposts: Sequence[OutpostHealth], settings: WebSettings) -> Way:
    """How people come to the outpost: to Garrison itself for the embedded one, else to an example to replace."""
    is_embedded = any(health.outpost.embedded for health in outposts)
    return Way(
        external=origin_of(provider.external_host),
        outpost=settings.host if is_embedded else UNKNOWN_OUTPOST,
        http_port=settings.http_port if is_embedded else HTTP_PORT,
        https_port=settings.https_port if is_embedded else HTTPS_PORT,
        is_example=not is_embedded,
    )


def upstream_of(unit: Unit, provider: ProxyProvider) -> Upstream:
    """How the outpost comes to the application."""
    addresses = addresses_of(provider)
    return Upstream(
        addresses=addresses,
        has_tls=any(address.startswith("https:") for address in addresses),
        authorities=_certificate(unit, provider.internal_host_authorities),
        certificate=_certificate(unit, provider.internal_host_certificate),
    )


def _certificate(unit: Unit, key: UUID | None) -> Certificate | None:
    return unit.certificates.find(key) if key is not None else None

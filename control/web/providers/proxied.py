"""What the page of a provider in mode proxy says: how people come to the outpost that stands before its application."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from control.domain.application import ProxyProvider
from control.domain.origins import origin_of
from control.domain.security import Certificate
from control.fleet.instances import OutpostHealth
from control.fleet.upstreams import addresses_of
from control.store import Unit

HTTP_PORT, HTTPS_PORT = 9000, 9443
UNKNOWN_OUTPOST = "outpost.example.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """From people to the outpost: the external host and its port, and where the outpost listens for it.

    `attempt` is a command that goes there before DNS does; `is_example`: the name of the outpost stands in for another.
    """

    host: str
    port: int
    tls: bool
    outpost: str
    listens: int
    is_example: bool
    attempt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """From the outpost to the application, with the certificates by what they are."""

    addresses: tuple[str, ...]
    has_tls: bool
    authorities: Certificate | None
    certificate: Certificate | None


def way_to(provider: ProxyProvider, outposts: Sequence[OutpostHealth], own_url: str) -> Way:
    """How people come to the outpost: to Garrison itself for the embedded one, else to an example to replace."""
    external = origin_of(provider.external_host)
    is_embedded = any(health.outpost.embedded for health in outposts)
    tls = external.scheme == "https"
    listens = HTTPS_PORT if tls else HTTP_PORT
    outpost = origin_of(own_url).authority_host if is_embedded else UNKNOWN_OUTPOST
    unverified = "-k " if tls else ""
    goes = f"--connect-to {external.authority_host}:{external.effective_port}:{outpost}:{listens}"
    return Way(
        host=external.authority_host,
        port=external.effective_port,
        tls=tls,
        outpost=outpost,
        listens=listens,
        is_example=not is_embedded,
        attempt=f"curl -I {unverified}{external}/ \\\n  {goes}",
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

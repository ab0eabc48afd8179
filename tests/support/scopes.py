"""What an outpost sees of what is stored."""

from uuid import UUID, uuid4

from control.domain.outpost import Outpost
from control.domain.security import Certificate
from control.fleet.resources import Certificate as CertificateResource
from control.fleet.resources import ProxyProvider, Resource
from control.fleet.scope import scope
from control.fleet.snapshot import read_facts
from control.store import Store, Unit

URL = "https://control.example.com"


def seen(store: Store, outpost: Outpost) -> dict[str, Resource]:
    """What the outpost sees now, by key."""
    with store.read() as unit:
        resources = scope(read_facts(unit), unit.outposts.get(outpost.id), URL)
    keys = [resource.key for resource in resources]
    assert len(keys) == len(set(keys))
    return {resource.key: resource for resource in resources}


def provider(store: Store, outpost: Outpost, key: UUID) -> ProxyProvider:
    found = seen(store, outpost)[f"provider/{key}"]
    assert isinstance(found, ProxyProvider)
    return found


def certificate_names(store: Store, outpost: Outpost) -> list[str]:
    return [each.name for each in seen(store, outpost).values() if isinstance(each, CertificateResource)]


def add_certificate(unit: Unit, name: str, private_key: str | None = "KEY") -> Certificate:
    return unit.certificates.add(
        Certificate(id=uuid4(), name=name, chain="CHAIN", private_key=private_key, created=unit.now)
    )

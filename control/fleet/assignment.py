"""Which outpost is to serve which provider: the one rule, for what is pushed and for what pages show. Pure."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from control.domain.application import ProxyProvider
from control.domain.outpost import Outpost


def assigned(outpost: Outpost, outposts: Iterable[Outpost], providers: Iterable[ProxyProvider]) -> list[ProxyProvider]:
    """The providers of an outpost, in their order."""
    by_id = {provider.id: provider for provider in providers}
    chosen = assigned_by_id(outpost, outposts, by_id)
    return [provider for key, provider in by_id.items() if key in chosen]


def assigned_by_id(
    outpost: Outpost, outposts: Iterable[Outpost], providers: Mapping[UUID, ProxyProvider]
) -> dict[UUID, ProxyProvider]:
    """Those an outpost names, or all that no other does where it is the embedded one. Costs what it names."""
    if not outpost.embedded or outpost.manual:
        return {key: providers[key] for key in outpost.providers if key in providers}
    elsewhere = {key for other in outposts if other.id != outpost.id for key in other.providers}
    return {key: provider for key, provider in providers.items() if key not in elsewhere}

"""Which outpost is to serve which provider: the one rule, for what is pushed and for what pages show. Pure."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from control.domain.application import Provider
from control.domain.outpost import Outpost, OutpostType


def can_serve(kind: OutpostType, provider: Provider) -> bool:
    """Whether an outpost of that type speaks the provider's protocol: types of both are named alike."""
    return provider.type.value == kind.value


def assigned(outpost: Outpost, outposts: Iterable[Outpost], providers: Iterable[Provider]) -> list[Provider]:
    """The providers of an outpost, in their order."""
    by_id = {provider.id: provider for provider in providers}
    chosen = assigned_by_id(outpost, outposts, by_id)
    return [provider for key, provider in by_id.items() if key in chosen]


def assigned_by_id(
    outpost: Outpost, outposts: Iterable[Outpost], providers: Mapping[UUID, Provider]
) -> dict[UUID, Provider]:
    """Those of its type that an outpost names, or all that no other does where it is the embedded one.

    Costs what it names.
    """
    if not outpost.embedded or outpost.manual:
        named = {key: providers[key] for key in outpost.providers if key in providers}
    else:
        elsewhere = {key for other in outposts if other.id != outpost.id for key in other.providers}
        named = {key: provider for key, provider in providers.items() if key not in elsewhere}
    return {key: provider for key, provider in named.items() if can_serve(outpost.type, provider)}

"""Which outpost is to serve which provider: the one rule, for what is pushed and for what pages show. Pure."""

from collections.abc import Collection, Iterable, Mapping
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
    named = assigned_ids(outpost, outposts, providers)
    return {key: providers[key] for key in named if can_serve(outpost.type, providers[key])}


def assigned_ids(outpost: Outpost, outposts: Iterable[Outpost], known: Collection[UUID]) -> list[UUID]:
    """Of these providers, whatever their type, those that an outpost names, or that no other does if it is embedded."""
    if names_its_own(outpost):
        return [key for key in outpost.providers if key in known]
    elsewhere = {key for other in outposts if other.id != outpost.id for key in other.providers}
    return [key for key in known if key not in elsewhere]


def names_its_own(outpost: Outpost) -> bool:
    """Whether what it serves doesn't depend on what others do."""
    return not outpost.embedded or outpost.manual

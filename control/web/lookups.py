"""Reading for pages what several of them show: constant numbers of queries, whatever the number of objects."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import assert_never
from uuid import UUID

from control.domain.application import Application, Binding, LdapProvider, Provider, ProxyProvider
from control.domain.outpost import Instance, Outpost
from control.fleet.assignment import assigned
from control.fleet.instances import OutpostHealth, judge
from control.store import Unit
from control.web.context import web


def read_serving(unit: Unit, providers: Sequence[Provider]) -> Mapping[UUID, tuple[OutpostHealth, ...]]:
    """Which outposts serve each of these providers, and how they are."""
    outposts = unit.outposts.all()
    serving: dict[UUID, set[UUID]] = {
        outpost.id: {provider.id for provider in assigned(outpost, outposts, providers)} for outpost in outposts
    }
    healths = read_healths(unit, [outpost for outpost in outposts if serving[outpost.id]])
    return {
        provider.id: tuple(health for health in healths if provider.id in serving[health.outpost.id])
        for provider in providers
    }


def read_healths(unit: Unit, outposts: Sequence[Outpost]) -> tuple[OutpostHealth, ...]:
    """How these outposts are, in their order."""
    return _judged(unit, outposts, unit.instances.of_outposts([outpost.id for outpost in outposts]))


def bindings_by_application(bindings: Sequence[Binding]) -> Mapping[UUID, tuple[Binding, ...]]:
    """The rules of each application."""
    found: dict[UUID, list[Binding]] = defaultdict(list)
    for binding in bindings:
        found[binding.application].append(binding)
    return {key: tuple(rules) for key, rules in found.items()}


def is_open(bindings: Sequence[Binding]) -> bool:
    """Whether no enabled binding guards the application, so that every active user may use it."""
    return not any(binding.enabled for binding in bindings)


def application_by_provider(applications: Sequence[Application]) -> Mapping[UUID, Application]:
    """The application each provider guards."""
    return {found.provider: found for found in applications if found.provider is not None}


def address_of(provider: Provider) -> str:
    """Where it is found: the host that it guards, or the root of its directory."""
    match provider:
        case ProxyProvider():
            return provider.external_host
        case LdapProvider():
            return provider.base_dn
        case _:
            assert_never(provider)


def certificate_choices(unit: Unit) -> list[tuple[str, str]]:
    """The certificates that have a key, for a select."""
    usable = [found for found in unit.certificates.all() if found.private_key is not None]
    return [(str(found.id), found.name) for found in usable]


def _judged(unit: Unit, outposts: Sequence[Outpost], instances: Sequence[Instance]) -> tuple[OutpostHealth, ...]:
    by_outpost: dict[UUID, list[Instance]] = defaultdict(list)
    for instance in instances:
        by_outpost[instance.outpost].append(instance)
    return tuple(judge(each, by_outpost[each.id], web().settings.version, unit.now) for each in outposts)

"""Reading for pages what several of them show: constant numbers of queries, whatever the number of objects."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from control.domain.application import Application, Binding, ProxyProvider
from control.domain.outpost import Instance, Outpost
from control.fleet.instances import OutpostHealth, judge
from control.store import Unit
from control.web.context import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Which outposts serve which providers, and how they are."""

    healths: tuple[OutpostHealth, ...]
    providers: Mapping[UUID, tuple[ProxyProvider, ...]]
    outposts: Mapping[UUID, tuple[OutpostHealth, ...]]


def read_served(unit: Unit, providers: Sequence[ProxyProvider]) -> Served:
    """All outposts with their health; `providers` by outpost, and outposts by provider."""
    outposts = unit.outposts.all()
    healths = tuple(
        judge(each, found, web().settings.version, unit.now) for each, found in _with_instances(unit, outposts)
    )
    by_outpost = {outpost.id: served_by(outpost, outposts, providers) for outpost in outposts}
    by_provider: dict[UUID, list[OutpostHealth]] = defaultdict(list)
    for health in healths:
        for provider in by_outpost[health.outpost.id]:
            by_provider[provider.id].append(health)
    return Served(
        healths=healths,
        providers=by_outpost,
        outposts={key: tuple(found) for key, found in by_provider.items()},
    )


def served_by(
    outpost: Outpost, outposts: Sequence[Outpost], providers: Sequence[ProxyProvider]
) -> tuple[ProxyProvider, ...]:
    """What one outpost serves: what it names, or, embedded, what no other does."""
    if not outpost.embedded or outpost.manual:
        return tuple(provider for provider in providers if provider.id in outpost.providers)
    elsewhere = {key for other in outposts if other.id != outpost.id for key in other.providers}
    return tuple(provider for provider in providers if provider.id not in elsewhere)


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


def _with_instances(unit: Unit, outposts: Sequence[Outpost]) -> list[tuple[Outpost, list[Instance]]]:
    instances: dict[UUID, list[Instance]] = defaultdict(list)
    for instance in unit.instances.all():
        instances[instance.outpost].append(instance)
    return [(outpost, instances[outpost.id]) for outpost in outposts]

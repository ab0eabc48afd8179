"""The long lists, narrowed by a search and a standing and shown a page at a time: outposts, and instances of one.

A poll of a page costs what is on the page: only a list narrowed by standing has to look at every instance there is.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from flask import request

from control.domain.application import Application, Provider
from control.domain.integration import Deployment, Integration
from control.domain.outpost import Instance, Outpost
from control.fleet.assignment import assigned
from control.fleet.instances import InstanceView, OutpostHealth
from control.store import Unit
from control.web.lookups import application_by_provider, read_healths
from control.web.outposts.managed import read_states
from control.web.pages import Paging, paged, search_text
from control.web.standing import Standing, standing, tally

# An outpost without any instance is of no standing; so the address calls it.
NO_INSTANCE = "none"
# There is more below them on the page of an outpost.
INSTANCES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class OutpostRows:
    """One page of the list of outposts; `narrowed` is the standing it is narrowed to, or "" for all."""

    paging: Paging[OutpostHealth]
    narrowed: str
    providers: Mapping[UUID, Sequence[Provider]]
    applications: Mapping[UUID, Application]
    integrations: Mapping[UUID, Integration]
    deployments: Mapping[UUID, Deployment]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """An instance with its standing; `has_old_token`: its environment has another than the newest."""

    view: InstanceView
    standing: Standing
    has_old_token: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRows:
    """One page of the instances of an outpost, and how many there are of which standing."""

    paging: Paging[InstanceRow]
    narrowed: str
    counts: Mapping[Standing, int]
    all: int


def read_outpost_rows(unit: Unit) -> OutpostRows:
    """The page that the address asks for."""
    query, narrowed = search_text(), _narrowed()
    outposts = unit.outposts.all()
    named = [outpost for outpost in outposts if query.lower() in outpost.name.lower()]
    if narrowed:
        healths = paged([each for each in read_healths(unit, named) if narrowed in _standings(each)], query)
    else:
        part = paged(named, query)
        healths = Paging(items=read_healths(unit, part.items), total=part.total, page=part.page, query=query)
    shown = [health.outpost for health in healths.items]
    return OutpostRows(
        paging=healths,
        narrowed=narrowed,
        providers=_providers_of(unit, shown, outposts),
        applications=application_by_provider(unit.applications.all()),
        integrations=unit.integrations.find_many({each.integration for each in shown} - {None}),
        deployments=read_states(unit, shown),
    )


def instance_rows(health: OutpostHealth, holdouts: Iterable[Instance]) -> InstanceRows:
    """The page that the address asks for. `holdouts` are instances that were started with an old token."""
    query, narrowed = search_text(), _narrowed()
    old = {instance.id for instance in holdouts}
    rows = [_row(view, old) for view in health.instances]
    found = [row for row in rows if narrowed in {"", row.standing} and _is_named(row.view, query)]
    return InstanceRows(
        paging=paged(found, query, INSTANCES),
        narrowed=narrowed,
        counts=tally(health.instances),
        all=len(health.instances),
    )


def _row(view: InstanceView, old: Collection[UUID]) -> InstanceRow:
    return InstanceRow(view=view, standing=standing(view), has_old_token=view.instance.id in old)


def _narrowed() -> str:
    wanted = request.args.get("standing", "")
    return wanted if wanted in {*Standing, NO_INSTANCE} else ""


def _standings(health: OutpostHealth) -> Collection[str]:
    found = Counter(standing(view) for view in health.instances)
    return found or {NO_INSTANCE}


def _is_named(view: InstanceView, query: str) -> bool:
    instance = view.instance
    return any(query.lower() in text.lower() for text in (instance.hostname, instance.address, instance.uid))


def _providers_of(
    unit: Unit, shown: Sequence[Outpost], outposts: Sequence[Outpost]
) -> Mapping[UUID, Sequence[Provider]]:
    """What each of these outposts serves; an embedded one that chooses by itself may serve anything."""
    if any(outpost.embedded and not outpost.manual for outpost in shown):
        providers = unit.providers.all()
    else:
        named = {key for outpost in shown for key in outpost.providers}
        providers = sorted(unit.providers.find_many(named).values(), key=lambda each: each.name)
    return {outpost.id: assigned(outpost, outposts, providers) for outpost in shown}

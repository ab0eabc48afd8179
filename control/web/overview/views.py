"""Counts, the health of outposts and processes, what happened last, and what to do first."""

from dataclasses import dataclass

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from control.domain.identity import UserKind
from control.fleet.instances import OutpostHealth
from control.store import Unit
from control.web.context import web
from control.web.lookups import bindings_by_application, is_open, read_served
from control.web.overview.events import read_lines
from control.web.pages import live
from control.web.processes import read_processes

blueprint = Blueprint("overview", __name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceCounts:
    """Instances of all outposts, each counted once by what matters most."""

    healthy: int = 0
    outdated: int = 0
    unhealthy: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.healthy + self.outdated + self.unhealthy


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many there are of what, and how many applications are open to everybody."""

    applications: int
    open_applications: int
    providers: int
    outposts: int
    users: int
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSteps:
    """What a new installation still lacks."""

    application: bool
    binding: bool
    person: bool
    outpost: bool

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.application and self.binding and self.person and self.outpost


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """The whole page."""
    with web().store.read() as unit:
        counts = read_counts(unit)
        healths = read_served(unit, ()).healths
        steps = first_steps(unit, counts, healths)
        events = read_lines(unit)
    return render_template("overview/index.html", counts=counts, steps=steps, events=events, **_health_values(healths))


@blueprint.get("/overview/live")
def live_health() -> ResponseReturnValue:
    """The part of the page that is polled."""
    with web().store.read() as unit:
        healths = read_served(unit, ()).healths
    return live(render_template("overview/health.html", **_health_values(healths)))


def read_counts(unit: Unit) -> Counts:
    """Count what there is."""
    applications = unit.applications.all()
    bindings = bindings_by_application(unit.bindings.all())
    return Counts(
        applications=len(applications),
        open_applications=sum(is_open(bindings.get(each.id, ())) for each in applications),
        providers=unit.providers.count(),
        outposts=unit.outposts.count(),
        users=unit.users.search("", [UserKind.INTERNAL, UserKind.SERVICE], 0, 1)[1],
        groups=unit.groups.count(),
    )


def first_steps(unit: Unit, counts: Counts, healths: tuple[OutpostHealth, ...]) -> FirstSteps:
    """Which of the first steps have been taken."""
    return FirstSteps(
        application=counts.applications > 0,
        binding=counts.applications > counts.open_applications,
        person=unit.users.search("", [UserKind.INTERNAL], 0, 1)[1] > 1,
        outpost=any(health.healthy for health in healths),
    )


def count_instances(healths: tuple[OutpostHealth, ...]) -> InstanceCounts:
    """Every instance under one of three headings."""
    views = [view for health in healths for view in health.instances]
    healthy = [view for view in views if view.healthy]
    outdated = [view for view in healthy if view.outdated]
    return InstanceCounts(
        healthy=len(healthy) - len(outdated), outdated=len(outdated), unhealthy=len(views) - len(healthy)
    )


def _health_values(healths: tuple[OutpostHealth, ...]) -> dict[str, object]:
    return {
        "healths": healths,
        "instances": count_instances(healths),
        "processes": read_processes(web().settings.processes_file),
    }

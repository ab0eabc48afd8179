"""Counts, the health of outposts and processes, what happened last, and what to do first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from control.domain.identity import UserKind
from control.domain.outpost import Outpost
from control.fleet.rotation import TokenStatus, token_status
from control.store import Unit
from control.web.audit.words import read_lines
from control.web.context import web
from control.web.lookups import bindings_by_application, is_open, read_healths
from control.web.overview.background import Background, read_background
from control.web.pages import live
from control.web.processes import Process, read_processes
from control.web.standing import Standing, tally

blueprint = Blueprint("overview", __name__)

# Rotations that are told one by one; of the rest the number.
MOST_ROTATIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Outposts at a glance: instances by standing, tokens between old and new; engines, tasks, processes."""

    outposts: int
    counts: Mapping[Standing, int]
    rotations: Sequence[tuple[Outpost, TokenStatus]]
    more_rotations: int
    processes: Sequence[Process]
    background: Background

    @property
    def instances(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    @property
    def connected(self) -> bool:
        """Whether any instance does its work."""
        return self.counts[Standing.HEALTHY] + self.counts[Standing.OUTDATED] > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many there are of what, and how many applications are open to everybody."""

    applications: int
    open_applications: int
    providers: int
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
        counts, health = read_counts(unit), read_health(unit)
        steps, events = first_steps(unit, counts, health), read_lines(unit)
    return render_template("overview/index.html", counts=counts, steps=steps, events=events, health=health)


@blueprint.get("/overview/live")
def live_health() -> ResponseReturnValue:
    """The part of the page that is polled."""
    with web().store.read() as unit:
        health = read_health(unit)
    return live("overview/health.html", health=health)


def read_counts(unit: Unit) -> Counts:
    """Count what there is."""
    applications = unit.applications.all()
    bindings = bindings_by_application(unit.bindings.all())
    return Counts(
        applications=len(applications),
        open_applications=sum(is_open(bindings.get(each.id, ())) for each in applications),
        providers=unit.providers.count(),
        users=unit.users.search("", [UserKind.INTERNAL, UserKind.SERVICE], 0, 1)[1],
        groups=unit.groups.count(),
    )


def read_health(unit: Unit) -> Health:
    """How outposts and processes are."""
    outposts = unit.outposts.all()
    between = unit.tokens.users_with_several()
    rotating = [outpost for outpost in outposts if outpost.service_account in between]
    return Health(
        outposts=len(outposts),
        counts=tally(view for health in read_healths(unit, outposts) for view in health.instances),
        rotations=[(outpost, token_status(unit, outpost)) for outpost in rotating[:MOST_ROTATIONS]],
        more_rotations=len(rotating[MOST_ROTATIONS:]),
        processes=read_processes(web().settings.processes_file),
        background=read_background(unit),
    )


def first_steps(unit: Unit, counts: Counts, health: Health) -> FirstSteps:
    """Which of the first steps have been taken."""
    return FirstSteps(
        application=counts.applications > 0,
        binding=counts.applications > counts.open_applications,
        person=unit.users.search("", [UserKind.INTERNAL], 0, 1)[1] > 1,
        outpost=health.connected,
    )

"""Carrying entries out in one unit of work, through the same commands as the admin interface.

Objects are made in the order of the sections and removed in the opposite one, so files may name things in any order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import groupby
from typing import Any

from control.blueprint import people
from control.blueprint.parse import Entry, Presence
from control.blueprint.sections import SECTIONS
from control.domain.errors import InUse, Invalid, NotFound, Problem
from control.fleet import applications, certificates, integrations, outposts, providers
from control.fleet.fields import Fields, problem
from control.store import NotWriting, Unit


class Action(StrEnum):
    """What became of an object."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one entry's object."""

    action: Action
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What carrying out needs beside the entries.

    Control's own URL, the password hashes by username, and what `settle` found, by section and name.
    """

    own_url: str
    password_hashes: Mapping[str, str]
    settled: Mapping[tuple[str, str], Outcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """How one section's objects are found, made, changed and removed."""

    find: Callable[[Unit, str], Any]
    create: Callable[[Unit, Fields, Means], object]
    update: Callable[[Unit, Any, Fields, Means], object]
    remove: Callable[[Unit, Any], None]


def perform(unit: Unit, entries: Sequence[Entry], means: Means) -> list[Outcome]:
    """Carry all entries out. Raises Invalid with every problem of the first section that has any."""
    order = {section.name: place for place, section in enumerate(SECTIONS)}
    present = [entry for entry in entries if entry.presence is Presence.PRESENT]
    absent = [entry for entry in entries if entry.presence is Presence.ABSENT]
    outcomes: list[Outcome] = []
    for _, group in groupby(_sorted(present, order), key=lambda entry: entry.section.name):
        outcomes += _section(unit, list(group), means)
    for _, group in groupby(_sorted(absent, order, reverse=True), key=lambda entry: entry.section.name):
        outcomes += _all(list(group), partial(_remove, unit, means))
    return outcomes


def settle(unit: Unit, entries: Sequence[Entry], means: Means) -> Mapping[tuple[str, str], Outcome]:
    """The outcomes of entries whose objects are as they should be: `unit` reads, and what would write is left out.

    So is what is wrong: who carries the entries out will say so.
    """
    settled = {}
    for entry in entries:
        step = partial(_present, unit, means) if entry.presence is Presence.PRESENT else partial(_remove, unit, means)
        with suppress(NotWriting, Invalid, InUse, NotFound):
            settled[_key(entry)] = step(entry)
    return settled


def _key(entry: Entry) -> tuple[str, str]:
    return entry.section.name, entry.name


def _sorted(entries: Iterable[Entry], order: Mapping[str, int], *, reverse: bool = False) -> list[Entry]:
    return sorted(entries, key=lambda entry: order[entry.section.name], reverse=reverse)


def _section(unit: Unit, entries: list[Entry], means: Means) -> list[Outcome]:
    """One section's objects; groups are all made before any is told its parents, which may be in the same file."""
    made: set[str] = set()
    if entries[0].section.name == "groups":
        made = _make_groups(unit, entries)
    outcomes = _all(entries, partial(_present, unit, means))
    return [
        Outcome(action=Action.CREATED, kind=each.kind, name=each.name) if each.name in made else each
        for each in outcomes
    ]


def _make_groups(unit: Unit, entries: Sequence[Entry]) -> set[str]:
    missing = [entry for entry in entries if unit.groups.find_named(entry.name) is None]
    _all(missing, partial(_make_group, unit))
    return {entry.name for entry in missing}


def _make_group(unit: Unit, entry: Entry) -> Outcome:
    people.create_bare_group(unit, entry.name)
    return Outcome(action=Action.CREATED, kind="group", name=entry.name)


def _all(entries: Sequence[Entry], step: Callable[[Entry], Outcome]) -> list[Outcome]:
    """The outcome of the step for every entry, or the problems of all of them."""
    outcomes: list[Outcome] = []
    problems: list[Problem] = []
    for entry in entries:
        try:
            outcomes.append(step(entry))
        except Invalid as error:
            problems.extend(entry.located(error).problems)
        except (InUse, NotFound) as error:
            problems.extend(entry.located(_as_invalid(entry, error)).problems)
    if problems:
        raise Invalid(problems)
    return outcomes


def _as_invalid(entry: Entry, error: InUse | NotFound) -> Invalid:
    match error:
        case InUse():
            return Invalid(
                [problem(entry.section.key, "in_use", error.name, f"nothing that uses it ({error.used_by} does)")]
            )
        case NotFound():
            return Invalid([problem(entry.section.key, "not_found", error.name, f"a {error.kind} that exists")])


def _present(unit: Unit, means: Means, entry: Entry) -> Outcome:
    if _key(entry) in means.settled:
        return means.settled[_key(entry)]
    handler = HANDLERS[entry.section.name]
    changes = len(unit.changes)
    found = handler.find(unit, entry.name)
    if found is None:
        handler.create(unit, entry.fields, means)
        return Outcome(action=Action.CREATED, kind=entry.section.kind, name=entry.name)
    handler.update(unit, found, entry.fields, means)
    action = Action.UPDATED if len(unit.changes) > changes else Action.UNCHANGED
    return Outcome(action=action, kind=entry.section.kind, name=entry.name)


def _remove(unit: Unit, means: Means, entry: Entry) -> Outcome:
    if _key(entry) in means.settled:
        return means.settled[_key(entry)]
    handler = HANDLERS[entry.section.name]
    found = handler.find(unit, entry.name)
    if found is not None:
        handler.remove(unit, found)
    action = Action.UNCHANGED if found is None else Action.REMOVED
    return Outcome(action=action, kind=entry.section.kind, name=entry.name)


HANDLERS: Mapping[str, Handler] = {
    "groups": Handler(
        find=lambda unit, name: unit.groups.find_named(name),
        create=lambda unit, fields, _: people.create_group(unit, fields),
        update=lambda unit, group, fields, _: people.update_group(unit, group, fields),
        remove=lambda unit, group: people.remove_group(unit, group.id),
    ),
    "users": Handler(
        find=lambda unit, name: unit.users.find_named(name),
        create=lambda unit, fields, means: people.create_user(unit, fields, means.password_hashes),
        update=lambda unit, user, fields, means: people.update_user(unit, user, fields, means.password_hashes),
        remove=lambda unit, user: people.remove_user(unit, user.id),
    ),
    "certificates": Handler(
        find=lambda unit, name: unit.certificates.find_named(name),
        create=lambda unit, fields, _: certificates.create_certificate(unit, fields),
        update=lambda unit, certificate, fields, _: certificates.update_certificate(unit, certificate, fields),
        remove=certificates.remove_certificate,
    ),
    "providers": Handler(
        find=lambda unit, name: unit.providers.find_named(name),
        create=lambda unit, fields, means: providers.create_provider(unit, fields, means.own_url),
        update=lambda unit, found, fields, means: providers.update_provider(unit, found, fields, means.own_url),
        remove=providers.remove_provider,
    ),
    "applications": Handler(
        find=lambda unit, name: unit.applications.find_named(name),
        create=lambda unit, fields, _: applications.create_application(unit, fields),
        update=lambda unit, application, fields, _: applications.update_application(unit, application, fields),
        remove=applications.remove_application,
    ),
    "integrations": Handler(
        find=lambda unit, name: unit.integrations.find_named(name),
        create=lambda unit, fields, _: integrations.create_integration(unit, fields),
        update=lambda unit, integration, fields, _: integrations.update_integration(unit, integration, fields),
        remove=integrations.remove_empty_integration,
    ),
    "outposts": Handler(
        find=lambda unit, name: unit.outposts.find_named(name),
        create=lambda unit, fields, _: outposts.create_outpost(unit, fields),
        update=lambda unit, outpost, fields, _: outposts.update_outpost(unit, outpost, fields),
        remove=outposts.remove_outpost,
    ),
}

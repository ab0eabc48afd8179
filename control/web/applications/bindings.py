"""The rules of one application: who may use it. Each change rewrites the list through one command."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from control.domain.application import Binding
from control.domain.errors import Invalid, NotFound, Problem
from control.domain.identity import Group, User
from control.fleet.applications import replace_bindings
from control.store import Unit
from control.web.applications.forms import BindingForm
from control.web.context import web
from control.web.forms import saving
from control.web.identity import actor
from control.web.pages import done, show_form

blueprint = Blueprint("bindings", __name__, url_prefix="/<uuid:key>/bindings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A binding with whom it is about; of a group how many are directly in it, and how many in groups below alone."""

    binding: Binding
    user: User | None
    group: Group | None
    members: int = 0
    inherited: int = 0


def read_rules(unit: Unit, application: UUID) -> list[Rule]:
    """The rules of an application, in order."""
    bindings = unit.bindings.of_application(application)
    users = unit.users.find_many({each.user for each in bindings if each.user is not None})
    groups = unit.groups.find_many({each.group for each in bindings if each.group is not None})
    direct, below = unit.memberships.counts(), unit.memberships.counts_below(groups.keys())
    return [
        Rule(
            binding=each,
            user=users.get(each.user) if each.user is not None else None,
            group=groups.get(each.group) if each.group is not None else None,
            members=direct.get(each.group, 0) if each.group is not None else 0,
            inherited=below.get(each.group, 0) - direct.get(each.group, 0) if each.group is not None else 0,
        )
        for each in bindings
    ]


@blueprint.route("/new", methods=["GET", "POST"])
def create(key: UUID) -> ResponseReturnValue:
    """One more rule, at the end."""
    form = BindingForm()
    with web().store.read() as unit:
        application = unit.applications.get(key)
        groups = [(str(group.id), group.name) for group in unit.groups.all()]
    if form.validate_on_submit():
        with saving(form) as unit:
            _add(unit, key, form)
            return done(_detail(key), "binding_added", name=application.name)
    return show_form("applications/binding.html", form, _detail(key), application=application, groups=groups)


@blueprint.post("/<uuid:binding>/toggle")
def toggle(key: UUID, binding: UUID) -> ResponseReturnValue:
    """Enable a rule, or let it rest."""

    def change(rules: list[dict[str, object]], place: int) -> None:
        rules[place]["enabled"] = not rules[place]["enabled"]

    return _changed(key, binding, change)


@blueprint.post("/<uuid:binding>/turn")
def turn(key: UUID, binding: UUID) -> ResponseReturnValue:
    """Let a rule say yes where it says no, and no where it says yes."""

    def change(rules: list[dict[str, object]], place: int) -> None:
        rules[place]["negate"] = not rules[place]["negate"]

    return _changed(key, binding, change)


@blueprint.post("/<uuid:binding>/up")
def up(key: UUID, binding: UUID) -> ResponseReturnValue:
    """Move a rule before the one above it."""
    return _changed(key, binding, lambda rules, place: _move(rules, place, max(0, place - 1)))


@blueprint.post("/<uuid:binding>/down")
def down(key: UUID, binding: UUID) -> ResponseReturnValue:
    """Move a rule behind the one below it."""
    return _changed(key, binding, lambda rules, place: _move(rules, place, place + 1))


@blueprint.post("/<uuid:binding>/remove")
def remove(key: UUID, binding: UUID) -> ResponseReturnValue:
    """Take a rule away."""

    def change(rules: list[dict[str, object]], place: int) -> None:
        del rules[place]

    return _changed(key, binding, change)


def _changed(key: UUID, binding: UUID, change: Callable[[list[dict[str, object]], int], None]) -> ResponseReturnValue:
    with web().store.write(actor()) as unit:
        application = unit.applications.get(key)
        bindings = unit.bindings.of_application(key)
        place = next((place for place, each in enumerate(bindings) if each.id == binding), None)
        if place is None:
            raise NotFound("binding", str(binding))
        rules = _rules(bindings)
        change(rules, place)
        replace_bindings(unit, application, rules)
    return done(f"{_detail(key)}#rule-{binding}", "bindings_changed", name=application.name)


def _move(rules: list[dict[str, object]], place: int, to: int) -> None:
    """Put a rule somewhere else in the list, and number them all by their places."""
    rules.insert(to, rules.pop(place))
    for order, rule in enumerate(rules):
        rule["order"] = order


def _add(unit: Unit, key: UUID, form: BindingForm) -> None:
    application = unit.applications.get(key)
    rule = form.rule()
    who = form.who.data if form.who.data in {"user", "group"} else "group"
    if not rule.get(who):
        raise Invalid([Problem(field=who, code="required")])
    bindings = unit.bindings.of_application(key)
    rules = _rules(bindings)
    try:
        replace_bindings(unit, application, [*rules, {**rule, "order": _last(bindings) + 1}])
    except Invalid as invalid:
        raise Invalid([_at(who, problem) for problem in invalid.problems]) from None


def _at(field: str, problem: Problem) -> Problem:
    return Problem(field=field, code=problem.code, found=problem.found, expected=problem.expected)


def _rules(bindings: Sequence[Binding]) -> list[dict[str, object]]:
    """The rules as the command takes them; those that stay as they are keep their ids."""
    names = ("user", "group", "order", "enabled", "negate")
    return [{name: getattr(each, name) for name in names} for each in bindings]


def _last(bindings: Sequence[Binding]) -> int:
    return max((each.order for each in bindings), default=-1)


def _detail(key: UUID) -> str:
    return url_for("admin.applications.detail", key=key)

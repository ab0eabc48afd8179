"""Groups: list, create, edit, members, delete."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.auth.people import GroupDraft, create_group, remove_group, set_group_users, update_group
from control.domain.application import LdapProvider
from control.domain.errors import Invalid, Problem
from control.domain.identity import Group, UserKind, ancestors, descendants
from control.store import Unit
from control.web.context import web
from control.web.forms import Form, read_attributes, saving
from control.web.groups.forms import GroupForm, MembersForm, values_of
from control.web.identity import actor
from control.web.pages import PAGE_SIZE, Paging, done, paged, search_text, show_form, wanted_page

blueprint = Blueprint("groups", __name__, url_prefix="/groups")

CANDIDATES = 50
FIELDS = ("name", "superuser", "second_factor", "attributes", "parents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether members administer Garrison and need a second factor, by this group or one above it."""

    superuser: bool
    second_factor: bool


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """All groups, or those whose name holds what is searched for."""
    query = search_text()
    with web().store.read() as unit:
        groups = unit.groups.by_id()
        counts = unit.memberships.counts()
    paging = paged([group for group in groups.values() if query.lower() in group.name.lower()], query)
    standing = {group.id: _standing(group, groups) for group in paging.items}
    return render_template("groups/index.html", paging=paging, groups=groups, counts=counts, standing=standing)


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """One group: where it stands, its members, what it opens."""
    page = wanted_page()
    with web().store.read() as unit:
        group = unit.groups.get(key)
        groups = unit.groups.by_id()
        members, total = unit.users.members(key, (page - 1) * PAGE_SIZE, PAGE_SIZE)
        below = unit.memberships.users_below([key])
        ready = unit.authenticators.users_with_one([user.id for user in members])
        coverage = unit.authenticators.coverage(key)
        bound = {binding.application for binding in unit.bindings.all() if binding.group == key}
        applications = list(unit.applications.find_many(bound).values())
        searched = _searched_by(unit, ancestors([key], groups))
    return render_template(
        "groups/detail.html",
        group=group,
        parents=_named(groups, group.parents),
        children=_named(groups, (other.id for other in groups.values() if key in other.parents)),
        standing=_standing(group, groups),
        ready=ready,
        coverage=coverage,
        paging=Paging(items=members, total=total, page=page),
        inherited=len(below) - total,
        applications=applications,
        searched=searched,
        attributes=values_of(group)["attributes"],
    )


@blueprint.route("/new", methods=["GET", "POST"])
def create() -> ResponseReturnValue:
    """A new group."""
    form = GroupForm()
    if form.validate_on_submit():
        with saving(form) as unit:
            group = create_group(unit, _draft(form))
            return done(url_for(".detail", key=group.id), "created", name=group.name)
    return _show(form, None)


@blueprint.route("/<uuid:key>/edit", methods=["GET", "POST"])
def edit(key: UUID) -> ResponseReturnValue:
    """Change a group; what its members may do follows at once."""
    with web().store.read() as unit:
        group = unit.groups.get(key)
    form = GroupForm(data=values_of(group))
    if form.validate_on_submit():
        with saving(form) as unit:
            draft = _draft(form)
            fields = {name: getattr(draft, name) for name in FIELDS}
            changed = update_group(unit, replace(unit.groups.get(key), **fields))
            return done(url_for(".detail", key=key), "updated", name=changed.name)
    return _show(form, group)


@blueprint.route("/<uuid:key>/members/add", methods=["GET", "POST"])
def add_members(key: UUID) -> ResponseReturnValue:
    """Put users into the group: search, tick, add."""
    query = search_text()
    form = MembersForm()
    with web().store.read() as unit:
        group = unit.groups.get(key)
        inside = unit.memberships.users_in(key)
        found, total = unit.users.search(query, (UserKind.INTERNAL, UserKind.SERVICE), 0, CANDIDATES + len(inside))
    if form.validate_on_submit():
        with saving(form) as unit:
            chosen = _user_ids(form)
            set_group_users(unit, key, unit.memberships.users_in(key) | chosen)
            return done(url_for(".detail", key=key), "members_added", name=group.name, count=str(len(chosen)))
    candidates = [user for user in found if user.id not in inside][:CANDIDATES]
    values = {"group": group, "candidates": candidates, "query": query, "total": total - len(inside)}
    return show_form("groups/add_members.html", form, url_for(".detail", key=key), **values)


@blueprint.post("/<uuid:key>/members/<uuid:user>/remove")
def remove_member(key: UUID, user: UUID) -> ResponseReturnValue:
    """Take one user out of the group."""
    with web().store.write(actor()) as unit:
        group = unit.groups.get(key)
        member = unit.users.get(user)
        set_group_users(unit, key, unit.memberships.users_in(key) - {user})
    return done(url_for(".detail", key=key), "member_removed", name=group.name, member=member.username)


@blueprint.route("/<uuid:key>/delete", methods=["GET", "POST"])
def delete(key: UUID) -> ResponseReturnValue:
    """Delete a group that guards nothing; its members stay."""
    with web().store.read() as unit:
        group = unit.groups.get(key)
        bound = {binding.application for binding in unit.bindings.all() if binding.group == key}
        applications = list(unit.applications.find_many(bound).values())
        searched = _searched_by(unit, {key})
        members = unit.memberships.counts().get(key, 0)
    form, blocked = Form(), bool(applications or searched)
    if request.method == "POST" and not blocked and form.validate_on_submit():
        with saving(form) as unit:
            remove_group(unit, key)
            return done(url_for(".index"), "removed", name=group.name)
    values = {"group": group, "applications": applications, "searched": searched, "members": members}
    back = url_for(".detail", key=key)
    return show_form("groups/delete.html", form, back, blocked=blocked, tone="danger", **values)


def _searched_by(unit: Unit, groups: Collection[UUID]) -> list[LdapProvider]:
    """The LDAP providers whose whole directory members of one of these groups may search."""
    return [provider for provider in unit.ldap_providers.all() if provider.search_group in groups]


def _draft(form: GroupForm) -> GroupDraft:
    return GroupDraft(
        name=form.name.data or "",
        superuser=bool(form.superuser.data),
        second_factor=bool(form.second_factor.data),
        attributes=read_attributes(form.attributes.data),
        parents=_ids(form.parents.data or [], "parents", "unknown_group"),
    )


def _user_ids(form: MembersForm) -> frozenset[UUID]:
    chosen = _ids(form.users.data or [], "users", "unknown_user")
    if not chosen:
        raise Invalid([Problem(field="users", code="nobody_chosen")])
    return chosen


def _ids(texts: Iterable[str], field: str, code: str) -> frozenset[UUID]:
    try:
        return frozenset(UUID(text) for text in texts)
    except ValueError:
        raise Invalid([Problem(field=field, code=code, expected="choices of the list")]) from None


def _named(groups: dict[UUID, Group], keys: Iterable[UUID]) -> list[Group]:
    return sorted((groups[key] for key in keys if key in groups), key=lambda group: group.name)


def _standing(group: Group, groups: dict[UUID, Group]) -> Standing:
    """What the group means to its members, by itself and by those above it."""
    applying = [groups[key] for key in ancestors([group.id], groups)]
    return Standing(
        superuser=any(each.superuser for each in applying), second_factor=any(each.second_factor for each in applying)
    )


def _show(form: GroupForm, group: Group | None) -> ResponseReturnValue:
    with web().store.read() as unit:
        groups = unit.groups.by_id()
        coverage = unit.authenticators.coverage(group.id) if group is not None else None
    not_above = descendants(group.id, groups) if group is not None else frozenset()
    choices = [(str(each.id), each.name, _detail(each)) for each in groups.values() if each.id not in not_above]
    back = url_for(".detail", key=group.id) if group is not None else url_for(".index")
    return show_form("groups/form.html", form, back, group=group, choices=choices, coverage=coverage)


def _detail(group: Group) -> str:
    """What being below a group brings."""
    brought = (("superuser", group.superuser), ("second factor", group.second_factor))
    return ", ".join(words for words, is_so in brought if is_so)

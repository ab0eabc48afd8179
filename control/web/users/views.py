"""Users: list, create, edit, password, activate and deactivate, sessions, delete."""

from dataclasses import replace
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.auth.people import (
    UserDraft,
    create_user,
    hash_new_password,
    remove_user,
    set_active,
    set_password,
    set_user_groups,
    update_user,
)
from control.auth.sessions import end_session_of, sign_out_everywhere
from control.domain.errors import InUse, Invalid, Problem
from control.domain.identity import User, UserKind
from control.store import Unit
from control.web.context import web
from control.web.forms import Form, read_attributes, refusing, saving
from control.web.identity import actor, current_sign_in, passwords
from control.web.lockouts.lifting import lift_bucket
from control.web.lockouts.reading import read_lockouts
from control.web.pages import PAGE_SIZE, Paging, done, search_text, show_form, suggested, wanted_page
from control.web.portal.views import tiles_of
from control.web.sessions.reading import lines_of_user
from control.web.users.factors import blueprint as factors_blueprint
from control.web.users.factors import factors_of
from control.web.users.forms import PasswordForm, UserForm, values_of

blueprint = Blueprint("users", __name__, url_prefix="/users")
blueprint.register_blueprint(factors_blueprint)

KINDS = (UserKind.INTERNAL, UserKind.SERVICE)


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """People and service accounts, a page at a time. The accounts of outposts come and go with them."""
    query, page = search_text(), wanted_page()
    with web().store.read() as unit:
        users, total = unit.users.search(query, KINDS, (page - 1) * PAGE_SIZE, PAGE_SIZE)
        groups = unit.groups.by_id()
        memberships = unit.memberships.groups_of_each([user.id for user in users])
    named = {user: sorted(groups[key].name for key in keys if key in groups) for user, keys in memberships.items()}
    paging = Paging(items=users, total=total, page=page, query=query)
    return render_template("users/index.html", paging=paging, groups=named)


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """One user: groups, sessions, and what the policies let them use."""
    with web().store.read() as unit:
        user = unit.users.get(key)
        person = unit.memberships.person(user)
        direct = unit.memberships.groups_of(key)
        sessions = lines_of_user(unit, user)
        lockouts = read_lockouts(unit, unit.failures.locked_about(key))
        tiles = tiles_of(unit, person)
        outpost = unit.outposts.find_by_service_account(key)
        shown_factors = factors_of(unit, user)
    own = current_sign_in()
    return render_template(
        "users/detail.html",
        user=user,
        shown=person,
        direct=direct,
        sessions=sessions,
        lockouts=lockouts,
        own=own.id if own is not None else None,
        tiles=tiles,
        outpost=outpost,
        factors=shown_factors,
    )


@blueprint.route("/new", methods=["GET", "POST"])
def create() -> ResponseReturnValue:
    """A new user. Without a password the account can't sign in until one is set."""
    form = UserForm(data=suggested("kind", many=["groups"]))
    if form.validate_on_submit():
        with refusing(form):
            draft, hashed = _draft(form), _hashed(form, form.username.data or "")
            with web().store.write(actor()) as unit:
                user = create_user(unit, draft, hashed)
            return done(url_for(".detail", key=user.id), "created", name=user.username)
    return _show(form, None)


@blueprint.route("/<uuid:key>/edit", methods=["GET", "POST"])
def edit(key: UUID) -> ResponseReturnValue:
    """Change a user and the groups the user is in."""
    with web().store.read() as unit:
        user = unit.users.get(key)
        groups = unit.memberships.groups_of(key)
    _refuse_outposts(user)
    form = UserForm(data=values_of(user, groups))
    if form.validate_on_submit():
        with saving(form) as unit:
            changed = _change(unit, key, form)
            return done(url_for(".detail", key=key), "updated", name=changed.username)
    return _show(form, user)


@blueprint.route("/<uuid:key>/password", methods=["GET", "POST"])
def password(key: UUID) -> ResponseReturnValue:
    """Set a password; every session of the user ends, but for the one that does it."""
    with web().store.read() as unit:
        user = unit.users.get(key)
    _refuse_outposts(user)
    form = PasswordForm()
    if form.validate_on_submit():
        own = current_sign_in()
        with refusing(form):
            hashed = _new_password(form, user)
            with web().store.write(actor()) as unit:
                set_password(unit, key, hashed, keep=own.id if own is not None else None)
            return done(url_for(".detail", key=key), "password_set", name=user.username)
    return show_form("users/password.html", form, url_for(".detail", key=key), user=user)


@blueprint.route("/<uuid:key>/deactivate", methods=["GET", "POST"])
def deactivate(key: UUID) -> ResponseReturnValue:
    """Keep a user out; all sessions end at once, at every outpost."""
    with web().store.read() as unit:
        user = unit.users.get(key)
    _refuse_outposts(user)
    form = Form()
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            set_active(unit, key, active=False)
            return done(url_for(".detail", key=key), "deactivated", name=user.username)
    back = url_for(".detail", key=key)
    return show_form("users/deactivate.html", form, back, user=user, tone="danger")


@blueprint.post("/<uuid:key>/activate")
def activate(key: UUID) -> ResponseReturnValue:
    """Let a user in again."""
    with web().store.write(actor()) as unit:
        _refuse_outposts(unit.users.get(key))
        user = set_active(unit, key, active=True)
    return done(url_for(".detail", key=key), "activated", name=user.username)


@blueprint.post("/<uuid:key>/sessions/end")
def end_sessions(key: UUID) -> ResponseReturnValue:
    """Sign a user out everywhere."""
    with web().store.write(actor()) as unit:
        user = sign_out_everywhere(unit, key)
    return done(url_for(".detail", key=key), "sessions_ended", name=user.username)


@blueprint.post("/<uuid:key>/sessions/<uuid:session>/end")
def end_one_session(key: UUID, session: UUID) -> ResponseReturnValue:
    """End one session and every proxy session born of it."""
    with web().store.write(actor()) as unit:
        user = unit.users.get(key)
        end_session_of(unit, key, session)
    return done(url_for(".detail", key=key), "session_ended", name=user.username)


@blueprint.post("/<uuid:key>/lockouts/lift")
def lift_lockout(key: UUID) -> ResponseReturnValue:
    """Let the user try again at once, everywhere or at one address."""
    name = lift_bucket(request.form.get("bucket", ""), key)
    return done(url_for(".detail", key=key), "lockout_lifted" if name else "lockout_over", name=name)


@blueprint.route("/<uuid:key>/delete", methods=["GET", "POST"])
def delete(key: UUID) -> ResponseReturnValue:
    """Delete a user that guards nothing."""
    with web().store.read() as unit:
        user = unit.users.get(key)
        bound = {binding.application for binding in unit.bindings.all() if binding.user == key}
        applications = list(unit.applications.find_many(bound).values())
        outpost = unit.outposts.find_by_service_account(key)
    form = Form()
    if request.method == "POST" and not applications and outpost is None and form.validate_on_submit():
        with saving(form) as unit:
            remove_user(unit, key)
            return done(url_for(".index"), "removed", name=user.username)
    values = {"user": user, "applications": applications, "outpost": outpost, "tone": "danger"}
    return show_form(
        "users/delete.html",
        form,
        url_for(".detail", key=key),
        blocked=bool(applications) or outpost is not None,
        **values,
    )


def _refuse_outposts(user: User) -> None:
    """An outpost proves itself by its token: to lock it out, revoke that."""
    if user.kind is UserKind.OUTPOST:
        raise InUse("user", user.username, "an outpost, which it comes and goes with")


def _draft(form: UserForm) -> UserDraft:
    return UserDraft(
        username=form.username.data or "",
        name=form.name.data or "",
        email=form.email.data or "",
        kind=_kind(form),
        active=bool(form.active.data),
        attributes=read_attributes(form.attributes.data),
        groups=_groups(form),
    )


def _change(unit: Unit, key: UUID, form: UserForm) -> User:
    draft = _draft(form)
    names = ("username", "name", "email", "kind", "active", "attributes")
    changed = update_user(unit, replace(unit.users.get(key), **{name: getattr(draft, name) for name in names}))
    set_user_groups(unit, key, draft.groups)
    return changed


def _kind(form: UserForm) -> UserKind:
    kind = form.kind.data or ""
    if kind not in KINDS:
        raise Invalid([Problem(field="kind", code="not_a_choice", found=kind, expected=" or ".join(KINDS))])
    return UserKind(kind)


def _groups(form: UserForm) -> frozenset[UUID]:
    try:
        return frozenset(UUID(text) for text in form.groups.data or [])
    except ValueError:
        raise Invalid([Problem(field="groups", code="unknown_group", expected="groups of the list")]) from None


def _hashed(form: UserForm, username: str) -> str | None:
    return hash_new_password(passwords(), username, form.password.data) if form.password.data else None


def _new_password(form: PasswordForm, user: User) -> str:
    if form.password.data != form.again.data:
        raise Invalid([Problem(field="again", code="passwords_differ")])
    return hash_new_password(passwords(), user.username, form.password.data or "")


def _show(form: UserForm, user: User | None) -> ResponseReturnValue:
    with web().store.read() as unit:
        groups = [(str(each.id), each.name, "superuser" if each.superuser else "") for each in unit.groups.all()]
    back = url_for(".detail", key=user.id) if user is not None else url_for(".index")
    return show_form("users/form.html", form, back, user=user, groups=groups)

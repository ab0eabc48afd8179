"""What an admin sees of a user's second factors and app passwords, and does about them.

An admin takes away and never adds: whose factor it is has to hold it. Service accounts can't sign in here, so their app
passwords are made by admins.
"""

from dataclasses import dataclass
from uuid import UUID

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from control.auth import app_passwords, factors
from control.domain.errors import NotFound
from control.domain.factors import Authenticator
from control.domain.identity import User, UserKind
from control.store import Unit
from control.web.account.forms import AppPasswordForm, app_password_draft
from control.web.account.listing import AppPasswordLine, applications_to_choose, list_app_passwords
from control.web.context import web
from control.web.forms import Form, saving
from control.web.guards import freshly_signed_in
from control.web.identity import actor
from control.web.pages import done, show, show_form

blueprint = Blueprint("factors", __name__, url_prefix="/<uuid:user>")


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorsShown:
    """What the user's page shows."""

    apps: list[Authenticator]
    recovery_codes: int
    app_passwords: list[AppPasswordLine]
    can_have_apps: bool
    can_be_given: bool


def factors_of(unit: Unit, user: User) -> FactorsShown:
    """Read it."""
    return FactorsShown(
        apps=factors.authenticators(unit, user.id),
        recovery_codes=factors.recovery_codes_left(unit, user.id),
        app_passwords=list_app_passwords(unit, user.id),
        can_have_apps=user.kind is UserKind.INTERNAL,
        can_be_given=user.kind is UserKind.SERVICE,
    )


@blueprint.route("/second-factors/reset", methods=["GET", "POST"])
@freshly_signed_in
def reset(user: UUID) -> ResponseReturnValue:
    """Take all second factors from a user who has lost them."""
    with web().store.read() as unit:
        known = unit.users.get(user)
        person = unit.memberships.person(known)
    form, back = Form(), url_for("admin.users.detail", key=user)
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            factors.reset(unit, user)
            return done(back, "second_factors_reset", name=known.username)
    return show_form("users/reset_factors.html", form, back, user=known, shown=person, tone="danger")


@blueprint.route("/app-passwords/new", methods=["GET", "POST"])
@freshly_signed_in
def create(user: UUID) -> ResponseReturnValue:
    """A new app password of a service account. Its secret is on the answer to this form and nowhere else."""
    with web().store.read() as unit:
        known = _get_service_account(unit, user)
        choices = applications_to_choose(unit, unit.memberships.person(known))
    form = AppPasswordForm()
    if form.validate_on_submit():
        with saving(form) as unit:
            made, secret = app_passwords.create(unit, app_password_draft(form, user, unit.now, second_factor=True))
        if not form.errors:
            return show("users/app_password.html", made=made, secret=secret, user=known)
    back = url_for("admin.users.detail", key=user)
    return show_form("users/new_app_password.html", form, back, user=known, applications=choices)


@blueprint.post("/app-passwords/<uuid:key>/revoke")
def revoke(user: UUID, key: UUID) -> ResponseReturnValue:
    """End an app password of a user."""
    with web().store.write(actor()) as unit:
        ended = app_passwords.revoke(unit, user, key)
    return done(url_for("admin.users.detail", key=user), "app_password_revoked", name=ended.name)


def _get_service_account(unit: Unit, user: UUID) -> User:
    """The account. Raises NotFound for people, who make their own."""
    found = unit.users.get(user)
    if found.kind is not UserKind.SERVICE:
        raise NotFound("service account", found.username)
    return found

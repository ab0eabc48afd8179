"""The own app passwords: made, shown once, listed with their last use, and revoked."""

from uuid import UUID

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from control.auth import app_passwords
from control.domain.factors import SECOND_FACTORS
from control.web.account.forms import AppPasswordForm, app_password_draft
from control.web.account.listing import applications_to_choose, list_app_passwords
from control.web.context import web
from control.web.forms import saving
from control.web.guards import freshly_signed_in
from control.web.identity import actor, get_person, get_sign_in
from control.web.pages import done

blueprint = Blueprint("app_passwords", __name__, url_prefix="/app-passwords")


@blueprint.get("")
def index() -> ResponseReturnValue:
    """All of them."""
    with web().store.read() as unit:
        lines = list_app_passwords(unit, get_person().user.id)
    return render_template("account/app_passwords.html", lines=lines)


@blueprint.route("/new", methods=["GET", "POST"])
@freshly_signed_in
def create() -> ResponseReturnValue:
    """A new one. Its secret is on the answer to this form and nowhere else."""
    form, user = AppPasswordForm(), get_person().user
    if form.validate_on_submit():
        with saving(form) as unit:
            has_used_one = bool(SECOND_FACTORS & set(get_sign_in().methods))
            draft = app_password_draft(form, user.id, unit.now, second_factor=has_used_one)
            made, secret = app_passwords.create(unit, draft)
        if not form.errors:
            return render_template("account/app_password.html", made=made, secret=secret, user=user)
    with web().store.read() as unit:
        choices = applications_to_choose(unit, get_person())
    page = render_template("account/new_app_password.html", form=form, applications=choices)
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/<uuid:key>/revoke")
def revoke(key: UUID) -> ResponseReturnValue:
    """End one; what came in by it ends, too."""
    with web().store.write(actor()) as unit:
        ended = app_passwords.revoke(unit, get_person().user.id, key)
    return done(url_for(".index"), "app_password_revoked", name=ended.name)

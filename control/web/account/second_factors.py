"""The own second factors: apps listed, renamed and removed, and recovery codes renewed."""

from uuid import UUID

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from control.auth import factors
from control.domain.errors import NotFound
from control.domain.factors import Authenticator
from control.web.account.forms import NameForm, ProofForm, check_proof
from control.web.context import web
from control.web.forms import Form, refusing, saving
from control.web.guards import freshly_signed_in
from control.web.identity import actor, get_person
from control.web.pages import done

blueprint = Blueprint("second_factors", __name__, url_prefix="/second-factors")


@blueprint.get("")
def index() -> ResponseReturnValue:
    """All apps, and how many recovery codes are left."""
    person = get_person()
    with web().store.read() as unit:
        apps = factors.authenticators(unit, person.user.id)
        left = factors.recovery_codes_left(unit, person.user.id)
    return render_template("account/second_factors.html", apps=apps, left=left, total=factors.RECOVERY_CODES)


@blueprint.route("/<uuid:key>/rename", methods=["GET", "POST"])
def rename(key: UUID) -> ResponseReturnValue:
    """Call an app something else."""
    app, _ = _own(key)
    form = NameForm(name=app.name)
    if form.validate_on_submit():
        with saving(form) as unit:
            renamed = factors.rename(unit, app.user, key, form.name.data or "")
            return done(url_for(".index"), "updated", name=renamed.name)
    return render_template("account/rename.html", form=form, app=app), 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:key>/remove", methods=["GET", "POST"])
def remove(key: UUID) -> ResponseReturnValue:
    """Remove an app; who only sits at an open session can't."""
    (app, is_last), form = _own(key), ProofForm()
    if form.validate_on_submit():
        with refusing(form):
            check_proof(form)
            with web().store.write(actor()) as unit:
                factors.remove(unit, app.user, key)
            return done(url_for(".index"), "removed", name=app.name)
    page = render_template("account/remove_factor.html", form=form, app=app, is_last=is_last)
    return page, 422 if form.is_submitted() else 200


@blueprint.route("/recovery-codes", methods=["GET", "POST"])
@freshly_signed_in
def renew() -> ResponseReturnValue:
    """New recovery codes in place of the old ones."""
    form, user = Form(), get_person().user.id
    with web().store.read() as unit:
        left = factors.recovery_codes_left(unit, user)
    if form.validate_on_submit():
        with saving(form) as unit:
            codes = factors.renew_recovery_codes(unit, user)
        if not form.form_errors:
            onward = url_for(".index")
            return render_template("account/recovery_codes.html", codes=codes, onward=onward, is_new=False)
    return render_template("account/renew_codes.html", form=form, left=left), 422 if form.is_submitted() else 200


def _own(key: UUID) -> tuple[Authenticator, bool]:
    """The app, and whether it is the only one. Raises NotFound where it isn't the person's."""
    with web().store.read() as unit:
        apps = factors.authenticators(unit, get_person().user.id)
    found = next((app for app in apps if app.id == key), None)
    if found is None:
        raise NotFound("authenticator", str(key))
    return found, len(apps) == 1

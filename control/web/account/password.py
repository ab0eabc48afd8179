"""The own password."""

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import PasswordField

from control.auth.own_password import OwnPassword, change_own_password
from control.domain.errors import Invalid, Problem
from control.domain.security import SignIn
from control.web.context import web
from control.web.forms import Form, refusing
from control.web.identity import actor, current_sign_in, passwords
from control.web.pages import done

blueprint = Blueprint("password", __name__, url_prefix="/password")


class OwnPasswordForm(Form):
    """The present password, and the new one twice."""

    present = PasswordField()
    password = PasswordField()
    again = PasswordField()


@blueprint.route("", methods=["GET", "POST"])
def index() -> ResponseReturnValue:
    """Change the own password; all other sessions end."""
    form, sign_in = OwnPasswordForm(), current_sign_in()
    if form.validate_on_submit() and sign_in is not None:
        with refusing(form):
            _change(form, sign_in)
            return done(url_for(".index"), "own_password_changed")
    return render_template("account/password.html", form=form), 422 if form.is_submitted() else 200


def _change(form: OwnPasswordForm, sign_in: SignIn) -> None:
    if form.password.data != form.again.data:
        raise Invalid([Problem(field="again", code="passwords_differ")])
    typed = OwnPassword(present=form.present.data or "", new=form.password.data or "")
    change_own_password(web().store, passwords(), actor(), sign_in, typed)

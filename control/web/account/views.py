"""The own account of whoever is signed in: one parent for all its pages, so that none can forget the guard."""

from flask import Blueprint, Flask

from control.web.account import app_passwords, enrolment, password, second_factors, sessions
from control.web.guards import let_people_in

PAGES = (password.blueprint, sessions.blueprint, second_factors.blueprint, app_passwords.blueprint)


def register(app: Flask) -> None:
    """Add the pages below /account/."""
    account = Blueprint("account", __name__, url_prefix="/account")
    account.before_request(let_people_in)
    for blueprint in PAGES:
        account.register_blueprint(blueprint)
    app.register_blueprint(account)
    app.register_blueprint(enrolment.blueprint)

"""The own account of whoever is signed in: one parent for all its pages, so that none can forget the guard."""

from flask import Blueprint, Flask
from flask.typing import ResponseReturnValue

from control.web.account import password
from control.web.identity import ask_to_sign_in, find_person

PAGES = (password.blueprint,)


def let_people_in() -> ResponseReturnValue | None:
    """Nothing for whoever is signed in: the view follows."""
    return ask_to_sign_in() if find_person() is None else None


def register(app: Flask) -> None:
    """Add the pages below /account/."""
    account = Blueprint("account", __name__, url_prefix="/account")
    account.before_request(let_people_in)
    for blueprint in PAGES:
        account.register_blueprint(blueprint)
    app.register_blueprint(account)

"""The admin interface: one parent for all its blueprints, so that no page can forget the guard."""

from flask import Blueprint, Flask, abort
from flask.typing import ResponseReturnValue

from control.web import applications, certificates, groups, outposts, overview, providers, tokens, trust, users
from control.web.identity import ask_to_sign_in, find_person

NOUNS = (
    overview.blueprint,
    applications.blueprint,
    providers.blueprint,
    outposts.blueprint,
    users.blueprint,
    groups.blueprint,
    tokens.blueprint,
    certificates.blueprint,
    trust.blueprint,
)


def let_administrators_in() -> ResponseReturnValue | None:
    """Nothing for those who may: their view follows."""
    person = find_person()
    if person is None:
        return ask_to_sign_in()
    return None if person.superuser else abort(403)


def register(app: Flask) -> None:
    """Add the admin pages below /admin/, for superusers only."""
    admin = Blueprint("admin", __name__, url_prefix="/admin")
    admin.before_request(let_administrators_in)
    for blueprint in NOUNS:
        admin.register_blueprint(blueprint)
    app.register_blueprint(admin)

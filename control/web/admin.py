"""The admin interface: one parent for all its blueprints, so that no page can forget the guard."""

from flask import Blueprint, Flask

from control.web import applications, certificates, groups, outposts, overview, providers, tokens, users
from control.web.identity import superuser_required

NOUNS = (
    overview.blueprint,
    applications.blueprint,
    providers.blueprint,
    outposts.blueprint,
    users.blueprint,
    groups.blueprint,
    tokens.blueprint,
    certificates.blueprint,
)


@superuser_required
def let_administrators_in() -> None:
    """Nothing more to do for those who may: the view follows."""


def register(app: Flask) -> None:
    """Add the admin pages below /admin/, for superusers only."""
    admin = Blueprint("admin", __name__, url_prefix="/admin")
    admin.before_request(let_administrators_in)
    for blueprint in NOUNS:
        admin.register_blueprint(blueprint)
    app.register_blueprint(admin)

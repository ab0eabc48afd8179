"""The admin interface: one parent for all its blueprints, so that no page can forget the guard."""

from flask import Blueprint, Flask

from control.web import (
    access,
    applications,
    audit,
    certificates,
    groups,
    integrations,
    lockouts,
    outposts,
    overview,
    providers,
    sessions,
    tasks,
    tokens,
    trust,
    users,
)
from control.web.guards import let_administrators_in

NOUNS = (
    overview.blueprint,
    tasks.blueprint,
    applications.blueprint,
    providers.blueprint,
    outposts.blueprint,
    integrations.blueprint,
    access.blueprint,
    users.blueprint,
    groups.blueprint,
    tokens.blueprint,
    sessions.blueprint,
    lockouts.blueprint,
    certificates.blueprint,
    trust.blueprint,
    audit.blueprint,
)


def register(app: Flask) -> None:
    """Add the admin pages below /admin/, for superusers only."""
    admin = Blueprint("admin", __name__, url_prefix="/admin")
    admin.before_request(let_administrators_in)
    for blueprint in NOUNS:
        admin.register_blueprint(blueprint)
    app.register_blueprint(admin)

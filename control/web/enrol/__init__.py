"""POST /-/enrol: where outposts get their certificates. For machines: no session, no CSRF token, JSON only."""

from flask import Flask

from control.web.csrf import exempt_from_csrf
from control.web.enrol.views import make_blueprint


def register(app: Flask) -> None:
    """Put the endpoint into the app."""
    blueprint = make_blueprint()
    app.register_blueprint(blueprint)
    exempt_from_csrf(app, blueprint)

"""Whether this process lives, and whether it can serve: the paths of docs/architecture.md."""

import logging

from flask import Blueprint, Flask
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from control.web.context import web

log = logging.getLogger("control.web")

blueprint = Blueprint("health", __name__, url_prefix="/-/health")


@blueprint.get("/live/")
def live() -> ResponseReturnValue:
    """The process answers."""
    return "", 204


@blueprint.get("/ready/")
def ready() -> ResponseReturnValue:
    """The database answers and has been migrated."""
    try:
        with web().store.read() as unit:
            unit.revision()
    except SQLAlchemyError as error:
        log.warning("not ready", extra={"reason": type(error).__name__})
        return "database unavailable\n", 503, {"Content-Type": "text/plain", "Retry-After": "2"}
    return "", 204


def register(app: Flask) -> None:
    """Add the health paths."""
    app.register_blueprint(blueprint)

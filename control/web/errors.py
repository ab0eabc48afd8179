"""Error pages: a code, its parameters and the request id; the words stand in templates/messages.html.

Callers that ask for JSON, and everything below /api/v1/, get the same as JSON. No page here asks the database.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

from flask import Flask, Response, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from prometheus_client import CollectorRegistry, Counter
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from control.domain.errors import InUse, Invalid, NotFound
from control.store import DatabaseBusy, DatabaseUnavailable, DatabaseUnwritable
from control.web.context import request_id

log = logging.getLogger("control.web")

API = "/api/v1/"
# Seconds: after these a long unit of work, such as a large blueprint, has most likely ended.
RETRY_BUSY = "5"
# And these are not too many to wait once somebody has mended the database.
RETRY_AWAY = "30"
_CODES = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many_requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}


# Not frozen: contextlib writes the traceback into whatever leaves a unit of work.
@dataclass(kw_only=True, eq=False)
class Refused(Exception):
    """A request that is turned down with words of its own: the code names them."""

    status: int
    code: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def install(app: Flask, registry: CollectorRegistry) -> None:
    """Render every error of the app, its own and the framework's."""
    busy = Counter(
        "garrison_web_database_busy",
        "Requests answered with 503, as another unit of work was writing for too long.",
        registry=registry,
    )

    away = Counter(
        "garrison_web_database_unavailable",
        "Requests answered with 503, as the database is away, or full or read-only.",
        registry=registry,
    )

    def database_busy(_error: DatabaseBusy) -> Response:
        busy.inc()
        return _database_busy()

    def database_away(error: DatabaseUnavailable) -> Response:
        away.inc()
        return _database_away(error)

    app.register_error_handler(Refused, _refused)
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _framework)
    app.register_error_handler(NotFound, _missing)
    app.register_error_handler(InUse, _in_use)
    app.register_error_handler(Invalid, _invalid)
    app.register_error_handler(DatabaseBusy, database_busy)
    app.register_error_handler(DatabaseUnavailable, database_away)
    app.register_error_handler(Exception, _broken)
    app.after_request(_redirect_here)


def error_response(status: int, code: str, parameters: Mapping[str, str] | None = None) -> Response:
    """The answer that tells of an error, as a page or as JSON."""
    if _wants_json():
        return _with_status(jsonify(error=code, request_id=request_id(), **(parameters or {})), status)
    page = render_template(
        "errors/error.html", status=status, code=code, parameters=parameters or {}, request_id=request_id()
    )
    return _with_status(make_response(page), status)


def _refused(error: Refused) -> Response:
    return error_response(error.status, error.code, error.parameters)


def _forged(_error: CSRFError) -> Response:
    return error_response(HTTPStatus.BAD_REQUEST, "csrf")


def _framework(error: HTTPException) -> Response:
    if error.response is not None or error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return make_response(error.get_response())
    response = error_response(error.code, _CODES.get(HTTPStatus(error.code), "bad_request"))
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def _redirect_here(response: Response) -> Response:
    """A missing slash is mended on the host that was asked, whatever its Host header said."""
    if isinstance(request.routing_exception, RequestRedirect):
        parts = urlsplit(request.routing_exception.new_url)
        response.headers["Location"] = urlunsplit(("", "", "/" + parts.path.lstrip("/"), parts.query, ""))
    return response


def _missing(error: NotFound) -> Response:
    return error_response(HTTPStatus.NOT_FOUND, "no_such_object", {"kind": error.kind, "name": error.name})


def _in_use(error: InUse) -> Response:
    parameters = {"kind": error.kind, "name": error.name, "used_by": error.used_by}
    return error_response(HTTPStatus.CONFLICT, "in_use", parameters)


def _invalid(error: Invalid) -> Response:
    return error_response(HTTPStatus.BAD_REQUEST, "invalid", {"problems": str(error)})


def _database_busy() -> Response:
    log.warning("the database is busy", extra={"request_id": request_id(), "path": request.path})
    response = error_response(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
    response.headers["Retry-After"] = RETRY_BUSY
    return response


def _database_away(error: DatabaseUnavailable) -> Response:
    fields = {"request_id": request_id(), "path": request.path, "reason": str(error.orig)}
    code = "database_unwritable" if isinstance(error, DatabaseUnwritable) else "database_unavailable"
    log.error("the database can't be used", extra=fields)
    response = error_response(HTTPStatus.SERVICE_UNAVAILABLE, code)
    response.headers["Retry-After"] = RETRY_AWAY
    return response


def _broken(error: Exception) -> Response:
    log.error("a view failed", exc_info=error, extra={"request_id": request_id(), "path": request.path})
    return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal")


def _wants_json() -> bool:
    if request.path.startswith(API):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], "text/html")
    return best == "application/json"


def _with_status(response: Response, status: int) -> Response:
    response.status_code = status
    return response

"""What operators see of requests: an id on each answer, one log record, and metrics by endpoint.

Endpoints, not paths, label the metrics: their number is fixed. The log has paths without the query, which may hold
codes of a sign-in.
"""

import logging
import time
from http import HTTPStatus

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram

from control.web.context import request_id

access = logging.getLogger("control.web.access")

QUIET = frozenset({"static", "health.live", "health.ready"})


def install(app: Flask, registry: CollectorRegistry) -> None:
    """Observe every request of the app."""
    requests = Counter(
        "garrison_web_requests",
        "Requests that the web process answered.",
        ["endpoint", "method", "status"],
        registry=registry,
    )
    duration = Histogram(
        "garrison_web_request_duration_seconds",
        "Time from a request's arrival to its answer.",
        ["endpoint"],
        registry=registry,
    )

    def begin() -> None:
        g.began = time.perf_counter()

    def finish(response: Response) -> Response:
        seconds = time.perf_counter() - g.get("began", time.perf_counter())
        endpoint = request.endpoint or "none"
        requests.labels(endpoint, _method(), str(response.status_code)).inc()
        duration.labels(endpoint).observe(seconds)
        response.headers["X-Request-Id"] = request_id()
        _log(response, seconds)
        return response

    app.before_request(begin)
    app.after_request(finish)


def _method() -> str:
    known = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"}
    return request.method if request.method in known else "other"


def _log(response: Response, seconds: float) -> None:
    level = (
        logging.DEBUG if request.endpoint in QUIET or response.status_code == HTTPStatus.NOT_MODIFIED else logging.INFO
    )
    access.log(
        level,
        "request",
        extra={
            "request_id": request_id(),
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 1),
            "address": request.remote_addr or "",
            "user": _username(),
        },
    )


def _username() -> str:
    """Who was signed in, when the view had a look."""
    session = g.get("session")
    return session.person.user.username if session is not None else ""

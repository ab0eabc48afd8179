"""Large bodies come in few at a time: whoever sends one slowly holds a thread, and there are only so many.

Small ones were taken in by the front door before a thread heard of them. Stands before the app, so that a refused
body is never read; what is refused is counted.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter
from werkzeug.wsgi import ClosingIterator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SMALL = 64 * 1024
"""Bytes that the front door holds for its clients."""
AT_ONCE = 4
RETRY_AFTER = "5"


class LargeBodies:
    """A WSGI app that lets at most `at_once` requests with a large body into another one."""

    def __init__(self, app: "WSGIApplication", registry: CollectorRegistry, at_once: int = AT_ONCE) -> None:
        self._app = app
        self._places = BoundedSemaphore(at_once)
        self._refused = Counter(
            "garrison_web_large_bodies_refused", "Large bodies refused, because enough were coming.", registry=registry
        )

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer, or refuse with 503 and without reading."""
        if not is_large(environ):
            return self._app(environ, start_response)
        if not self._places.acquire(blocking=False):
            self._refused.inc()
            return _refuse(start_response)
        return self._within(environ, start_response, self._places.release)

    def _within(
        self, environ: "WSGIEnvironment", start_response: "StartResponse", leave: Callable[[], None]
    ) -> Iterable[bytes]:
        try:
            answer = self._app(environ, start_response)
        except BaseException:
            leave()
            raise
        return ClosingIterator(answer, leave)


def is_large(environ: "WSGIEnvironment") -> bool:
    """Whether the body is larger than SMALL, or may be."""
    length = environ.get("CONTENT_LENGTH") or "0"
    return "HTTP_TRANSFER_ENCODING" in environ or not length.isdecimal() or int(length) > SMALL


def _refuse(start_response: "StartResponse") -> Iterable[bytes]:
    body = b"Too many large requests at once. Try again in a moment.\n"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Retry-After", RETRY_AFTER),
        ("Connection", "close"),
    ]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]

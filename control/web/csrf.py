"""Cross-site request forgery: every form carries a token, and only machine endpoints are exempt.

The token lies in a signed cookie of the browser session; forms from curl work by sending the cookie and the hidden
field back. The Referer is not asked for (curl sends none); a browser's word that the request comes from another site
is believed.
"""

from flask import Blueprint, Flask, request
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError

CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def install(app: Flask) -> None:
    """Check every changing request of the app."""
    app.config.update(WTF_CSRF_SSL_STRICT=False, WTF_CSRF_TIME_LIMIT=None)
    CSRFProtect(app)
    app.before_request(_refuse_cross_site)


def exempt_from_csrf(app: Flask, blueprint: Blueprint) -> None:
    """Let machines post to a blueprint that knows its callers another way."""
    protect: CSRFProtect = app.extensions["csrf"]
    protect.exempt(blueprint)


def _refuse_cross_site() -> None:
    if request.method in CHANGES and request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise CSRFError("cross-site request")

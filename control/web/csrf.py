"""Cross-site request forgery: every form carries a token, and only machine endpoints are exempt.

The token lies in a signed cookie of the browser session; forms from curl work by sending the cookie and the hidden
field back. Applications behind Garrison are neighbours on the same site: they may plant cookies for us, so a browser's
word that a form comes from elsewhere (Sec-Fetch-Site, Origin) counts, too. The Referer is not asked for.
"""

from urllib.parse import urlsplit

from flask import Blueprint, Flask, request
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError

from control.web.context import web

CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_EXEMPT = "garrison.csrf.exempt"
# What browsers say of our own pages' forms, and of what a person typed; programs say nothing.
_OURS = frozenset({"same-origin", "none", ""})


def install(app: Flask) -> None:
    """Check every changing request of the app."""
    app.config.update(WTF_CSRF_SSL_STRICT=False, WTF_CSRF_TIME_LIMIT=None)
    app.extensions[_EXEMPT] = set()
    CSRFProtect(app)
    app.before_request(lambda: _refuse_other_origins(app))


def exempt_from_csrf(app: Flask, blueprint: Blueprint) -> None:
    """Let machines post to a blueprint that knows its callers another way, or that changes nothing."""
    protect: CSRFProtect = app.extensions["csrf"]
    protect.exempt(blueprint)
    app.extensions[_EXEMPT].add(blueprint.name)


def _refuse_other_origins(app: Flask) -> None:
    if request.method not in CHANGES or request.blueprint in app.extensions[_EXEMPT]:
        return
    if request.headers.get("Sec-Fetch-Site", "") not in _OURS or not _is_ours(request.headers.get("Origin")):
        raise CSRFError("the form was sent from another origin")


def _is_ours(origin: str | None) -> bool:
    """Compared with the host that was asked (a forged form can't choose it) and with the public address."""
    if origin is None:
        return True
    return urlsplit(origin).netloc in {request.host, urlsplit(web().settings.url).netloc}

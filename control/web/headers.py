"""The headers that every answer carries.

No page has inline script or style, none may be framed, nothing is loaded from elsewhere. Pages are not stored by
caches: they speak of the person who is signed in.
"""

from urllib.parse import urlsplit

from flask import Flask, Response, g

from control.web.context import web

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",  # Tabler draws check marks and arrows as data: SVG
    "font-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# Browsers complain of the second one on every page over plain HTTP, where they ignore both.
_SECURE = {
    "Strict-Transport-Security": "max-age=31536000",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def allow_form_action(url: str) -> None:
    """Let forms of this answer lead, by redirects, to the origin of `url`: browsers hold redirects to form-action."""
    parts = urlsplit(url)
    g.form_actions = [*g.get("form_actions", []), f"{parts.scheme}://{parts.netloc}"]


def install(app: Flask) -> None:
    """Put the headers on every answer of the app."""
    app.after_request(_secure)


def _secure(response: Response) -> Response:
    for name, value in (_ALWAYS | _SECURE if web().settings.is_secure else _ALWAYS).items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", _content_security_policy())
    if response.mimetype == "text/html":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _content_security_policy() -> str:
    targets = " ".join(["'self'", *g.get("form_actions", [])])
    return "; ".join(f"{name} {value}" for name, value in {**_POLICY, "form-action": targets}.items())

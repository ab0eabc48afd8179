"""Where somebody is on the way to: what sign-in pages tell of it, and what a browser needs to get there."""

from urllib.parse import parse_qsl, urlsplit

from flask import request

from control.auth.oidc.authorization import PATH, find_target
from control.domain.application import Application, ProxyMode, ProxyProvider
from control.web.context import web
from control.web.headers import allow_form_action
from control.web.identity import safe_next

Target = tuple[Application, ProxyProvider]
# Whoever has come through these has no business there.
_LEADING = {"/sign-in", "/sign-in/code", "/sign-out", "/step-up"}


def wanted(posted: str | None = None) -> str:
    """Where to go afterwards, as the form or the address says: not to the pages that lead there again."""
    found = safe_next(posted or request.args.get("next"))
    return "/" if urlsplit(found).path in _LEADING else found


def find_application(path: str) -> Application | None:
    """The application that lies behind `path`, of which the page tells; the page's forms may lead there."""
    target = _target(path)
    if target is None:
        return None
    _allow_redirects(target[1])
    return target[0]


def _target(path: str) -> Target | None:
    parts = urlsplit(path)
    if parts.path != PATH:
        return None
    with web().store.read() as unit:
        return find_target(unit, tuple(parse_qsl(parts.query, keep_blank_values=True)))


def _allow_redirects(provider: ProxyProvider) -> None:
    """Browsers hold the redirects after a posted form to its page's policy: name where the application will be."""
    allow_form_action(provider.external_host)
    if provider.mode is ProxyMode.FORWARD_DOMAIN and provider.cookie_domain:
        parts = urlsplit(provider.external_host)
        port = f":{parts.port}" if parts.port else ""
        allow_form_action(f"{parts.scheme}://*.{provider.cookie_domain.lstrip('.')}{port}")

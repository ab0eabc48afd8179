"""The web process: admin interface, portal, sign-in and the endpoints outposts and browsers call. Flask, synchronous.

`create_app` puts it together; views are thin and call commands of control.fleet and control.auth. Live parts of
pages are polls, never streams.
"""

from collections.abc import Callable
from datetime import datetime

from flask import Flask
from jinja2 import StrictUndefined
from prometheus_client import CollectorRegistry
from werkzeug.middleware.proxy_fix import ProxyFix

from control.store import Store
from control.web import assets, csrf, errors, headers, observe, templating
from control.web.bodies import LargeBodies
from control.web.brand import Brand
from control.web.context import EXTENSION, Web, WebSettings, web
from control.web.packages import PACKAGES

__all__ = ["Web", "WebSettings", "create_app", "web"]


def create_app(
    settings: WebSettings, store: Store, clock: Callable[[], datetime], registry: CollectorRegistry
) -> Flask:
    """The app. It trusts X-Forwarded-*: only the front door reaches the unix socket it listens on."""
    app = Flask(__name__)
    app.config.update(_flask_config(settings))
    app.jinja_options = {**app.jinja_options, "undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    app.extensions[EXTENSION] = Web(
        settings=settings, store=store, clock=clock, assets=assets.load_assets(), brand=Brand()
    )
    behind = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)
    app.wsgi_app = LargeBodies(behind, registry)  # type: ignore[method-assign] # Flask's way
    observe.install(app, registry)
    headers.install(app)
    app.after_request(assets.cache_hashed)
    csrf.install(app)
    errors.install(app, registry)
    templating.install(app)
    for register in PACKAGES:
        register(app)
    return app


def _flask_config(settings: WebSettings) -> dict[str, object]:
    return {
        "SECRET_KEY": settings.secret_key,
        "SESSION_COOKIE_NAME": settings.cookie_name("garrison_forms"),
        "SESSION_COOKIE_SECURE": settings.is_secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "MAX_CONTENT_LENGTH": settings.max_body,
        "MAX_FORM_MEMORY_SIZE": settings.max_body,
    }

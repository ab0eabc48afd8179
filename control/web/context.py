"""What every view may ask for: settings, store, clock, brand and assets of the running app, and the request's id.

One frozen `Web` lies in `app.extensions`; nothing here is global to the process, so tests run many apps at once.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from flask import current_app, g, request

from control.domain.origins import origin_of
from control.store import Store
from control.web.assets import Assets
from control.web.brand import Brand

EXTENSION = "garrison"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """What the web process is told at its start. `secret_key` signs the cookie that holds CSRF tokens and notices.

    `audit_kept` is for how long the audit trail is kept; None is for ever. The two ports are those of the front door.
    """

    url: str
    secret_key: bytes
    link_addresses: tuple[str, ...] = ()
    http_port: int = 9000
    https_port: int = 9443
    processes_file: Path | None = None
    max_body: int = 1 << 20
    version: str = ""
    image_base: str = ""
    audit_kept: timedelta | None = None

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach us over HTTPS."""
        return urlsplit(self.url).scheme == "https"

    @property
    def host(self) -> str:
        """Where browsers reach us, as URLs have it."""
        return origin_of(self.url).authority_host

    def cookie_name(self, name: str) -> str:
        """A cookie of ours: over HTTPS with the prefix that keeps neighbours from planting it (RFC 6265bis)."""
        return f"__Host-{name}" if self.is_secure else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The collaborators of one app."""

    settings: WebSettings
    store: Store
    clock: Callable[[], datetime]
    assets: Assets
    brand: Brand


def web() -> Web:
    """The collaborators of the app that serves this request."""
    found: Web = current_app.extensions[EXTENSION]
    return found


def request_id() -> str:
    """The id of this request: the front door's, or one of our own."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
    return str(g.request_id)

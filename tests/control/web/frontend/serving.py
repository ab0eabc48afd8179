"""The app behind a real port, and what a browser is told to measure on its pages."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, ViewportSize
from werkzeug.serving import WSGIRequestHandler, make_server

from control.auth import sessions
from control.auth.sessions import Origin
from control.web import identity
from tests.support.browser import be_patient
from tests.support.site import Site
from tests.support.stores import ADMIN

MEASURE = Path(__file__).with_name("contrast.js").read_text()
DESK, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)


@dataclass(frozen=True)
class Look:
    """What a page is looked at on."""

    window: ViewportSize
    theme: Literal["light", "dark"]


EACH_LOOK = pytest.mark.parametrize(
    "look",
    [Look(DESK, "light"), Look(DESK, "dark"), Look(PHONE, "light"), Look(PHONE, "dark")],
    ids=["desk-light", "desk-dark", "phone-light", "phone-dark"],
)


@dataclass(frozen=True)
class Served:
    """Where the app is, with a session of the administrator, and addresses worth a look."""

    url: str
    secret: str
    paths: tuple[str, ...] = ()

    def signed_in(self, context: BrowserContext) -> BrowserContext:
        """The context, with that session."""
        be_patient(context)
        context.add_cookies([{"name": identity.COOKIE, "value": self.secret, "url": self.url}])
        return context


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing."""


@contextmanager
def serving(site: Site, paths: tuple[str, ...] = ()) -> Iterator[Served]:
    """Serve the site."""
    with site.store.write(ADMIN) as unit:
        secret = sessions.open_session(unit, site.root.id, Origin(address="192.0.2.7", user_agent="Lynx")).secret
    server = make_server("127.0.0.1", 0, site.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Served(url=f"http://127.0.0.1:{server.server_port}", secret=secret, paths=paths)
    server.shutdown()
    thread.join(10)
    server.server_close()


def unreadable(browser: Browser, served: Served, look: Look) -> dict[str, object]:
    """What can't be read on the pages of the served site, with all that folds unfolded; by path."""
    found = {}
    with served.signed_in(browser.new_context(viewport=look.window, color_scheme=look.theme)) as context:
        page = context.new_page()
        for path in served.paths:
            page.goto(served.url + path)
            for summary in page.locator("details.g-advanced:not([open]):visible > summary").all():
                summary.click()
            found[path] = page.evaluate(MEASURE)
    return {path: wrong for path, wrong in found.items() if wrong}

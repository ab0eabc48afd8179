"""From a commit in control to its effect at an outpost: settings, through store and form, and people locked out."""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from control.settings import Given, read_settings
from control.settings.opening import open_store
from control.store import Actor
from tests.bench.checks import QUESTION
from tests.bench.stage import Stage
from tests.support.browser_http import Page, Visitor, links
from tests.support.garrison import ADMIN, ADMIN_PASSWORD

COMMITS = 100
LOCK_OUTS = 20
DEADLINE = 5.0
APART = 0.1
"""Seconds between two changes: more than the link gathers for, as an admin's changes are."""
Change = Callable[[str], float]
"""Opens one more path without sign-in and returns when (monotonic) the clock starts."""


def by_store(stage: Stage) -> list[float]:
    """Milliseconds from the end of the commit, made as any process of control makes it."""
    settings = read_settings(Given(data=str(stage.garrison.data)), {})
    store = open_store(settings, migrate=False)

    def change(pattern: str) -> float:
        with store.write(Actor(name="bench", address="", request_id="bench")) as unit:
            unit.proxy_providers.update(replace(unit.proxy_providers.get_named("bench"), skip_path_regex=pattern))
        return time.monotonic()

    with observer(stage) as is_open:
        return [timed(change, is_open, number) for number in range(COMMITS)]


def by_form(stage: Stage) -> list[float]:
    """Milliseconds from sending the admin's form: the whole request, its commit, and the way to the outpost."""
    visitor, page = admin_form(stage)

    def change(pattern: str) -> float:
        began = time.monotonic()
        answer = visitor.submit(page, {"skip_path_regex": pattern}, follow=0)
        assert answer.status in (302, 303, 200, 204), f"{answer.status}\n{answer.text[:2000]}"
        return began

    with observer(stage) as is_open:
        return [timed(change, is_open, COMMITS + number) for number in range(COMMITS)]


def lock_outs(stage: Stage) -> list[float]:
    """Milliseconds from the commit that deactivates a user until a request of theirs is refused."""
    store = open_store(read_settings(Given(data=str(stage.garrison.data)), {}), migrate=False)

    def activate(*, active: bool) -> float:
        with store.write(Actor(name="bench", address="", request_id="bench")) as unit:
            unit.users.update(replace(unit.users.get_named("alice"), active=active))
        return time.monotonic()

    def lock_out() -> float:
        cookies = stage.sign_in()
        time.sleep(APART)
        with observer(stage, cookies) as may_pass:
            assert may_pass("/")
            began = activate(active=False)
            while may_pass("/"):
                assert time.monotonic() - began < DEADLINE, f"not locked out within {DEADLINE:g} s"
            took = (time.monotonic() - began) * 1000
        activate(active=True)
        return took

    return [lock_out() for _ in range(LOCK_OUTS)]


def admin_form(stage: Stage) -> tuple[Visitor, Page]:
    """The provider's form in the admin interface, opened by the administrator."""
    visitor = Visitor()
    visitor.sign_in(f"{stage.garrison.url}/admin/", ADMIN, ADMIN_PASSWORD)
    listed = visitor.get(f"{stage.garrison.url}/admin/providers/")
    detail = find_link(listed, "bench")
    page = visitor.get(detail)
    if "skip_path_regex" not in page.text or "<textarea" not in page.text:
        page = visitor.get(detail.rstrip("/") + "/edit")
    page.form("skip_path_regex")
    return visitor, page


def find_link(page: Page, text: str) -> str:
    """The address of the link with this text."""
    for label, address in links(page):
        if label == text:
            return address
    raise AssertionError(f"no link {text!r} on {page.url}")


def timed(change: Change, is_open: Callable[[str], bool], number: int) -> float:
    """Open the path /open-NUMBER and wait until the outpost lets it through."""
    path = f"/open-{number}"
    time.sleep(APART)
    assert not is_open(path)
    began = change(f"^{path}$")
    while not is_open(path):
        assert time.monotonic() - began < DEADLINE, f"change {number} was not applied within {DEADLINE:g} s"
    return (time.monotonic() - began) * 1000


@contextmanager
def observer(stage: Stage, cookies: str = "") -> Iterator[Callable[[str], bool]]:
    """Asks the outpost over one connection whether it lets a request for a path through."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.outpost.http, timeout=DEADLINE)
    host = f"{stage.site.host}:{stage.site.port}"

    def is_open(path: str) -> bool:
        headers = {"Host": host, "X-Original-URL": stage.site.url + path, "Cookie": cookies}
        connection.request("GET", QUESTION, headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (200, 401), answer.status
        return answer.status == 200

    try:
        yield is_open
    finally:
        connection.close()

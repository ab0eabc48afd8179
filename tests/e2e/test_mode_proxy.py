"""An application with everything that lives, behind an outpost in mode proxy and its TLS, as Chromium meets it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.stage import PASSWORD, fill_sign_in
from tests.support.browser import profile
from tests.support.fake_authority import Authority
from tests.support.garrison import Garrison, Outpost, short_folder
from tests.support.peers_program import Program, free_port, require
from tests.support.upstreams import NODE_ENVIRONMENT, ready

pytestmark = pytest.mark.interop
APPLICATION = Path(__file__).with_name("live_application.cjs")
NAMES = ("live", "other")
SOON = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The installation and where browsers find its two applications."""

    garrison: Garrison
    urls: dict[str, str]

    @property
    def hosts(self) -> list[str]:
        """The names that browsers may talk to."""
        return [self.garrison.host, *(f"{name}.example.test" for name in NAMES)]

    def person(self, name: str) -> str:
        """Somebody new of the staff."""
        self.garrison.apply({"users": [{"username": name, "password": PASSWORD, "groups": ["staff"]}]})
        return name


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with short_folder() as folder:
        port, https = free_port(), free_port()
        application = ready(
            Program("application", [require("node", "nodejs"), str(APPLICATION), str(port)], NODE_ENVIRONMENT), port
        )
        garrison = Garrison(folder / "garrison").start()
        garrison.apply(blueprint(port, https))
        outpost = Outpost(
            garrison, "edge", folder / "edge", https=https, environment={"AUTHENTIK_HOST_BROWSER": garrison.url}
        ).start()
        yield Live(garrison=garrison, urls={name: f"https://{name}.example.test:{https}" for name in NAMES})
        outpost.stop()
        garrison.stop()
        application.stop()


def blueprint(port: int, https: int) -> dict[str, object]:
    """Two applications, each with a certificate of its own."""
    authority = Authority()
    pairs = {name: authority.issue(f"{name}.example.test") for name in NAMES}
    return {
        "groups": [{"name": "staff"}],
        "certificates": [
            {"name": name, "certificate": pair.certificate, "key": pair.key} for name, pair in pairs.items()
        ],
        "providers": [
            {
                "name": name, "type": "proxy", "mode": "proxy", "certificate": name,
                "external_host": f"https://{name}.example.test:{https}", "internal_host": f"http://127.0.0.1:{port}",
            }
            for name in NAMES
        ],
        "applications": [
            {"slug": name, "name": name.title(), "provider": name, "bindings": [{"group": "staff"}]} for name in NAMES
        ],
        "outposts": [{"name": "edge", "type": "proxy", "providers": list(NAMES)}],
    }  # fmt: skip


def test_everything_lives_until_the_person_is_out(browser: Browser, live: Live) -> None:
    person = live.person("wilma")
    with profile(browser, live.hosts) as (context, watch):
        page = context.new_page()
        page.goto(live.urls["live"] + "/")
        fill_sign_in(page, person)
        expect(page).to_have_url(live.urls["live"] + "/")
        expect(page.locator("#socket")).to_have_text("hello from the browser")
        expect(page.locator("#upload")).to_have_text("5000000")
        expect(page.locator("#who")).to_have_text(person)
        expect(page.locator("#event")).not_to_be_empty()
        first = page.locator("#event").inner_text()
        expect(page.locator("#event")).not_to_have_text(first)
        expect(page.locator("#closed")).to_be_empty()
        watch.expects("ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION", "status of 401", "/events")
        live.garrison.apply({"users": [{"username": person, "active": False}]})
        expect(page.locator("#closed")).to_contain_text("1008", timeout=SOON)
        expect(page.locator("#lost")).to_have_text("lost", timeout=SOON)


def test_each_application_shows_its_own_certificate(browser: Browser, live: Live) -> None:
    person = live.person("xaver")
    with profile(browser, live.hosts) as (context, _):
        page = context.new_page()
        page.goto(live.urls["live"] + "/")
        fill_sign_in(page, person)
        for name in NAMES:
            answer = page.goto(live.urls[name] + "/")
            assert answer is not None
            details = answer.security_details()
            assert details is not None
            assert (details.get("subjectName"), details.get("protocol")) == (f"{name}.example.test", "TLS 1.3")
            expect(page.locator("#who")).to_have_text(person)

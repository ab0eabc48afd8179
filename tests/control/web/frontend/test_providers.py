"""Providers in mode proxy in a browser: readable everywhere, and made with and without JavaScript."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from control.domain.application import ProxyMode, ProxyProvider
from control.fleet.certificates import generate_certificate
from control.fleet.proxy_providers import create_proxy_provider
from control.store import Store
from tests.control.web.frontend.serving import DESK, EACH_LOOK, PHONE, Look, Served, serving, unreadable
from tests.support.site import Site
from tests.support.stores import ADMIN

pytestmark = pytest.mark.interop

LIST = "/admin/providers/"
LONG = "a-rather-long-name-for-the-warehouse-in-rotterdam-north"
HOST = f"{LONG}.example.com"


def furnish(store: Store) -> tuple[str, ...]:
    """A provider with all that can be long, and a bare one; the addresses that show them."""
    with store.write(ADMIN) as unit:
        generate_certificate(unit, {"name": LONG, "common_name": "app.internal"})
        proxied = {"mode": "proxy", "internal_host_certificate": LONG, "internal_host_authorities": LONG}
        proxied |= {
            "internal_host_header": HOST,
            "internal_host_server_name": HOST,
            "skip_path_regex": f"^/{LONG}{LONG}",
        }
        addresses = [f"https://{number}.{HOST}:8443/{LONG}/{LONG}" for number in range(3)]
        full = create_proxy_provider(
            unit,
            {"name": LONG, "external_host": f"https://{HOST}", "internal_host": addresses, **proxied},
            "http://localhost",
        )
        bare = create_proxy_provider(
            unit,
            {
                "name": "W" * 150,
                "mode": "proxy",
                "external_host": "http://bare.example.com:8080",
                "internal_host": "https://127.0.0.1",
                "internal_host_ssl_validation": False,
            },
            "http://localhost",
        )
    return LIST, f"{LIST}{full.id}/", f"{LIST}{full.id}/edit", f"{LIST}{bare.id}/", f"{LIST}new/proxy"


@pytest.fixture
def served(site: Site) -> Iterator[Served]:
    with serving(site, furnish(site.store)) as served:
        yield served


def named(site: Site, name: str) -> ProxyProvider:
    with site.store.read() as unit:
        return unit.proxy_providers.get_named(name)


@EACH_LOOK
def test_every_word_can_be_read(browser: Browser, served: Served, look: Look) -> None:
    assert unreadable(browser, served, look) == {}


def fill_in(page: Page, name: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("External host").fill(f"https://{name}.example.com")


def test_what_mode_proxy_needs_is_asked_for_where_it_is_chosen(browser: Browser, served: Served, site: Site) -> None:
    with served.signed_in(browser.new_context(viewport=DESK)) as context:
        page = context.new_page()
        page.goto(f"{served.url}{LIST}")
        page.get_by_role("link", name="Create").first.click()
        page.get_by_role("link", name="Proxy").click()
        internal = page.get_by_label("Internal host")
        expect(internal).to_be_hidden()
        page.get_by_label("Forward auth, one application").press("ArrowDown")
        expect(internal).to_be_hidden()
        page.get_by_label("Forward auth, whole domain").press("ArrowDown")
        expect(internal).to_be_visible()
        expect(page.get_by_label("Host header")).to_be_hidden()
        page.get_by_text("How the application is reached").click()
        page.get_by_label("Host header").fill("shop internal")
        fill_in(page, "shop")
        internal.fill("http://10.0.0.5:3000\nhttp://10.0.0.6:3000")
        page.locator("#modal").get_by_role("button", name="Create").click()
        expect(page.get_by_text("is no host name")).to_be_visible()
        page.get_by_label("Host header").fill("shop.internal")
        page.locator("#modal").get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", name="From the outpost to the application")).to_be_visible()
    made = named(site, "shop")
    assert (made.mode, made.internal_host_header) == (ProxyMode.PROXY, "shop.internal")
    assert made.internal_host == "http://10.0.0.5:3000\nhttp://10.0.0.6:3000"


def test_without_javascript_every_field_is_there(browser: Browser, served: Served, site: Site) -> None:
    with served.signed_in(browser.new_context(viewport=PHONE, java_script_enabled=False)) as context:
        page = context.new_page()
        page.goto(f"{served.url}{LIST}new/proxy")
        fill_in(page, "shop")
        page.get_by_text("An outpost stands before").click()
        page.get_by_label("Internal host").fill("unix:///run/shop.sock")
        page.get_by_text("How the application is reached").click()
        page.get_by_label("Most connections").fill("8")
        page.get_by_role("button", name="Create").click()
        expect(page.locator("main")).to_contain_text("unix:///run/shop.sock")
    assert (named(site, "shop").mode, named(site, "shop").internal_host_connections) == (ProxyMode.PROXY, 8)

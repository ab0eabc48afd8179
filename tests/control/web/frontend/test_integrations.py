"""Integrations and deployments in a browser: readable everywhere, live, by keyboard alone, without JavaScript."""

from functools import partial

import pytest
from playwright.sync_api import Browser, Page, expect

from control.domain.integration import DeploymentState
from control.domain.outpost import Outpost
from control.domain.task import TaskKind, TaskState
from control.fleet.outposts import create_outpost
from control.store import Store
from tests.control.web.frontend.serving import DESK, EACH_LOOK, Look, serving, unreadable
from tests.support.deployments import deploy, host_key, make_integration, place, set_health
from tests.support.peers_program import eventually
from tests.support.runs import begin, finish, queue
from tests.support.site import Site
from tests.support.stores import ADMIN, Clock

pytestmark = pytest.mark.interop

ADMIN_PAGES = "/admin"
LIST = f"{ADMIN_PAGES}/integrations/"
LONG = "a-rather-long-name-for-the-warehouse-in-rotterdam-north"
TROUBLE = {"detail": f"POST /containers/create: HTTP 403 {LONG}/{LONG}/{LONG}"}
DIFFERENCE = {"path": "image", "wanted": LONG, "found": LONG}


def outpost_named(store: Store, name: str) -> Outpost:
    with store.write(ADMIN) as unit:
        return create_outpost(unit, {"name": name, "type": "proxy", "providers": []})


def furnish(store: Store, clock: Clock) -> tuple[str, ...]:
    """Engines and deployments in every state; the addresses that show them."""
    well = make_integration(store, LONG)
    away = make_integration(store, f"{LONG} away", url=f"tcp://{LONG}.example.com:2375")
    other = make_integration(store, f"{LONG} ssh", url=f"ssh://{LONG}@{LONG}.example.com")
    limited, lacking, fresh = (make_integration(store, name) for name in ("limited", "lacking", "fresh"))
    set_health(store, well)
    set_health(store, away, healthy=False, error="engine_away", **TROUBLE)
    keys = {"host_key": host_key("a"), "offered_key": host_key("b"), "detail": host_key("b")}
    set_health(store, other, healthy=False, error="host_key_changed", **keys)
    set_health(store, limited, missing=("images pull",))
    set_health(store, lacking, healthy=False, error="permissions_missing", missing=("containers kill",))
    outposts = []
    for state in DeploymentState:
        outpost = place(store, outpost_named(store, f"{LONG} {state.value}"), well)
        is_well = state in {DeploymentState.PENDING, DeploymentState.DEPLOYED}
        told = {} if is_well else {"error": "not_allowed", **TROUBLE}
        deploy(store, outpost, away if state is DeploymentState.LEAVING else well, state=state, **told)
        outposts.append(outpost)
    moved, deployed = outposts[-1], outposts[1]
    plan = [{"action": "replace", "beside": False, "component": "outpost", "name": LONG, "differences": [DIFFERENCE]}]
    finish(store, queue(store, TaskKind.DEPLOY, deployed.id, LONG), result={"applied": plan})
    clock.advance(minutes=1)
    finish(store, queue(store, TaskKind.PREVIEW, deployed.id, LONG, LONG), result={"plan": plan})
    finish(store, queue(store, TaskKind.DEPLOY, moved.id, LONG), TaskState.FAILED, error="not_allowed", values=TROUBLE)
    begin(store, queue(store, TaskKind.CHECK, away.id, LONG, LONG))
    engines = (
        *(f"{LIST}{each.id}/" for each in (well, away, other, limited, lacking, fresh)),
        f"{LIST}{other.id}/trust/",
    )
    forms = (f"{LIST}new", f"{LIST}new/docker?url=ssh://", f"{LIST}{well.id}/edit", f"{LIST}{well.id}/delete")
    pages = [f"{ADMIN_PAGES}/outposts/{each.id}/" for each in outposts]
    asked = (f"{pages[1]}deployment/deploy", f"{pages[0]}delete", f"{pages[0]}edit", f"{ADMIN_PAGES}/outposts/")
    return (LIST, *engines, *forms, *pages, *asked)


@EACH_LOOK
def test_every_word_can_be_read(browser: Browser, site: Site, clock: Clock, look: Look) -> None:
    with serving(site, furnish(site.store, clock)) as served:
        assert unreadable(browser, served, look) == {}


def _are_shown(page: Page, names: tuple[str, ...], expected: set[str]) -> bool:
    """Whether these controls, and no others of `names`, are there to be filled in."""
    return {name for name in names if page.locator(f"[name={name}]").is_visible()} == expected


def test_an_integration_by_keyboard_alone(browser: Browser, site: Site) -> None:
    selects = ("tls_verification", "tls_authentication")
    with serving(site) as served, served.signed_in(browser.new_context(viewport=DESK)) as context:
        page = context.new_page()
        page.goto(served.url + LIST)
        page.get_by_role("link", name="Create").first.focus()
        page.keyboard.press("Enter")
        dialog = page.locator("#modal")
        expect(dialog.get_by_text("over SSH")).to_be_visible()
        # By then its links open in the dialog; before, on a page of their own.
        expect(page.locator("#modal .htmx-added, #modal.htmx-added")).to_have_count(0)
        dialog.get_by_role("link", name="over SSH").focus()
        page.keyboard.press("Enter")
        expect(dialog.locator("[name=url]")).to_have_value("ssh://")
        eventually(partial(_are_shown, page, selects, {"tls_authentication"}), "fields follow the address")
        for url, expected in (("tcp://127.0.0.1:2376", set(selects)), ("unix:///run/docker.sock", set())):
            dialog.locator("[name=url]").fill(url)
            eventually(partial(_are_shown, page, selects, expected), "fields follow what is typed")
        dialog.locator("[name=name]").focus()
        page.keyboard.type("rack")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("rack")
        expect(page.locator("#checking")).to_have_text("About to be checked…")


def test_without_javascript_every_field_is_there(browser: Browser, site: Site) -> None:
    with serving(site) as served, served.signed_in(browser.new_context(java_script_enabled=False)) as context:
        page = context.new_page()
        page.goto(served.url + LIST)
        page.get_by_role("link", name="Create").first.click()
        page.get_by_role("link", name="over TLS").click()
        expect(page.locator("[name=tls_verification]")).to_be_visible()
        expect(page.locator("[name=tls_authentication]")).to_be_visible()
        page.locator("[name=name]").fill("rack")
        page.locator("[name=url]").fill("unix:///run/docker.sock")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("rack")


def test_a_preview_is_followed_on_the_page(browser: Browser, site: Site) -> None:
    rack = make_integration(site.store)
    outpost = place(site.store, outpost_named(site.store, "edge"), rack)
    deploy(site.store, outpost, rack)
    with serving(site) as served, served.signed_in(browser.new_context(viewport=DESK)) as context:
        page = context.new_page()
        page.goto(f"{served.url}{ADMIN_PAGES}/outposts/{outpost.id}/")
        page.locator("#preview").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#working")).to_have_text("waits for its turn")
        with site.store.read() as unit:
            run = unit.runs.latest(TaskKind.PREVIEW, outpost.id)
        assert run is not None
        running = begin(site.store, run)
        expect(page.locator("#working")).to_contain_text("being compared")
        finish(site.store, running, result={"plan": []})
        expect(page.locator("#plan")).to_contain_text("Nothing to do")
        expect(page.locator("#preview")).to_be_focused()

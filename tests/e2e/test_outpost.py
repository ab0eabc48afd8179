"""An administrator creates an outpost in the interface, starts it as the page says, and sees it live."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.stage import Stage, fill_sign_in
from tests.support.browser import Watch, pasted
from tests.support.browser_http import Visitor
from tests.support.garrison import GARRISON
from tests.support.peers_http import ask
from tests.support.peers_program import Program, eventually, free_port, plain_environment

pytestmark = pytest.mark.interop


@pytest.fixture
def shells() -> Iterator[list[Program]]:
    """Programs that a test started by a shell text."""
    started: list[Program] = []
    yield started
    for program in started:
        program.kill()


def run_snippet(text: str, stage: Stage, shells: list[Program]) -> Program:
    """Execute what the page shows, letter by letter; only the ports come from the environment."""
    home = stage.folder / "home"
    home.mkdir(exist_ok=True)
    environment = {
        "HOME": str(home),
        "PATH": f"{Path(GARRISON).parent}{os.pathsep}{plain_environment()['PATH']}",
        "AUTHENTIK_LISTEN__HTTP": f"127.0.0.1:{stage.shop_port}",
        "AUTHENTIK_LISTEN__HTTPS": f"127.0.0.1:{free_port()}",
        "AUTHENTIK_LISTEN__METRICS": f"127.0.0.1:{free_port()}",
    }
    program = Program("outpost of the snippet", ["bash", "-euc", text], environment)
    shells.append(program)
    return program


def fill_create_form(page: Page, stage: Stage) -> None:
    """Through the modal's refusals to a good form."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.locator(".is-invalid").first).to_be_visible()
    dialog.get_by_label("Name").fill("shopfront")
    dialog.get_by_role("checkbox", name="Shop").check()
    if not dialog.locator("[name=config]").is_visible():
        dialog.get_by_text("Advanced settings").click()
    dialog.locator("[name=config]").fill("log_level: info\nno_such_option: 1\n")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.locator("[name=config]")).to_have_class("form-control g-editor is-invalid")
    expect(dialog).to_contain_text("no_such_option")
    # This machine's programs can't look up the names that the browser knows.
    local = f"http://127.0.0.1:{stage.garrison.http}"
    dialog.locator("[name=config]").fill(f"authentik_host: {local}\nauthentik_host_browser: {stage.garrison.url}\n")
    dialog.get_by_role("button", name="Create").click()


def test_from_create_to_a_person_at_the_application(
    page: Page, watch: Watch, stage: Stage, shells: list[Program]
) -> None:
    watch.expects("status of 422")
    stage.sign_in(page, "/admin/outposts/")
    page.get_by_role("link", name="Create").click()
    fill_create_form(page, stage)

    expect(page.get_by_role("heading", level=1)).to_have_text("shopfront")
    token = page.get_by_label("AUTHENTIK_TOKEN")
    page.get_by_role("button", name="Show token").click()
    expect(token).to_have_attribute("type", "password")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(token).to_have_attribute("type", "text")
    token.locator("xpath=..").get_by_role("button", name="Copy").click()
    assert pasted(page) == token.input_value() == stage.garrison.token("shopfront")

    page.get_by_role("link", name="Command line").or_(page.get_by_role("tab", name="Command line")).click()
    text = page.locator("#text-command").inner_text()
    assert token.input_value() in text
    page.evaluate("window.notReloaded = true")
    program = run_snippet(text, stage, shells)
    instances = page.locator("#instances")
    expect(instances).to_contain_text("Connected")
    assert not program.ended()

    shop = stage.sites["shop"]
    # Connected comes a moment before the first configuration is in force.
    eventually(lambda: Visitor().get(shop.url + "/", follow=0).status == 302, "the outpost serves", within=3)
    person = page.context.browser.new_context(ignore_https_errors=True) if page.context.browser else None
    assert person is not None
    visiting = person.new_page()
    visiting.goto(shop.url + "/")
    fill_sign_in(visiting, "alice")
    expect(visiting.locator("body")).to_contain_text('"alice"')
    person.close()

    program.process.terminate()
    expect(instances).to_contain_text("Disconnected")
    assert page.evaluate("window.notReloaded"), "the page had to be reloaded to show what is"


def test_a_setting_changed_in_the_interface_is_live_at_the_outpost(page: Page, stage: Stage) -> None:
    wiki = stage.sites["wiki"]
    assert Visitor().get(wiki.url + "/open/day", follow=0).status == 302
    stage.sign_in(page, "/admin/providers/")
    page.get_by_role("link", name="wiki", exact=True).click()
    page.get_by_role("link", name="Edit").first.click()
    dialog = page.get_by_role("dialog")
    dialog.locator("[name=skip_path_regex]").fill("^/open/")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).not_to_be_visible()
    eventually(lambda: Visitor().get(wiki.url + "/open/day", follow=0).status == 200, "the change is live", within=2)
    assert Visitor().get(wiki.url + "/closed", follow=0).status == 302


def test_the_list_shows_health_without_a_reload(page: Page, stage: Stage) -> None:
    stage.sign_in(page, "/admin/outposts/")
    row = page.get_by_role("row").filter(has_text="edge")
    expect(row).to_contain_text("Healthy")
    assert ask(stage.outpost.metrics, "/metrics").status == 200

"""An administrator watches an outpost live and die in the interface, drains it, rotates its token and the authority."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.stage import Stage
from tests.support.garrison import Outpost
from tests.support.peers_program import eventually

pytestmark = pytest.mark.interop

Starter = Callable[[str], Outpost]


@pytest.fixture
def start(stage: Stage) -> Iterator[Starter]:
    """Makes an outpost of that name and starts an instance of it."""
    started: list[Outpost] = []

    def start(name: str) -> Outpost:
        stage.garrison.apply({"outposts": [{"name": name, "type": "proxy"}]})
        started.append(Outpost(stage.garrison, name, stage.folder / name))
        return started[-1].start()

    yield start
    for outpost in started:
        if not outpost.program.ended():
            outpost.stop()


def open_outpost(page: Page, stage: Stage, name: str) -> None:
    """Sign in, and on to the page of an outpost."""
    stage.sign_in(page, "/admin/outposts/")
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.evaluate("window.notReloaded = true")


def open_instance(page: Page, stage: Stage, name: str) -> None:
    """On to the page of its only instance."""
    open_outpost(page, stage, name)
    page.locator("#instances tbody a").first.click()
    expect(page.locator("#instance")).to_contain_text("Connected")
    page.evaluate("window.notReloaded = true")


def test_history_appears_as_it_happens(page: Page, stage: Stage, start: Starter) -> None:
    outpost = start("harbour")
    open_instance(page, stage, "harbour")
    moments = page.locator(".g-moment .fw-medium")
    expect(moments).to_have_text(["Connected"])
    outpost.stop()
    expect(moments.first).to_have_text("Disconnected")
    expect(page.get_by_role("link", name="Forget")).to_be_visible()
    outpost.start()
    expect(moments.first).to_have_text("Connected")
    expect(page.get_by_role("link", name="Drain")).to_be_visible()
    page.get_by_role("link", name="Drain").focus()
    outpost.stop()
    expect(moments.first).to_have_text("Disconnected")
    assert page.evaluate("window.notReloaded"), "the page had to be reloaded to show what is"
    page.get_by_role("link", name="Forget").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("harbour")
    expect(page.locator("#instances")).to_contain_text("No instance has connected yet")


def test_draining_by_button_ends_the_outpost(page: Page, stage: Stage, start: Starter) -> None:
    outpost = start("quay")
    open_instance(page, stage, "quay")
    page.get_by_role("link", name="Drain").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("finishes what is in flight")
    dialog.get_by_role("button", name="Drain").click()
    expect(page.get_by_role("status").first).to_contain_text("was asked to finish")
    eventually(outpost.program.ended, "the outpost ends", within=20)
    assert outpost.program.process.returncode == 0
    expect(page.locator("#instance")).to_contain_text("Disconnected")
    expect(page.locator(".g-moment")).to_contain_text(["Disconnected", "Began to drain", "Connected"])


def test_rotating_and_retiring_by_button(page: Page, stage: Stage, start: Starter) -> None:
    outpost = start("pier")
    old = stage.garrison.token("pier")
    open_outpost(page, stage, "pier")
    card = page.locator("#token")
    card.get_by_role("link", name="Rotate").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    expect(card).to_contain_text("1 instance still starts with the old token")
    expect(card).to_contain_text("has the new one in its state folder")
    expect(page.locator("#instances")).to_contain_text("old token")
    assert stage.garrison.token("pier") != old

    page.evaluate("window.notReloaded = true")
    outpost.stop()
    outpost.start()
    expect(card).to_contain_text("The old one can be retired")
    assert page.evaluate("window.notReloaded")
    card.get_by_role("link", name="Retire the old token").click()
    page.get_by_role("dialog").get_by_role("button", name="Retire").click()
    expect(page.get_by_role("status").first).to_contain_text("was retired")
    expect(card.get_by_role("link", name="Rotate")).to_be_visible()
    expect(page.locator("#instances")).to_contain_text("Connected")
    assert not outpost.program.ended()


def test_the_shown_token_stands_in_the_text_one_was_reading(page: Page, stage: Stage) -> None:
    open_outpost(page, stage, "edge")
    page.get_by_role("tab", name="Compose").click()
    expect(page.locator("#text-compose")).to_contain_text("PASTE-THE-TOKEN-HERE")
    page.get_by_role("button", name="Show token").click()
    expect(page.locator("#text-compose")).to_contain_text(stage.garrison.token("edge"))
    expect(page.locator("#text-compose")).to_be_visible()


def test_rotating_the_authority_interrupts_nobody(page: Page, stage: Stage) -> None:
    stage.sign_in(page, "/admin/trust/")
    rows = page.get_by_label("Authorities").get_by_role("row")
    expect(rows).to_have_count(2)
    expect(page.get_by_label("Link processes")).to_contain_text("last seen")
    page.get_by_role("link", name="Rotate authority").click()
    expect(page.get_by_role("dialog")).to_contain_text("3 days")
    page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("Signs")
    expect(rows.nth(2)).to_contain_text("signs no more")
    page.goto(f"{stage.garrison.url}/admin/outposts/")
    expect(page.get_by_role("row").filter(has_text="edge")).to_contain_text("Healthy")

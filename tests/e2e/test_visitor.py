"""People at applications behind nginx: let in, refused, signed out, by keyboard, in the dark and on a phone."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.stage import PASSWORD, Stage, fill_sign_in
from tests.support.browser import PHONE, Watch, profile
from tests.support.garrison import ADMIN, ADMIN_PASSWORD

pytestmark = pytest.mark.interop

# Drawn, because styles may say it in any colour space.
BACKGROUND = """() => {
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""


def received(page: Page) -> dict[str, str]:
    """The headers that the application received, as it shows them."""
    page.wait_for_load_state()
    answer: dict[str, Any] = json.loads(page.locator("body").inner_text())
    return {name.lower(): value for name, value in answer["headers"]}


def test_alice_reaches_the_application_and_the_next_one_without_a_password(page: Page, stage: Stage) -> None:
    wiki, board = stage.sites["wiki"], stage.sites["board"]
    page.goto(wiki.url + "/page?one=1&two=2")
    expect(page).to_have_title("Sign in · Garrison")
    fill_sign_in(page, "alice")
    expect(page).to_have_url(wiki.url + "/page?one=1&two=2")
    assert received(page)["x-authentik-username"] == "alice"
    page.goto(board.url + "/")
    expect(page).to_have_url(board.url + "/")
    assert received(page)["x-authentik-meta-app"] == "board"


def test_a_wrong_password_is_said_and_the_right_one_still_works(page: Page, watch: Watch, stage: Stage) -> None:
    watch.expects("status of 4")
    page.goto(stage.sites["wiki"].url + "/")
    fill_sign_in(page, "alice", "not her password")
    expect(page.get_by_role("alert").or_(page.locator(".invalid-feedback, .alert")).first).to_be_visible()
    fill_sign_in(page, "alice")
    expect(page).to_have_url(stage.sites["wiki"].url + "/")


def test_bob_is_refused_with_a_page_that_explains(page: Page, watch: Watch, stage: Stage) -> None:
    watch.expects("status of 403")
    page.goto(stage.sites["wiki"].url + "/")
    fill_sign_in(page, "bob")
    expect(page.locator("body")).to_contain_text("Wiki")
    expect(page.locator("body")).to_contain_text("bob")
    assert "headers" not in page.locator("body").inner_text()


def test_signing_out_at_one_application_signs_out_of_all(page: Page, stage: Stage) -> None:
    wiki, board = stage.sites["wiki"], stage.sites["board"]
    page.goto(wiki.url + "/")
    fill_sign_in(page, "alice")
    page.goto(board.url + "/")
    expect(page).to_have_url(board.url + "/")
    page.goto(wiki.own("sign_out"))
    for site in (wiki, board):
        page.goto(site.url + "/")
        expect(page).to_have_title("Sign in · Garrison")


def test_signing_in_by_keyboard_alone(page: Page, stage: Stage) -> None:
    page.goto(stage.sites["wiki"].url + "/")
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type("alice")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(stage.sites["wiki"].url + "/")


def test_people_see_the_applications_they_may_use(page: Page, stage: Stage) -> None:
    page.goto(stage.garrison.url + "/")
    fill_sign_in(page, "alice")
    expect(page.get_by_role("link", name="Wiki")).to_be_visible()
    page.get_by_role("link", name="Wiki").click()
    page.wait_for_url(stage.sites["wiki"].url + "/**")
    assert received(page)["x-authentik-username"] == "alice"


def test_who_has_no_application_is_told_so(page: Page, stage: Stage) -> None:
    page.goto(stage.garrison.url + "/")
    fill_sign_in(page, "bob")
    expect(page.get_by_role("link", name="Wiki")).to_have_count(0)
    expect(page.locator("main")).not_to_be_empty()


def test_no_script_is_needed_to_sign_in(browser: Browser, stage: Stage) -> None:
    with profile(browser, stage.hosts, java_script_enabled=False) as (context, _):
        page = context.new_page()
        page.goto(stage.sites["wiki"].url + "/")
        fill_sign_in(page, "alice")
        expect(page).to_have_url(stage.sites["wiki"].url + "/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, PHONE], ids=["desk", "phone"])
def test_pages_fit_the_screen_in_light_and_dark(
    browser: Browser, stage: Stage, tmp_path: Path, scheme: str, viewport: dict[str, int]
) -> None:
    with profile(browser, stage.hosts, color_scheme=scheme, viewport=viewport) as (context, watch):
        watch.expects("status of 403")
        page = context.new_page()
        page.goto(stage.garrison.url + "/admin/")
        check(page, tmp_path / "sign-in.png", scheme)
        fill_sign_in(page, ADMIN, ADMIN_PASSWORD)
        for path in (
            "",
            "outposts/",
            "outposts/new",
            "providers/",
            "applications/",
            "users/",
            "groups/",
            "tokens/",
            "trust/",
        ):
            page.goto(stage.garrison.url + "/admin/" + path)
            check(page, tmp_path / f"{path.replace('/', '-') or 'overview'}.png", scheme)
        page.goto(stage.garrison.url + "/")
        check(page, tmp_path / "portal.png", scheme)


def check(page: Page, picture: Path, scheme: str) -> None:
    """No sideways scrolling, the right colours, and a picture for who wants to look."""
    page.screenshot(path=picture, full_page=True)
    inside, outside = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert inside <= outside, f"{page.url} is {inside} wide on a screen of {outside} ({picture})"
    shade = page.evaluate(BACKGROUND)
    assert (sum(shade) < 300) == (scheme == "dark"), f"{page.url} is {shade} in {scheme}"

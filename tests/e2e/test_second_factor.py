"""Second factors with a phone of others: the QR code is read off the page, and codes come from another program."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.stage import PASSWORD, Stage, fill_sign_in
from tests.support.browser import PHONE, Watch, pasted, profile
from tests.support.phone import Phone, scan

pytestmark = pytest.mark.interop

CODES = re.compile(r"[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}")


def somebody(stage: Stage, name: str, **group: object) -> None:
    """A person of the test's own, in a group of the test's own."""
    groups = [{"name": f"as {name}", **group}]
    user = {"username": name, "name": name.title(), "password": PASSWORD, "groups": [f"as {name}", "staff"]}
    stage.garrison.apply({"groups": groups, "users": [user]})


def enrol(page: Page, folder: Path, name: str = "Phone") -> tuple[Phone, list[str]]:
    """From the page that asks for a name to the recovery codes."""
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Continue").click()
    picture = folder / "qr.png"
    page.get_by_role("img", name="QR code").screenshot(path=picture)
    phone = scan(picture)
    give(page, phone.code(), "Confirm")
    expect(page.get_by_role("heading", name="Save your recovery codes")).to_be_visible()
    return phone, CODES.findall(page.locator("#recovery-codes").inner_text())


def give(page: Page, code: str, button: str = "Continue") -> None:
    """Type a code and send it."""
    page.get_by_role("textbox", name="Code").fill(code)
    page.get_by_role("button", name=button).click()


def forget(page: Page) -> None:
    """Without cookies from here on; the page before is left first, since it may still be asking for its icon."""
    page.goto("about:blank")
    page.context.clear_cookies()


def downloaded(page: Page, saved: Path) -> list[str]:
    """The recovery codes in the file that the page gives."""
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    download.value.save_as(saved)
    return CODES.findall(saved.read_text())


def test_a_phone_is_enrolled_and_asked_for_ever_after(page: Page, watch: Watch, stage: Stage, tmp_path: Path) -> None:
    watch.expects("status of 422")
    somebody(stage, "frieda")
    home = stage.garrison.url
    page.goto(f"{home}/account/second-factors")
    fill_sign_in(page, "frieda")
    page.get_by_role("link", name="Set up an app").click()
    phone, codes = enrol(page, tmp_path)
    assert (phone.label, phone.issuer) == (f"Garrison:frieda@{stage.garrison.host}", "Garrison")
    assert len(set(codes)) == 10
    assert downloaded(page, tmp_path / "codes.txt") == codes
    page.get_by_role("button", name="Copy").click()
    assert CODES.findall(pasted(page)) == codes
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_text("10 of 10 left")).to_be_visible()

    forget(page)
    wiki = stage.sites["wiki"].url + "/page"
    page.goto(wiki)
    fill_sign_in(page, "frieda")
    expect(page.get_by_role("textbox", name="Code")).to_be_focused()
    expect(page.locator("main")).to_contain_text("Wiki")
    give(page, "000000")
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    code = phone.code()
    give(page, code)
    expect(page).to_have_url(wiki)

    forget(page)
    page.goto(home + "/")
    fill_sign_in(page, "frieda")
    give(page, code)
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    page.get_by_role("link", name="Use a recovery code").click()
    give(page, codes[0].upper().replace("-", " "))
    expect(page).to_have_url(home + "/")
    page.goto(f"{home}/account/second-factors")
    expect(page.get_by_text("9 of 10 left")).to_be_visible()


def test_whose_group_asks_sets_a_phone_up_on_the_way_to_an_application_without_a_script(
    browser: Browser, stage: Stage, tmp_path: Path
) -> None:
    somebody(stage, "gustav", second_factor=True)
    wiki = stage.sites["wiki"].url + "/page"
    with profile(browser, stage.hosts, java_script_enabled=False, viewport=PHONE, color_scheme="dark") as (context, _):
        page = context.new_page()
        page.goto(wiki)
        fill_sign_in(page, "gustav")
        expect(page.get_by_role("heading", name="Set up an authenticator app")).to_be_visible()
        page.goto(stage.garrison.url + "/account/app-passwords")
        expect(page.get_by_role("heading", name="Set up an authenticator app")).to_be_visible()
        page.goto(wiki)
        phone, _codes = enrol(page, tmp_path)
        page.get_by_role("link", name="I have saved them").click()
        expect(page).to_have_url(wiki)
        assert phone.label.startswith("Garrison:gustav")


def test_an_app_password_is_made_shown_once_and_revoked(page: Page, stage: Stage) -> None:
    somebody(stage, "hedwig")
    url = f"{stage.garrison.url}/account/app-passwords"
    page.goto(url)
    fill_sign_in(page, "hedwig")
    page.get_by_role("link", name="Create an app password").click()
    page.get_by_label("Name").fill("Mail on the laptop")
    page.get_by_text("Only some").click()
    page.get_by_label("Wiki").check()
    page.get_by_role("button", name="Create").click()
    secret = page.get_by_label("App password", exact=True).input_value()
    assert re.fullmatch("[a-z2-7]{24}", secret)
    page.get_by_role("button", name="Copy").last.click()
    assert pasted(page) == secret
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("row", name="Mail on the laptop")).to_contain_text("Wiki")
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("was revoked")).to_be_visible()
    expect(page.get_by_text("No app passwords yet")).to_be_visible()

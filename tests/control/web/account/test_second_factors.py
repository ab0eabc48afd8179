"""The own second factors: listed, renamed, removed against proof, recovery codes renewed."""

import re
from dataclasses import replace

import pytest

from control.domain.factors import Authenticator
from tests.support.auth import PASSWORD
from tests.support.second_factors import code_of, enrol
from tests.support.site import Site
from tests.support.stores import ADMIN, Clock
from tests.support.web import Browser

LIST = "/account/second-factors"


@pytest.fixture
def app(site: Site) -> Authenticator:
    return enrol(site.store, site.world.alice.id)[0]


@pytest.fixture
def browser(site: Site, app: Authenticator, clock: Clock) -> Browser:
    """Alice's, after both steps; her next code is a fresh one."""
    found = site.browser()
    found.sign_in("alice", PASSWORD)
    assert found.submit("/sign-in/code", code=code_of(site.store, app.id)).status_code == 303
    clock.advance(seconds=30)
    return found


def apps(site: Site) -> list[str]:
    with site.store.read() as unit:
        return [each.name for each in unit.authenticators.of_user(site.world.alice.id)]


def test_an_app_is_renamed(site: Site, app: Authenticator, browser: Browser) -> None:
    url = f"{LIST}/{app.id}/rename"
    assert browser.submit(url, name="Old phone").headers["Location"] == LIST
    assert apps(site) == ["Old phone"]
    assert browser.submit(url, name="").status_code == 422


@pytest.mark.parametrize("by", ["password", "code", "recovery"])
def test_removing_asks_who_it_is(site: Site, app: Authenticator, browser: Browser, by: str) -> None:
    url = f"{LIST}/{app.id}/remove"
    for wrong in ("", "nonsense", "000000"):
        answer = browser.submit(url, proof=wrong)
        assert answer.status_code == 422
        assert "That is not your password or a code" in answer.text
    assert apps(site) == ["Phone"]
    codes = recovery_codes(browser)
    proof = {"password": PASSWORD, "code": code_of(site.store, app.id), "recovery": codes[0]}[by]
    assert browser.submit(url, proof=proof).headers["Location"] == LIST
    assert apps(site) == []
    assert "No second factor yet" in browser.get(LIST).text
    with site.store.read() as unit:
        assert unit.recovery_codes.of_user(site.world.alice.id) == []


def recovery_codes(browser: Browser) -> list[str]:
    page = browser.submit(f"{LIST}/recovery-codes").text
    return re.findall(r"[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}", page.split("</pre>")[0])


def test_guessing_at_an_open_session_is_stopped(site: Site, app: Authenticator, browser: Browser) -> None:
    url = f"{LIST}/{app.id}/remove"
    for _ in range(5):
        browser.submit(url, proof="nonsense")
    answer = browser.submit(url, proof=PASSWORD)
    assert answer.status_code == 422
    assert "try again in 15 seconds" in answer.text
    assert apps(site) == ["Phone"]


def test_removing_the_last_one_says_what_follows(site: Site, app: Authenticator, browser: Browser) -> None:
    url = f"{LIST}/{app.id}/remove"
    assert "password alone" in browser.get(url).text
    with site.store.write(ADMIN) as unit:
        unit.groups.update(replace(unit.groups.get(site.world.staff.id), second_factor=True))
    assert "asks for a second factor" in browser.get(url).text
    enrol(site.store, site.world.alice.id, "Tablet")
    page = browser.get(url).text
    assert "asks for a second factor" not in page
    assert "recovery codes" not in page.split("card-body")[1]


def test_after_the_last_one_a_new_one_is_asked_for_where_a_group_does(
    site: Site, app: Authenticator, browser: Browser
) -> None:
    with site.store.write(ADMIN) as unit:
        unit.groups.update(replace(unit.groups.get(site.world.staff.id), second_factor=True))
    browser.submit(f"{LIST}/{app.id}/remove", proof=PASSWORD)
    again = site.browser()
    again.sign_in("alice", PASSWORD)
    assert again.get("/").headers["Location"] == "/step-up?next=/"


def test_recovery_codes_are_renewed_and_shown_once(site: Site, app: Authenticator, browser: Browser) -> None:
    first, second = recovery_codes(browser), recovery_codes(browser)
    assert len(first) == len(second) == 10
    assert not set(first) & set(second)
    page = browser.get(LIST).text
    assert not any(code in page for code in second)
    stranger = site.browser()
    stranger.sign_in("alice", PASSWORD)
    assert stranger.submit("/sign-in/code", code=first[0]).status_code == 422
    assert stranger.submit("/sign-in/code", code=second[0]).status_code == 303
    assert "<strong>9</strong> of 10" in browser.get(LIST).text
    assert app.name in page


def test_renewing_takes_a_fresh_sign_in(browser: Browser, clock: Clock) -> None:
    form = browser.form(f"{LIST}/recovery-codes")
    clock.advance(minutes=11)
    where = f"/sign-in?next={LIST}/recovery-codes&again=1"
    assert browser.get(f"{LIST}/recovery-codes").headers["Location"] == where
    assert "to be sure that it is you" in browser.get(where).text
    assert browser.client.post(f"{LIST}/recovery-codes", data=form.fields).headers["Location"] == where


def test_renewing_without_an_app_is_refused(site: Site) -> None:
    answer = site.browser(site.world.bob).submit(f"{LIST}/recovery-codes")
    assert answer.status_code == 422
    assert "authenticator app" in answer.text


def test_the_app_of_another_is_not_there(site: Site, app: Authenticator, browser: Browser) -> None:
    other, _ = enrol(site.store, site.world.bob.id, "Bob's")
    fields = browser.form(f"{LIST}/{app.id}/remove").fields
    for action in ("rename", "remove"):
        url = f"{LIST}/{other.id}/{action}"
        assert browser.get(url).status_code == 404
        assert browser.client.post(url, data={**fields, "name": "x", "proof": PASSWORD}).status_code == 404
    with site.store.read() as unit:
        assert unit.authenticators.get(other.id) == other
    assert "Bob" not in browser.get(LIST).text


def test_few_codes_left_are_told(site: Site, browser: Browser) -> None:
    codes = recovery_codes(browser)
    with site.store.write(ADMIN) as unit:
        for known in unit.recovery_codes.of_user(site.world.alice.id)[:9]:
            unit.recovery_codes.spend(site.world.alice.id, known.fingerprint)
    assert "better renew them" in browser.get(LIST).text
    with site.store.write(ADMIN) as unit:
        for known in unit.recovery_codes.of_user(site.world.alice.id):
            unit.recovery_codes.spend(site.world.alice.id, known.fingerprint)
    assert "None left" in browser.get(LIST).text
    assert len(codes) == 10

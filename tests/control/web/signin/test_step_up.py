"""Sessions that were opened by less than is asked for: a code, or an app first, and then on."""

from dataclasses import replace
from urllib.parse import urlencode, urlsplit

import pytest

from control.auth import sessions
from control.domain.factors import Authenticator, Method
from tests.support.auth import PASSWORD, callback
from tests.support.second_factors import code_of, enrol
from tests.support.site import Site
from tests.support.stores import ADMIN, Clock
from tests.support.web import Browser

STEP_UP, ENROL = "/step-up", "/account/second-factors/new"
AUTHORIZE = "/application/o/authorize/"


def ask_of_group(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        unit.groups.update(replace(unit.groups.get(site.world.staff.id), second_factor=True))


def ask_at_wiki(site: Site) -> str:
    with site.store.write(ADMIN) as unit:
        unit.applications.update(replace(site.world.wiki_application, second_factor=True))
    return f"{AUTHORIZE}?{urlencode(site.world.parameters())}"


def secret_of(browser: Browser) -> str:
    found = browser.client.get_cookie("garrison_session")
    assert found is not None
    return found.value


@pytest.fixture
def app(site: Site) -> Authenticator:
    return enrol(site.store, site.world.alice.id)[0]


def test_who_has_an_app_gives_its_code_before_any_page_of_ours(site: Site, app: Authenticator) -> None:
    browser = site.browser(site.world.alice)
    answer = browser.get("/account/password?x=1")
    assert answer.headers["Location"] == f"{STEP_UP}?next=/account/password%3Fx%3D1"
    before = secret_of(browser)
    back = browser.submit(answer.headers["Location"], STEP_UP, code=code_of(site.store, app.id))
    assert (back.status_code, back.headers["Location"]) == (303, "/account/password?x=1")
    assert secret_of(browser) != before
    assert browser.get("/account/password").status_code == 200
    thief = site.browser()
    thief.client.set_cookie("garrison_session", before)
    assert thief.get("/").headers["Location"] == "/sign-in"


def test_a_wrong_code_leads_nowhere(site: Site, app: Authenticator) -> None:
    browser = site.browser(site.world.alice)
    answer = browser.submit(f"{STEP_UP}?next=/there", STEP_UP, code="000000")
    assert answer.status_code == 422
    assert "not valid" in answer.text
    assert "Signed in as alice" in answer.text
    assert browser.get("/").headers["Location"] == f"{STEP_UP}?next=/"
    code = code_of(site.store, app.id)
    assert browser.submit(STEP_UP, code=code).status_code == 303
    assert site.browser(site.world.alice).submit(STEP_UP, code=code).status_code == 422


def test_guessing_is_stopped(site: Site, app: Authenticator, clock: Clock) -> None:
    browser = site.browser(site.world.alice)
    for _ in range(5):
        browser.submit(STEP_UP, code="000000")
    assert browser.submit(STEP_UP, code=code_of(site.store, app.id)).status_code == 429
    clock.advance(seconds=16)
    assert browser.submit(STEP_UP, code=code_of(site.store, app.id)).status_code == 303


def test_whose_group_asks_enrols_before_anything_else(site: Site) -> None:
    ask_of_group(site)
    browser = site.browser()
    browser.submit("/sign-in?next=/account/password", "/sign-in", username="alice", password=PASSWORD)
    assert browser.get("/").headers["Location"] == f"{STEP_UP}?next=/"
    answer = browser.get(f"{STEP_UP}?next=/account/password")
    assert answer.headers["Location"] == f"{ENROL}?next=/account/password"
    assert "before you can go on" in browser.get(answer.headers["Location"]).text
    paste = urlencode(site.world.parameters(site.world.paste))
    assert browser.get(f"{AUTHORIZE}?{paste}").headers["Location"].startswith(f"{STEP_UP}?next={AUTHORIZE}")


def test_administrators_enrol_too(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        (group,) = unit.memberships.groups_of(site.root.id)
        unit.groups.update(replace(unit.groups.get(group), second_factor=True))
    assert site.admin.get("/admin/").headers["Location"] == f"{STEP_UP}?next=/admin/"


def test_an_application_asks_for_a_code(site: Site, app: Authenticator) -> None:
    url = ask_at_wiki(site)
    browser = site.browser(site.world.alice)
    answer = browser.get(url)
    assert (answer.status_code, urlsplit(answer.headers["Location"]).path) == (302, STEP_UP)
    page = browser.get(answer.headers["Location"])
    assert "Wiki" in page.text
    assert "https://wiki.example.com" in page.headers["Content-Security-Policy"]
    back = browser.submit(answer.headers["Location"], STEP_UP, code=code_of(site.store, app.id))
    assert browser.get(back.headers["Location"]).headers["Location"].startswith(callback(site.world.wiki) + "&code=")


def test_an_application_leads_to_enrolment_where_there_is_no_app(site: Site) -> None:
    url = ask_at_wiki(site)
    browser = site.browser(site.world.alice)
    assert browser.get("/").status_code == 200
    answer = browser.get(browser.get(url).headers["Location"])
    assert urlsplit(answer.headers["Location"]).path == ENROL
    with site.store.write(ADMIN) as unit:
        unit.applications.update(site.world.wiki_application)
    assert browser.get(url).headers["Location"].startswith(callback(site.world.wiki))


@pytest.mark.usefixtures("app")
def test_who_has_used_one_goes_on(site: Site) -> None:
    browser = site.browser(site.world.alice)
    with site.store.write(ADMIN) as unit:
        session = sessions.find_session(unit, secret_of(browser))
        assert session is not None
        opened = sessions.step_up(unit, session.sign_in.id, Method.ONE_TIME_CODE)
    browser.client.set_cookie("garrison_session", opened.secret)
    assert browser.get(f"{STEP_UP}?next=/there").headers["Location"] == "/there"


@pytest.mark.parametrize("onward", ["//evil.example.com", "https://evil.example.com/", "/\\evil.example.com", STEP_UP])
def test_nobody_is_sent_elsewhere(site: Site, app: Authenticator, onward: str) -> None:
    browser = site.browser(site.world.alice)
    answer = browser.submit(f"{STEP_UP}?{urlencode({'next': onward})}", STEP_UP, code=code_of(site.store, app.id))
    assert answer.headers["Location"] == "/"


def test_strangers_sign_in(site: Site) -> None:
    assert site.browser().get(f"{STEP_UP}?next=/there").headers["Location"].startswith("/sign-in?next=/step-up")
    browser = site.browser()
    token = browser.form("/sign-in").fields["csrf_token"]
    assert browser.client.post(STEP_UP, data={"csrf_token": token, "code": "000000"}).status_code == 303

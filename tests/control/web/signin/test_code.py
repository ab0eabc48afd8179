"""The second step of a sign-in: nobody is in before the code, and no detour leads around it."""

from http.cookies import SimpleCookie

import pytest
from werkzeug.test import TestResponse

from control.auth.challenges import LIFETIME
from control.domain.factors import Authenticator, Method
from tests.support.auth import PASSWORD
from tests.support.second_factors import code_of, enrol
from tests.support.site import Site
from tests.support.stores import Clock
from tests.support.web import Browser

CODE = "/sign-in/code"
SESSION, PENDING = "garrison_session", "garrison_pending"


@pytest.fixture
def app(site: Site) -> Authenticator:
    return enrol(site.store, site.world.alice.id)[0]


def begin(site: Site, onward: str = "/") -> tuple[Browser, TestResponse]:
    """A browser after the first step."""
    browser = site.browser()
    answer = browser.submit(f"/sign-in?next={onward}", "/sign-in", username="alice", password=PASSWORD)
    assert answer.status_code == 303
    return browser, answer


def cookie(browser: Browser, name: str) -> str | None:
    found = browser.client.get_cookie(name)
    return None if found is None else found.value


def test_the_code_opens_the_session_and_leads_on(site: Site, app: Authenticator) -> None:
    browser, answer = begin(site, "/somewhere?a=b")
    assert answer.headers["Location"] == f"{CODE}?next=/somewhere?a%3Db"
    assert cookie(browser, SESSION) is None
    page = browser.get(answer.headers["Location"]).text
    assert 'autocomplete="one-time-code"' in page
    assert 'inputmode="numeric"' in page
    assert "alice" not in page
    back = browser.submit(answer.headers["Location"], CODE, code=code_of(site.store, app.id))
    assert (back.status_code, back.headers["Location"]) == (303, "/somewhere?a=b")
    assert cookie(browser, PENDING) is None
    assert browser.get("/").status_code == 200
    with site.store.read() as unit:
        (sign_in,) = unit.sign_ins.of_user(site.world.alice.id)
    assert sign_in.methods == (Method.PASSWORD, Method.ONE_TIME_CODE)


def test_the_pending_state_is_no_session_and_hidden_from_scripts(site: Site, app: Authenticator) -> None:
    browser, answer = begin(site)
    (header,) = [text for text in answer.headers.getlist("Set-Cookie") if text.startswith(PENDING)]
    morsel = SimpleCookie(header)[PENDING]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Lax", "/")
    assert int(morsel["max-age"]) == LIFETIME.total_seconds()
    for url in ("/", "/account/password", "/account/second-factors", "/account/second-factors/new", "/step-up"):
        assert browser.get(url).headers["Location"].startswith("/sign-in"), url
    browser.client.set_cookie(SESSION, morsel.value)
    assert browser.get("/").status_code == 303
    with site.store.read() as unit:
        assert unit.sign_ins.of_user(site.world.alice.id) == []
    assert app.name not in answer.text


def test_a_session_that_was_planted_before_is_worth_nothing_after(site: Site, app: Authenticator) -> None:
    browser = site.browser(site.world.bob)
    planted = cookie(browser, SESSION)
    browser.submit("/sign-in?again=1", "/sign-in", username="alice", password=PASSWORD)
    assert cookie(browser, SESSION) == planted
    browser.submit(CODE, code=code_of(site.store, app.id))
    assert cookie(browser, SESSION) not in {planted, None}
    thief = site.browser()
    thief.client.set_cookie(SESSION, planted or "")
    assert thief.get("/").status_code == 303


def test_a_planted_token_is_worth_nothing_after(site: Site, app: Authenticator) -> None:
    browser, _ = begin(site)
    token = browser.form(CODE).fields["csrf_token"]
    browser.submit(CODE, code=code_of(site.store, app.id))
    assert browser.client.post("/sign-out", data={"csrf_token": token}).status_code == 400


def test_a_wrong_code_is_told_and_another_may_be_given(site: Site, app: Authenticator) -> None:
    browser, _ = begin(site, "/there")
    answer = browser.submit(f"{CODE}?next=/there", CODE, code="000000")
    assert answer.status_code == 422
    assert "not valid" in answer.text
    assert 'value="000000"' not in answer.text
    assert 'value="/there"' in answer.text
    assert browser.submit(f"{CODE}?next=/there", CODE, code=code_of(site.store, app.id)).status_code == 303


def test_a_code_opens_one_session(site: Site, app: Authenticator) -> None:
    (first, _), (second, _) = begin(site), begin(site)
    code = code_of(site.store, app.id)
    assert first.submit(CODE, code=code).status_code == 303
    assert second.submit(CODE, code=code).status_code == 422


@pytest.mark.usefixtures("app")
def test_a_link_makes_the_field_one_for_letters(site: Site) -> None:
    browser, _ = begin(site)
    page = browser.get(f"{CODE}?next=/there").text
    letters = f"{CODE}?next=%2Fthere&recovery=1"
    assert f'href="{letters.replace("&", "&amp;")}"' in page
    answer = browser.submit(letters, f"{CODE}?recovery=1", code="abcd-efgh-ijkl")
    assert answer.status_code == 422
    for shown in (browser.get(letters).text, answer.text):
        assert 'inputmode="text"' in shown
        assert "one-time-code" not in shown
        assert f'href="{CODE}?next=%2Fthere"' in shown


def test_a_recovery_code_goes_into_the_same_field_and_is_good_once(site: Site) -> None:
    _, codes = enrol(site.store, site.world.alice.id)
    (first, _), (second, _) = begin(site), begin(site)
    assert first.submit(CODE, code=codes[0]).status_code == 303
    assert second.submit(CODE, code=codes[0]).status_code == 422
    with site.store.read() as unit:
        (sign_in,) = unit.sign_ins.of_user(site.world.alice.id)
    assert sign_in.methods == (Method.PASSWORD, Method.RECOVERY_CODE)


def test_the_codes_of_another_are_worth_nothing(site: Site, app: Authenticator) -> None:
    other, codes = enrol(site.store, site.world.bob.id)
    browser, _ = begin(site)
    for code in (code_of(site.store, other.id), codes[0]):
        assert browser.submit(CODE, code=code).status_code == 422
    assert browser.submit(CODE, code=code_of(site.store, app.id)).status_code == 303


def test_without_a_first_step_there_is_no_second(site: Site, app: Authenticator) -> None:
    browser = site.browser()
    assert browser.get(f"{CODE}?next=/there").headers["Location"] == "/sign-in?next=/there"
    token = browser.form("/sign-in").fields["csrf_token"]
    for state in ("", "nonsense", "A" * 3000):
        browser.client.set_cookie(PENDING, state)
        answer = browser.client.post(CODE, data={"csrf_token": token, "code": code_of(site.store, app.id)})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
        assert cookie(browser, SESSION) is None


@pytest.mark.usefixtures("app")
def test_nothing_is_posted_without_a_token(site: Site) -> None:
    browser, _ = begin(site)
    assert browser.client.post(CODE, data={"code": "000000"}).status_code == 400


def test_the_first_step_is_over_after_a_while(site: Site, app: Authenticator, clock: Clock) -> None:
    browser, _ = begin(site)
    clock.advance(minutes=6)
    form = browser.form("/sign-in")
    browser.client.set_cookie(PENDING, "x")
    fields = {**form.fields, "code": code_of(site.store, app.id), "next": "/there"}
    assert browser.client.post(CODE, data=fields).headers["Location"] == "/sign-in?next=/there"


@pytest.mark.usefixtures("app")
def test_another_account_begins_anew(site: Site) -> None:
    browser, _ = begin(site)
    page = browser.get(f"{CODE}?next=/there").text
    assert 'href="/sign-in?next=/there&amp;again=1"' in page
    browser.get("/sign-in?next=/there&again=1")
    assert cookie(browser, PENDING) is None
    assert browser.get(CODE).headers["Location"] == "/sign-in"


def test_guessing_codes_is_stopped_and_the_wait_is_told(site: Site, app: Authenticator, clock: Clock) -> None:
    browser, _ = begin(site)
    for _ in range(5):
        assert browser.submit(CODE, code="000000").status_code == 422
    answer = browser.submit(CODE, code=code_of(site.store, app.id))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "15")
    assert "15 seconds" in answer.text
    assert cookie(browser, SESSION) is None
    clock.advance(seconds=16)
    assert browser.submit(CODE, code=code_of(site.store, app.id)).status_code == 303

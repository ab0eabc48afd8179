"""Signing in and out as a browser without JavaScript does it, and as attackers would have it."""

import re
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from control.auth import people
from control.auth.passwords import Busy, Passwords
from control.domain.application import ProxyMode
from control.store import Store
from control.web import identity
from control.web.identity import safe_next, sign_in_url
from tests.support import builders
from tests.support.auth import PASSWORD, World, callback, cheap_passwords, make_world
from tests.support.stores import ADMIN, Clock
from tests.support.web import Browser, make_app

COOKIE = "garrison_session"


@pytest.fixture
def world(store: Store) -> World:
    return make_world(store)


@pytest.fixture
def app(world: World, clock: Clock) -> Flask:
    return make_cheap(make_app(world.store, clock))


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


def make_cheap(app: Flask) -> Flask:
    identity.install(app, cheap_passwords())
    return app


def session_of(browser: Browser) -> str | None:
    cookie = browser.client.get_cookie(COOKIE)
    return None if cookie is None else cookie.value


def session_cookie(response: TestResponse) -> SimpleCookie:
    found = [header for header in response.headers.getlist("Set-Cookie") if header.startswith(COOKIE)]
    assert len(found) == 1
    return SimpleCookie(found[0])


def is_signed_in(browser: Browser) -> bool:
    return browser.get("/sign-in").status_code == 303


def authorize_url(world: World) -> str:
    return f"/application/o/authorize/?{urlencode(world.parameters())}"


def test_signing_in_leads_on_with_a_session(browser: Browser) -> None:
    page = browser.get("/sign-in?next=/somewhere?a=b")
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    answer = browser.submit("/sign-in?next=/somewhere?a=b", "/sign-in", username="alice", password=PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/somewhere?a=b")
    morsel = session_cookie(answer)[COOKIE]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"], morsel["secure"]) == (True, "Lax", "/", "")
    assert (morsel["domain"], morsel["max-age"]) == ("", "86400")
    assert is_signed_in(browser)


def test_the_cookie_is_secure_where_browsers_come_by_https(world: World, clock: Clock) -> None:
    browser = Browser(make_cheap(make_app(world.store, clock, url="https://garrison.example.com")))
    form = browser.form("/sign-in")
    # The test client drops Secure cookies on http://localhost, so the form's cookie is sent over https.
    page = browser.client.get("/sign-in", base_url="https://garrison.example.com")
    assert page.status_code == 200
    fields = {name: values[0] for name, values in form.fields.items()}
    fields["csrf_token"] = page.text.split('name="csrf_token" type="hidden" value="')[1].split('"')[0]
    answer = browser.client.post(
        "/sign-in",
        base_url="https://garrison.example.com",
        data={**fields, "username": "alice", "password": PASSWORD},
    )
    assert answer.status_code == 303
    (cookie,) = [header for header in answer.headers.getlist("Set-Cookie") if COOKIE in header]
    assert cookie.startswith(f"__Host-{COOKIE}=")
    assert SimpleCookie(cookie)[f"__Host-{COOKIE}"]["secure"] is True


def test_who_is_signed_in_is_not_asked_again_unless_it_has_to_be_fresh(browser: Browser) -> None:
    browser.sign_in("alice", PASSWORD)
    assert browser.get("/sign-in?next=/x").headers["Location"] == "/x"
    page = browser.get("/sign-in?next=/x&again=1")
    assert page.status_code == 200
    assert 'value="alice"' in page.text


FAILURES = [("alice", "wrong"), ("nobody", PASSWORD), ("nobody", ""), ("", ""), ("alice", "")]


def test_unknown_user_and_wrong_password_get_the_same_answer(browser: Browser) -> None:
    answers = set()
    for username, password in FAILURES:
        answer = browser.submit("/sign-in", username=username, password=password)
        assert session_of(browser) is None
        page = answer.text.replace(f'value="{username}"', 'value=""').replace(" autofocus", "")
        answers.add((answer.status_code, re.sub(r"[A-Za-z0-9_.-]{60,}", "TOKEN", page)))
    assert len(answers) == 1
    ((status, page),) = answers
    assert status == 422
    assert "Username or password is wrong" in page


def test_the_password_is_never_sent_back(browser: Browser) -> None:
    assert "hunter2-hunter2" not in browser.submit("/sign-in", username="alice", password="hunter2-hunter2").text


def test_a_username_is_shown_escaped(browser: Browser) -> None:
    answer = browser.submit("/sign-in", username='"><script>alert(1)</script>', password="x")
    assert "<script>alert" not in answer.text


def test_without_its_token_the_form_is_refused(browser: Browser) -> None:
    form = browser.form("/sign-in")
    typed = {"username": "alice", "password": PASSWORD, "next": "/"}
    for token in ({}, {"csrf_token": "forged"}, {"csrf_token": form.fields["csrf_token"][0][:-1]}):
        answer = browser.client.post("/sign-in", data={**typed, **token})
        assert answer.status_code == 400
        assert session_of(browser) is None


def test_a_form_left_open_in_another_tab_goes_where_it_wanted(browser: Browser) -> None:
    other_tab = browser.form("/sign-in?next=/somewhere", "/sign-in")
    browser.sign_in("alice", PASSWORD)
    old = session_of(browser)
    sent = {name: values[0] for name, values in other_tab.fields.items()}
    answer = browser.client.post("/sign-in", data={**sent, "username": "bob", "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/somewhere")
    assert session_of(browser) == old, "a form with an old token signs nobody else in"


def test_another_browser_s_token_is_refused(app: Flask) -> None:
    mallory, alice = Browser(app), Browser(app)
    token = mallory.form("/sign-in").fields["csrf_token"][0]
    alice.get("/sign-in")
    answer = alice.client.post("/sign-in", data={"username": "bob", "password": PASSWORD, "csrf_token": token})
    assert answer.status_code == 400


def test_ghsa_f24x_5g9q_753f_the_session_changes_at_sign_in(app: Flask) -> None:
    mallory, alice = Browser(app), Browser(app)
    mallory.sign_in("bob", PASSWORD)
    planted = session_of(mallory)
    assert planted
    alice.client.set_cookie(COOKIE, planted)
    alice.submit("/sign-in?again=1", "/sign-in", username="alice", password=PASSWORD)
    assert session_of(alice) not in {None, planted}
    assert not is_signed_in(mallory), "what was planted is worth nothing to who planted it"
    alice_before = session_of(alice)
    alice.submit("/sign-in?again=1", "/sign-in", username="alice", password=PASSWORD)
    assert session_of(alice) != alice_before


def test_a_token_that_was_planted_before_sign_in_is_worth_nothing_after(browser: Browser) -> None:
    form = browser.form("/sign-in")
    browser.sign_in("alice", PASSWORD)
    answer = browser.client.post("/sign-out", data={"csrf_token": form.fields["csrf_token"][0]})
    assert answer.status_code == 400
    assert is_signed_in(browser)


@pytest.mark.parametrize(
    "forge", [str.swapcase, lambda s: s[:-1], lambda s: s + "A", lambda _: "x" * 3000, lambda _: "é"]
)
def test_a_tampered_cookie_opens_nothing(app: Flask, forge: object) -> None:
    browser, thief = Browser(app), Browser(app)
    browser.sign_in("alice", PASSWORD)
    secret = session_of(browser)
    assert secret
    assert callable(forge)
    thief.client.set_cookie(COOKIE, forge(secret))
    assert not is_signed_in(thief)
    assert is_signed_in(browser)


NEXT = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "/\t/evil.example/",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/\r\nLocation: https://evil.example",
    "/\x00/evil.example",
    "/\u2028/evil.example",
    "http:evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    ".evil.example",
    "@evil.example",
    "?next=/",
    "#",
    "",
    "/" + "x" * 4001,
    "/sign-in",
    "/sign-in?next=/x",
    "/sign-out",
]


@pytest.mark.parametrize("wanted", NEXT)
def test_next_leads_nowhere_else(browser: Browser, wanted: str) -> None:
    form = browser.form("/sign-in")
    fields = {**form.fields, "username": "alice", "password": PASSWORD, "next": wanted}
    answer = browser.client.post("/sign-in", data=fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    again = browser.get(f"/sign-in?{urlencode({'next': wanted})}")
    assert (again.status_code, again.headers["Location"]) == (303, "/")


@pytest.mark.parametrize("wanted", ["/", "/a", "/a/b?c=d&e=%2F%2Fx", "/a?next=https://evil.example", "/ä"])
def test_next_keeps_paths_of_ours(wanted: str) -> None:
    assert safe_next(wanted) == wanted


@given(st.text(alphabet=st.sampled_from("/\\.:@?#%\t\n\r \x00aevil\u2028"), max_size=12))
def test_no_next_is_read_as_a_host(wanted: str) -> None:
    kept = safe_next(wanted)
    # As WHATWG URL reads it: tabs and line breaks fall out, a backslash is a slash.
    read = kept.strip("\x00\x1f ").translate({9: None, 10: None, 13: None}).replace("\\", "/")
    assert read.startswith("/")
    assert not read.startswith("//")


def test_sign_in_url_carries_the_path() -> None:
    assert sign_in_url() == "/sign-in"
    assert sign_in_url("/") == "/sign-in"
    assert sign_in_url("/a?b=c&d", again=True) == "/sign-in?next=/a%3Fb%3Dc%26d&again=1"


def test_the_page_names_the_application_somebody_is_on_the_way_to(browser: Browser, world: World) -> None:
    page = browser.get(sign_in_url(authorize_url(world)))
    assert "to go on to <strong>Wiki</strong>" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self' https://wiki.example.com" in policy.split("; ")
    lured = browser.get(sign_in_url(authorize_url(world).replace("wiki.example.com", "evil.example")))
    assert "Wiki" not in lured.text
    assert "evil.example" not in lured.headers["Content-Security-Policy"]


def test_a_whole_domain_may_follow_where_a_provider_guards_one(browser: Browser, world: World) -> None:
    wide = builders.provider(
        "wide",
        mode=ProxyMode.FORWARD_DOMAIN,
        cookie_domain="example.com",
        external_host="https://wide.example.com:8443",
    )
    with world.store.write(ADMIN) as unit:
        unit.providers.add(wide)
        unit.applications.add(builders.application("wide", provider=wide.id))
    page = browser.get(sign_in_url(f"/application/o/authorize/?{urlencode(world.parameters(wide))}"))
    assert callback(wide).startswith("https://wide.example.com:8443/")
    targets = page.headers["Content-Security-Policy"].split("form-action ")[1]
    assert targets == "'self' https://wide.example.com:8443 https://*.example.com:8443"


def test_signing_out_ends_the_session_here_and_at_outposts(browser: Browser, world: World) -> None:
    browser.sign_in("alice", PASSWORD)
    with world.store.read() as unit:
        (sign_in,) = unit.sign_ins.all()
    answer = browser.submit("/sign-out")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert session_of(browser) is None
    assert "You are signed out" in browser.get("/sign-in").text
    with world.store.read() as unit:
        assert unit.sign_ins.all() == []
        assert sign_in.id in {found.sign_in for found in unit.revocations.live()}


def test_a_stolen_cookie_is_worth_nothing_after_sign_out(app: Flask) -> None:
    browser, thief = Browser(app), Browser(app)
    browser.sign_in("alice", PASSWORD)
    thief.client.set_cookie(COOKIE, session_of(browser) or "")
    assert is_signed_in(thief)
    browser.submit("/sign-out")
    assert not is_signed_in(thief)


def test_signing_out_everywhere(app: Flask) -> None:
    phone, laptop, bob = Browser(app), Browser(app), Browser(app)
    for browser, username in ((phone, "alice"), (laptop, "alice"), (bob, "bob")):
        browser.sign_in(username, PASSWORD)
    form = phone.form("/sign-out")
    assert form.fields["everywhere"] == ["1"]
    phone.client.post("/sign-out", data=form.fields)
    assert (is_signed_in(phone), is_signed_in(laptop), is_signed_in(bob)) == (False, False, True)


def test_a_link_or_a_foreign_page_signs_nobody_out(browser: Browser) -> None:
    browser.sign_in("alice", PASSWORD)
    assert browser.get("/sign-out").status_code == 200
    assert browser.client.post("/sign-out").status_code == 400
    assert is_signed_in(browser)


def test_without_a_session_signing_out_leads_to_sign_in(browser: Browser) -> None:
    assert browser.get("/sign-out").headers["Location"] == "/sign-in"


def test_a_deactivated_person_is_out_at_once(browser: Browser, world: World) -> None:
    browser.sign_in("alice", PASSWORD)
    with world.store.write(ADMIN) as unit:
        people.set_active(unit, world.alice.id, active=False)
    assert not is_signed_in(browser)


def test_the_last_use_is_written_once_a_minute(browser: Browser, world: World, clock: Clock) -> None:
    browser.sign_in("alice", PASSWORD)
    start = clock.now
    seen = []
    for seconds in (30, 60, 30):
        clock.advance(seconds=seconds)
        browser.get("/sign-in")
        with world.store.read() as unit:
            seen.append((unit.sign_ins.all()[0].last_seen - start).total_seconds())
    assert seen == [0.0, 90.0, 90.0]


def test_too_many_password_checks_are_told_to_come_back(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_given: object) -> bool:
        raise Busy(7)

    monkeypatch.setattr(Passwords, "verify", busy)
    answer = browser.sign_in("alice", PASSWORD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def test_attempts_are_audited_with_the_address_the_front_door_saw(browser: Browser, world: World) -> None:
    form = browser.form("/sign-in")
    data = {**form.fields, "username": "nobody\r\nakadmin", "password": "x"}
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "0123456789abcdef"}
    browser.client.post("/sign-in", data=data, headers=headers)
    with world.store.read() as unit:
        (event,) = (event for event in unit.audit.all() if event.action == "signed_in")
    assert (event.actor, event.outcome, event.address) == ("anonymous", "failure", "203.0.113.9")
    assert (event.name, event.request_id) == ("nobody\ufffd\ufffdakadmin", "0123456789abcdef")

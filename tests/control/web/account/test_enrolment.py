"""Setting up an authenticator app without JavaScript: it counts once confirmed, and for nobody else."""

import html
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest

from control.auth import totp
from control.domain.factors import Method
from control.domain.security import SignIn
from tests.support.auth import PASSWORD
from tests.support.second_factors import code_of, enrol
from tests.support.site import Site
from tests.support.stores import ADMIN, Clock
from tests.support.web import Browser

NEW, LIST = "/account/second-factors/new", "/account/second-factors"


def begin(browser: Browser, name: str = "Phone", onward: str = LIST) -> tuple[str, UUID]:
    """The page with the QR code, and the app's id."""
    url = f"{NEW}?next={onward}"
    answer = browser.submit(url, name=name)
    assert answer.status_code == 303
    found = answer.headers["Location"]
    return found, UUID(urlsplit(found).path.rsplit("/", 1)[1])


def secret_of(browser: Browser) -> str:
    found = browser.client.get_cookie("garrison_session")
    assert found is not None
    return found.value


def sign_ins(site: Site) -> list[SignIn]:
    with site.store.read() as unit:
        return unit.sign_ins.of_user(site.world.alice.id)


def has_one(site: Site) -> bool:
    with site.store.read() as unit:
        return bool(unit.authenticators.users_with_one([site.world.alice.id]))


def test_from_the_empty_page_to_recovery_codes(site: Site) -> None:
    browser = site.browser(site.world.alice)
    assert f'href="{NEW}"' in browser.get(LIST).text
    before = secret_of(browser)
    url, key = begin(browser)
    page = browser.get(url)
    assert page.headers["Cache-Control"] == "no-store"
    with site.store.read() as unit:
        secret = unit.authenticators.get(key).secret
    assert totp.secret_text(secret) in page.text
    assert '<svg role="img"' in page.text
    assert not has_one(site)
    answer = browser.submit(url, code=code_of(site.store, key))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    codes = re.findall(r"[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}", answer.text.split("</pre>")[0])
    assert len(set(codes)) == 10
    assert f'href="{LIST}"' in answer.text
    assert secret_of(browser) != before
    (sign_in,) = sign_ins(site)
    assert sign_in.methods == (Method.PASSWORD, Method.ONE_TIME_CODE)
    shown = browser.get(LIST).text
    assert "Phone" in shown
    assert "<strong>10</strong> of 10" in shown
    assert not any(code in shown for code in codes)


def test_the_codes_can_be_downloaded_without_asking_us_again(site: Site) -> None:
    browser = site.browser(site.world.alice)
    url, key = begin(browser)
    page = browser.submit(url, code=code_of(site.store, key)).text
    (link,) = re.findall(r'<a [^>]*id="download-codes"[^>]*>', page)
    assert 'download="recovery-codes-alice.txt"' in link
    assert "data:text/plain;charset=utf-8," in link
    assert link.count("%0A") >= 10


def test_the_link_for_apps_on_this_device_names_us_and_the_account(site: Site) -> None:
    browser = site.browser(site.world.alice)
    url, _ = begin(browser)
    (uri,) = re.findall(r'href="(otpauth:[^"]+)"', browser.get(url).text)
    parts = urlsplit(html.unescape(uri))
    assert parts.path == "/Garrison:alice@localhost"
    assert parse_qs(parts.query)["issuer"] == ["Garrison"]


@pytest.mark.parametrize("code", ["", "000000", "abcdef", "' or 1=1"])
def test_a_wrong_first_code_is_told_and_counts_for_nothing(site: Site, code: str) -> None:
    browser = site.browser(site.world.alice)
    url, key = begin(browser)
    answer = browser.submit(url, code=code)
    assert answer.status_code == 422
    assert "clock of the device" in answer.text
    assert not has_one(site)
    assert browser.get("/").status_code == 200
    assert browser.submit(url, code=code_of(site.store, key)).status_code == 200


def test_what_was_not_confirmed_asks_nobody_for_codes(site: Site) -> None:
    begin(site.browser(site.world.alice))
    assert site.browser().sign_in("alice", PASSWORD).headers["Location"] == "/"
    assert "No second factor yet" in site.browser(site.world.alice).get(LIST).text


def test_nobody_sees_or_confirms_the_app_of_another(site: Site) -> None:
    url, key = begin(site.browser(site.world.alice))
    bob = site.browser(site.world.bob)
    own, _ = begin(bob)
    form = bob.form(own)
    for path in (urlsplit(url).path, f"{NEW}/{uuid4()}"):
        assert bob.get(path).status_code == 404
        fields = {**form.fields, "code": code_of(site.store, key)}
        assert bob.client.post(path, data=fields).status_code == 404
    assert not has_one(site)


def test_an_app_is_confirmed_once(site: Site) -> None:
    browser = site.browser(site.world.alice)
    url, key = begin(browser)
    form = browser.form(url)
    assert browser.submit(url, code=code_of(site.store, key)).status_code == 200
    fields = {**form.fields, "csrf_token": browser.form(NEW, f"{NEW}?next={LIST}").fields["csrf_token"]}
    assert browser.client.post(url, data={**fields, "code": code_of(site.store, key, 1)}).status_code == 404


def test_a_second_app_leads_on_at_once(site: Site) -> None:
    app, _ = enrol(site.store, site.world.alice.id, "Authenticator app")
    browser = site.browser()
    browser.sign_in("alice", PASSWORD)
    browser.submit("/sign-in/code", code=code_of(site.store, app.id))
    assert 'value="Authenticator app 2"' in browser.get(NEW).text
    url, key = begin(browser, "Tablet")
    before = secret_of(browser)
    answer = browser.submit(url, code=code_of(site.store, key))
    assert (answer.status_code, answer.headers["Location"]) == (303, LIST)
    assert "The app was added" in browser.get(LIST).text
    assert secret_of(browser) == before


def test_who_has_an_app_needs_its_code_to_add_another(site: Site) -> None:
    enrol(site.store, site.world.alice.id)
    browser = site.browser(site.world.alice)
    assert browser.get(NEW).headers["Location"].startswith("/step-up")
    token = browser.form("/step-up").fields["csrf_token"]
    answer = browser.client.post(NEW, data={"csrf_token": token, "name": "Thief's"})
    assert answer.headers["Location"].startswith("/step-up")
    with site.store.read() as unit:
        assert len(unit.authenticators.of_user(site.world.alice.id)) == 1


def test_who_has_to_enrol_goes_on_to_where_the_way_led(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        unit.groups.update(replace(unit.groups.get(site.world.staff.id), second_factor=True))
    browser = site.browser(site.world.alice)
    url, key = begin(browser, onward="/account/password")
    assert "Sign out" in browser.get(url).text
    answer = browser.submit(url, code=code_of(site.store, key))
    assert 'id="go-on" href="/account/password"' in answer.text
    assert browser.get("/account/password").status_code == 200
    assert site.browser(site.world.alice).get("/").headers["Location"] == "/step-up?next=/"


def test_an_open_session_is_not_enough_after_a_while(site: Site, clock: Clock) -> None:
    browser = site.browser(site.world.alice)
    url, key = begin(browser)
    form = browser.form(url)
    clock.advance(minutes=11)
    assert browser.get(NEW).headers["Location"] == f"/sign-in?next={NEW}&again=1"
    answer = browser.client.post(url, data={**form.fields, "code": code_of(site.store, key)})
    assert answer.headers["Location"].startswith(f"/sign-in?next={NEW}/{key}")
    assert not has_one(site)
    browser.submit(answer.headers["Location"], "/sign-in", username="alice", password=PASSWORD)
    assert browser.submit(url, code=code_of(site.store, key)).status_code == 200


@pytest.mark.parametrize("onward", ["//evil.example.com", "https://evil.example.com/", "javascript:alert(1)"])
def test_nobody_is_led_elsewhere(site: Site, onward: str) -> None:
    page = site.browser(site.world.alice).get(f"{NEW}?next={onward}").text
    assert "evil" not in page
    assert "javascript" not in page


def test_a_name_is_asked_for(site: Site) -> None:
    browser = site.browser(site.world.alice)
    answer = browser.submit(NEW, f"{NEW}?next={LIST}", name=" ")
    assert answer.status_code == 422
    assert "This is needed" in answer.text

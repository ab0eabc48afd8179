"""The own app passwords: made after a fresh sign-in, shown once, revoked."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest

from control.auth import app_passwords
from control.auth.app_passwords import AppPasswordDraft
from control.domain.factors import AppPassword
from control.domain.identity import User
from tests.support.second_factors import code_of, enrol
from tests.support.site import Site
from tests.support.stores import ADMIN, Clock

LIST, NEW = "/account/app-passwords", "/account/app-passwords/new"


def of(site: Site, user: User) -> list[AppPassword]:
    with site.store.read() as unit:
        return unit.app_passwords.of_user(user.id)


def secret_on(page: str) -> str:
    (found,) = re.findall(r'id="app-password" value="([a-z2-7]{24})"', page)
    return str(found)


def test_one_is_made_and_shown_once(site: Site, clock: Clock) -> None:
    browser = site.browser(site.world.alice)
    assert f'href="{NEW}"' in browser.get(LIST).text
    answer = browser.submit(NEW, name="Thunderbird", lifetime="90", scope="everywhere")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    secret = secret_on(answer.text)
    (made,) = of(site, site.world.alice)
    assert (made.name, made.expires, made.everywhere) == ("Thunderbird", clock.now + timedelta(days=90), True)
    with site.store.read() as unit:
        assert app_passwords.find_valid(unit, secret, site.world.alice.id, uuid4()) == made
    page = browser.get(LIST).text
    assert "Thunderbird" in page
    assert secret not in page


def test_one_for_chosen_applications_alone(site: Site) -> None:
    browser, wiki = site.browser(site.world.alice), site.world.wiki_application
    page = browser.get(NEW).text
    assert "wiki.example.com" in page
    assert "wiki.example.com" not in site.browser(site.world.bob).get(NEW).text
    browser.submit(NEW, name="NAS", lifetime="", scope="chosen", applications=[str(wiki.id)])
    (made,) = of(site, site.world.alice)
    assert (made.expires, made.everywhere, made.applications) == (None, False, frozenset({wiki.id}))
    assert "Wiki" in browser.get(LIST).text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "This is needed"),
        ({"scope": "chosen"}, "Choose at least one"),
        ({"scope": "chosen", "applications": ["nonsense"]}, "expected applications of the list"),
        ({"scope": "chosen", "applications": [str(uuid4())]}, "expected applications of the list"),
        ({"scope": "nowhere"}, "be chosen"),
        ({"lifetime": "99999"}, "be chosen"),
        ({"lifetime": "-1"}, "be chosen"),
    ],
)
def test_what_is_wrong_is_told(site: Site, fields: dict[str, object], words: str) -> None:
    usual: dict[str, object] = {"name": "Mail", "lifetime": "30", "scope": "everywhere"}
    answer = site.browser(site.world.alice).submit(NEW, **{**usual, **fields})
    assert answer.status_code == 422
    assert words in answer.text
    assert of(site, site.world.alice) == []


def test_making_one_takes_a_fresh_sign_in(site: Site, clock: Clock) -> None:
    browser = site.browser(site.world.alice)
    form = browser.form(NEW)
    clock.advance(minutes=11)
    where = f"/sign-in?next={NEW}&again=1"
    assert browser.get(NEW).headers["Location"] == where
    fields = {**form.fields, "name": "Mail"}
    assert browser.client.post(NEW, data=fields).headers["Location"] == where
    assert of(site, site.world.alice) == []


def test_making_one_takes_the_second_factor_of_who_has_one(site: Site) -> None:
    browser = site.browser(site.world.alice)
    form = browser.form(NEW)
    enrol(site.store, site.world.alice.id)
    answer = browser.client.post(NEW, data={**form.fields, "name": "Mail", "scope": "everywhere"})
    assert answer.headers["Location"].startswith("/step-up")
    assert of(site, site.world.alice) == []


def test_it_is_kept_whether_a_second_factor_was_used(site: Site) -> None:
    browser = site.browser(site.world.alice)
    browser.submit(NEW, name="Before", lifetime="30", scope="everywhere")
    assert "without a second factor" in browser.get(LIST).text
    app, _ = enrol(site.store, site.world.alice.id)
    browser.submit(browser.get(NEW).headers["Location"], "/step-up", code=code_of(site.store, app.id))
    browser.submit(NEW, name="After", lifetime="30", scope="everywhere")
    kept = {made.name: made.second_factor for made in of(site, site.world.alice)}
    assert kept == {"Before": False, "After": True}
    assert browser.get(LIST).text.count("without a second factor") == 1


def make(site: Site, user: User, name: str = "Mail", **fields: object) -> AppPassword:
    with site.store.write(ADMIN) as unit:
        draft = AppPasswordDraft(user=user.id, name=name, everywhere=True, **fields)  # type: ignore[arg-type] # by keyword
        return app_passwords.create(unit, draft)[0]


def test_one_is_revoked(site: Site) -> None:
    made = make(site, site.world.alice)
    browser = site.browser(site.world.alice)
    answer = browser.submit(LIST, f"{LIST}/{made.id}/revoke")
    assert answer.headers["Location"] == LIST
    assert of(site, site.world.alice) == []
    assert "was revoked" in browser.get(LIST).text


def test_that_of_another_is_not_there(site: Site) -> None:
    mine, other = make(site, site.world.alice), make(site, site.world.bob, "Bob's")
    browser = site.browser(site.world.alice)
    fields = browser.form(LIST, f"{LIST}/{mine.id}/revoke").fields
    assert browser.client.post(f"{LIST}/{other.id}/revoke", data=fields).status_code == 404
    assert of(site, site.world.bob) == [other]
    assert "Bob" not in browser.get(LIST).text


def test_last_use_and_expiry_are_told(site: Site, clock: Clock) -> None:
    made = make(site, site.world.alice, expires=clock.now + timedelta(minutes=1))
    with site.store.write(ADMIN) as unit:
        unit.app_passwords.touch(made.id, "203.0.113.9")
    clock.advance(minutes=2)
    page = site.browser(site.world.alice).get(LIST).text
    assert "from 203.0.113.9" in page
    assert "Expired" in page


def test_names_are_text_and_nothing_else(site: Site) -> None:
    make(site, site.world.alice, '<script>alert("x")</script>')
    page = site.browser(site.world.alice).get(LIST).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page

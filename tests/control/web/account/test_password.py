"""What people change about their own account."""

import pytest

from control.auth.passwords import Passwords
from control.auth.people import set_password
from tests.support.auth import CHEAP, cheap_passwords
from tests.support.site import Site
from tests.support.stores import ADMIN, Clock

URL = "/account/password"
OLD, NEW = "the-old-password", "a-brand-new-password"


@pytest.fixture(autouse=True)
def known(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        set_password(unit, site.world.bob.id, cheap_passwords().hash(OLD))


def hash_of_bob(site: Site) -> str | None:
    with site.store.read() as unit:
        return unit.users.get(site.world.bob.id).password_hash


def test_everybody_changes_their_own_password(site: Site) -> None:
    here, elsewhere = site.browser(site.world.bob), site.browser(site.world.bob)
    assert f'href="{URL}"' in here.get("/").text
    answer = here.submit(URL, present=OLD, password=NEW, again=NEW)
    assert (answer.status_code, answer.headers["Location"]) == (303, URL)
    assert "Your password was changed" in here.get(URL).text
    assert elsewhere.get("/").status_code == 303
    assert site.browser().sign_in("bob", OLD).status_code == 422
    assert site.browser().sign_in("bob", NEW).status_code == 303


@pytest.mark.parametrize(
    ("present", "new", "again", "words"),
    [
        ("a-wrong-password", NEW, NEW, "t your present password"),
        ("", NEW, NEW, "t your present password"),
        (OLD, NEW, "something-else", "The two passwords differ"),
        (OLD, "short", "short", "too short"),
        (OLD, "", "", "too short"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_changes(site: Site, present: str, new: str, again: str, words: str) -> None:
    before, elsewhere = hash_of_bob(site), site.browser(site.world.bob)
    answer = site.browser(site.world.bob).submit(URL, present=present, password=new, again=again)
    assert answer.status_code == 422
    assert words in answer.text
    assert hash_of_bob(site) == before
    assert elsewhere.get("/").status_code == 200


def test_a_wrong_guess_is_in_the_audit_trail(site: Site) -> None:
    site.browser(site.world.bob).submit(URL, present="a-wrong-password", password=NEW, again=NEW)
    with site.store.read() as unit:
        event = unit.audit.latest(1)[0]
    assert (event.actor, event.action, event.outcome) == ("bob", "changed_password", "failure")


def test_guessing_at_an_open_session_is_stopped(site: Site, clock: Clock) -> None:
    browser, before = site.browser(site.world.bob), hash_of_bob(site)
    for _ in range(5):
        browser.submit(URL, present="a-wrong-password", password=NEW, again=NEW)
    answer = browser.submit(URL, present=OLD, password=NEW, again=NEW)
    assert answer.status_code == 422
    assert "try again in 15 seconds" in answer.text
    assert hash_of_bob(site) == before
    clock.advance(seconds=16)
    assert browser.submit(URL, present=OLD, password=NEW, again=NEW).status_code == 303


def test_a_password_set_meanwhile_is_not_overwritten(site: Site) -> None:
    class Slow(Passwords):
        def verify(self, password_hash: str | None, password: str, source: str = "") -> bool:
            found = super().verify(password_hash, password, source)
            with site.store.write(ADMIN) as unit:
                set_password(unit, site.world.bob.id, "$argon2id$other")
            return found

    browser = site.browser(site.world.bob)
    form = browser.form(URL)
    site.app.extensions["garrison.passwords"] = Slow(CHEAP)
    browser.client.post(URL, data={**form.fields, "present": OLD, "password": NEW, "again": NEW})
    assert hash_of_bob(site) == "$argon2id$other"


def test_strangers_sign_in_first(site: Site) -> None:
    assert site.browser().get(URL).headers["Location"] == f"/sign-in?next={URL}"

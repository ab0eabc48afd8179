"""Second factors and app passwords on the admin's user page: taken away, and made for service accounts alone."""

import re
from uuid import UUID, uuid4

import pytest

from control.auth import app_passwords, people
from control.auth.app_passwords import AppPasswordDraft
from control.auth.people import UserDraft
from control.domain.factors import AppPassword
from control.domain.identity import User, UserKind
from tests.support.auth import PASSWORD
from tests.support.second_factors import enrol
from tests.support.site import Site
from tests.support.stores import ADMIN, Clock


@pytest.fixture
def robot(site: Site) -> User:
    with site.store.write(ADMIN) as unit:
        return people.create_user(unit, UserDraft(username="robot", kind=UserKind.SERVICE))


def make(site: Site, user: UUID, name: str) -> AppPassword:
    with site.store.write(ADMIN) as unit:
        return app_passwords.create(unit, AppPasswordDraft(user=user, name=name, everywhere=True))[0]


def page_of(user: User) -> str:
    return f"/admin/users/{user.id}/"


def test_the_page_shows_apps_codes_and_app_passwords(site: Site) -> None:
    alice = site.world.alice
    assert "can set up an authenticator app" in site.admin.get(page_of(alice)).text
    enrol(site.store, alice.id, "Alice's phone")
    make(site, alice.id, "Thunderbird")
    page = site.admin.get(page_of(alice)).text
    assert "Alice&#39;s phone" in page
    assert "10 recovery codes left" in page
    assert "Thunderbird" in page
    assert "app-passwords/new" not in page


def test_a_reset_lets_somebody_in_who_lost_the_phone(site: Site) -> None:
    alice = site.world.alice
    enrol(site.store, alice.id)
    answer = site.admin.submit(f"{page_of(alice)}second-factors/reset")
    assert (answer.status_code, answer.headers["Location"]) == (303, page_of(alice))
    assert site.browser().sign_in("alice", PASSWORD).headers["Location"] == "/"
    with site.store.read() as unit:
        assert unit.recovery_codes.of_user(alice.id) == []
        assert ("root", "removed", "authenticator") in {
            (event.actor, event.action, event.kind) for event in unit.audit.latest(9)
        }


def test_a_reset_takes_a_fresh_sign_in(site: Site, clock: Clock) -> None:
    enrol(site.store, site.world.alice.id)
    browser, url = site.admin, f"{page_of(site.world.alice)}second-factors/reset"
    form = browser.form(url)
    clock.advance(minutes=11)
    assert browser.client.post(url, data=form.fields).headers["Location"] == f"/sign-in?next={url}&again=1"
    answer = browser.get(url, HX_Request="true", HX_Target="modal", HX_Current_URL="http://localhost/admin/users/")
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/admin/users/&again=1"
    with site.store.read() as unit:
        assert unit.authenticators.users_with_one([site.world.alice.id])


def test_an_app_password_is_revoked(site: Site) -> None:
    made = make(site, site.world.alice.id, "Thunderbird")
    answer = site.admin.submit(page_of(site.world.alice), f"{page_of(site.world.alice)}app-passwords/{made.id}/revoke")
    assert answer.headers["Location"] == page_of(site.world.alice)
    with site.store.read() as unit:
        assert unit.app_passwords.of_user(site.world.alice.id) == []


def test_one_is_revoked_on_the_page_of_its_user_alone(site: Site) -> None:
    made = make(site, site.world.alice.id, "Thunderbird")
    make(site, site.world.bob.id, "Bob's")
    browser = site.admin
    token = browser.form("/admin/users/new").fields["csrf_token"]
    for user, key in ((site.world.bob.id, made.id), (site.world.alice.id, uuid4())):
        url = f"/admin/users/{user}/app-passwords/{key}/revoke"
        assert browser.client.post(url, data={"csrf_token": token}).status_code == 404
    with site.store.read() as unit:
        assert unit.app_passwords.of_user(site.world.alice.id) == [made]


@pytest.mark.parametrize("in_modal", [False, True])
def test_service_accounts_are_given_app_passwords(site: Site, robot: User, *, in_modal: bool) -> None:
    browser, url = site.admin, f"{page_of(robot)}app-passwords/new"
    assert url in browser.get(page_of(robot)).text
    form = browser.form(url)
    headers = {"HX-Request": "true", "HX-Target": "modal"} if in_modal else {}
    fields = {**form.fields, "name": "Backup", "lifetime": "", "scope": "everywhere"}
    answer = browser.client.post(url, data=fields, headers=headers)
    assert answer.status_code == 200
    assert ("<html" in answer.text) != in_modal
    (secret,) = re.findall(r'id="app-password" value="([a-z2-7]{24})"', answer.text)
    with site.store.read() as unit:
        found = app_passwords.find_valid(unit, secret, robot.id, uuid4())
    assert found is not None
    assert (found.name, found.expires, found.second_factor) == ("Backup", None, True)
    assert secret not in browser.get(page_of(robot)).text


def test_what_is_wrong_stands_in_the_form(site: Site, robot: User) -> None:
    answer = site.admin.submit(f"{page_of(robot)}app-passwords/new", name="", scope="chosen")
    assert answer.status_code == 422
    assert "This is needed" in answer.text
    assert "Choose at least one" in answer.text


def test_people_make_their_own(site: Site) -> None:
    browser, url = site.admin, f"{page_of(site.world.alice)}app-passwords/new"
    assert browser.get(url).status_code == 404
    token = browser.form("/admin/users/new").fields["csrf_token"]
    assert browser.client.post(url, data={"csrf_token": token, "name": "x"}).status_code == 404
    with site.store.read() as unit:
        assert unit.app_passwords.of_user(site.world.alice.id) == []

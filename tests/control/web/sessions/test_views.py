"""Sessions in the admin interface and in the own account."""

import re

import pytest

from control.auth import sessions
from control.auth.sessions import Origin
from control.domain.factors import Method
from control.domain.identity import User
from control.domain.security import SignIn
from control.store import Event
from tests.support.site import Site
from tests.support.stores import ADMIN

LIST, OWN = "/admin/sessions/", "/account/sessions"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
BOTH = (Method.PASSWORD, Method.ONE_TIME_CODE)


def opened(site: Site, user: User, methods: tuple[Method, ...] = (Method.PASSWORD,)) -> SignIn:
    with site.store.write(ADMIN) as unit:
        origin = Origin(address="192.0.2.99", user_agent=FIREFOX)
        return sessions.open_session(unit, user.id, origin, methods=methods).sign_in


def living(site: Site, user: User) -> set[object]:
    with site.store.read() as unit:
        return {each.id for each in unit.sign_ins.of_user(user.id)}


def test_the_own_sessions_in_words(site: Site) -> None:
    alice = site.world.alice
    there = opened(site, alice, BOTH)
    bobs = opened(site, site.world.bob)
    with site.store.write(ADMIN) as unit:
        unit.record(Event(action="redeemed", kind="code", target=str(there.id), name="alice at wiki"))
        unit.record(Event(action="redeemed", kind="code", target=str(there.id), name="alice at gone"))
    page = site.browser(alice).get(OWN).text
    other, here = sorted(page.split("<tr>")[2:], key=lambda row: ">this session<" in row)
    assert ("Lynx" in here, "192.0.2.7" in here, "/end" in here) == (True, True, False)
    for words in ("Firefox 128 on Linux", "192.0.2.99", "password + code", "Wiki", f"{OWN}/{there.id}/end"):
        assert words in other
    assert str(bobs.id) not in page
    assert "/admin/applications" not in page


def test_ending_one_of_the_own_sessions(site: Site) -> None:
    alice = site.world.alice
    there, browser = opened(site, alice), site.browser(alice)
    assert browser.submit(OWN, f"{OWN}/{there.id}/end").headers["Location"] == OWN
    assert "The session has ended" in browser.get(OWN).text
    assert there.id not in living(site, alice)
    with site.store.read() as unit:
        assert there.id in {found.sign_in for found in unit.revocations.live()}
        newest = unit.audit.latest(1)[0]
    assert (newest.actor, newest.action, newest.kind, newest.name) == ("alice", "removed", "sign-in", "alice")


def test_ending_all_other_sessions(site: Site) -> None:
    alice = site.world.alice
    browser = site.browser(alice)
    assert "end-others" not in browser.get(OWN).text
    mine = living(site, alice)
    opened(site, alice)
    opened(site, alice)
    bobs = opened(site, site.world.bob)
    browser.submit(OWN, f"{OWN}/end-others")
    assert living(site, alice) == mine
    assert living(site, site.world.bob) == {bobs.id}
    assert "Your other sessions have ended" in browser.get(OWN).text


@pytest.mark.parametrize("whose", ["bob", "root"])
def test_nobody_ends_another_persons_session_by_its_id(site: Site, whose: str) -> None:
    other = site.root if whose == "root" else site.world.bob
    theirs, browser = opened(site, other), site.browser(site.world.alice)
    opened(site, site.world.alice)
    token = browser.form(OWN, f"{OWN}/end-others").fields["csrf_token"][0]
    forged = {"csrf_token": token}
    assert browser.client.post(f"{OWN}/{theirs.id}/end", data=forged).status_code == 404
    assert browser.client.post(f"{LIST}{theirs.id}/end", data=forged).status_code == 403
    users = f"/admin/users/{other.id}/sessions"
    assert browser.client.post(f"{users}/{theirs.id}/end", data=forged).status_code == 403
    assert browser.client.post(f"{users}/end", data=forged).status_code == 403
    assert theirs.id in living(site, other)


def test_sessions_end_by_forms_of_ours_alone(site: Site) -> None:
    alice = site.world.alice
    there, browser, admin = opened(site, alice), site.browser(alice), site.admin
    paths = (f"{OWN}/{there.id}/end", f"{OWN}/end-others")
    assert [browser.client.post(path).status_code for path in paths] == [400, 400]
    assert [browser.client.get(path).status_code for path in paths] == [405, 405]
    assert admin.client.post(f"{LIST}{there.id}/end").status_code == 400
    token = browser.form(OWN, paths[0]).fields["csrf_token"][0]
    forged = browser.client.post(paths[0], data={"csrf_token": token}, headers={"Origin": "https://evil.example.com"})
    assert forged.status_code == 400
    assert there.id in living(site, alice)


def test_who_isnt_signed_in_is_asked_to(site: Site) -> None:
    assert site.browser().get(OWN).headers["Location"].startswith("/sign-in?next=/account/sessions")
    assert site.browser(site.world.alice).get(LIST).status_code == 403


def test_an_admin_finds_and_ends_any_session(site: Site) -> None:
    there = opened(site, site.world.alice)
    opened(site, site.world.bob)
    admin = site.admin
    page = admin.get(f"{LIST}?q=alice").text
    assert ("Alice" in page, ">Bob<" in page) == (True, False)
    response = admin.submit(f"{LIST}?q=alice", f"{LIST}{there.id}/end?q=alice")
    assert response.headers["Location"] == f"{LIST}?q=alice"
    page = admin.get(response.headers["Location"]).text
    assert "The session of <strong>alice</strong> has ended" in page
    assert "No session matches" in page
    assert there.id not in living(site, site.world.alice)


def test_a_session_that_is_gone_is_told_of(site: Site) -> None:
    there, admin = opened(site, site.world.alice), site.admin
    form = admin.form(LIST, f"{LIST}{there.id}/end")
    assert admin.client.post(form.action, data=form.fields).status_code == 303
    assert admin.client.post(form.action, data=form.fields).status_code == 404


def test_the_list_is_shown_a_page_at_a_time(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        for number in range(60):
            sessions.open_session(unit, site.world.alice.id, Origin(address=f"198.51.100.{number}"))
    admin = site.admin
    first, second = admin.get(LIST).text, admin.get(f"{LIST}?page=2").text
    assert "61 sessions" in first
    assert "page=2" in first
    assert first.count("198.51.100.") + second.count("198.51.100.") == 60
    assert second.count("<tr>") == 1 + 11


def test_ending_all_of_a_user_from_the_users_page(site: Site) -> None:
    alice = site.world.alice
    there = opened(site, alice, BOTH)
    url = f"/admin/users/{alice.id}/"
    page = site.admin.get(url).text
    assert "Firefox 128 on Linux" in page
    site.admin.submit(url, f"{url}sessions/end")
    assert living(site, alice) == set()
    with site.store.read() as unit:
        live = unit.revocations.live()
    assert there.id in {found.sign_in for found in live}
    assert alice.id in {found.user for found in live if not found.changed}
    overview = re.sub(r"<[^>]*>", " ", site.admin.get("/admin/").text)
    assert re.search(r"root\s+ended a session of\s+alice", overview)
    assert re.search(r"root\s+ended all sessions of\s+alice", overview)

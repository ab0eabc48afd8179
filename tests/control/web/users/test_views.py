"""Users in the admin interface."""

from dataclasses import replace

import pytest

from control.auth import people
from control.auth.people import GroupDraft, UserDraft
from control.domain.identity import User, UserKind
from control.store import Store
from tests.support.site import Site, fill
from tests.support.stores import ADMIN

LIST = "/admin/users/"
NEW = "/admin/users/new"


def named(store: Store, username: str) -> User:
    with store.read() as unit:
        return unit.users.get_named(username)


def test_creating_somebody_who_can_sign_in(site: Site) -> None:
    fields = {"username": "carol", "name": "Carol Doe", "email": "carol@example.com", "password": "a-long-password"}
    text = "additionalHeaders:\r\n  X-Team: red\r\n"
    response = site.admin.submit(NEW, **fields, groups=[str(site.world.staff.id)], attributes=text)
    carol = named(site.store, "carol")
    assert response.headers["Location"] == f"{LIST}{carol.id}/"
    assert (carol.name, carol.active, carol.kind) == ("Carol Doe", True, UserKind.INTERNAL)
    assert carol.attributes == {"additionalHeaders": {"X-Team": "red"}}
    with site.store.read() as unit:
        assert unit.memberships.groups_of(carol.id) == {site.world.staff.id}
    assert site.browser().sign_in("carol", "a-long-password").status_code == 303


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"username": ""}, "username", "This is needed"),
        ({"username": "alice"}, "username", "taken already"),
        ({"email": "nowhere"}, "email", "no e-mail address"),
        ({"password": "short"}, "password", "too short"),
        ({"attributes": "a: ["}, "attributes", "no YAML"),
        ({"attributes": "a: &x 1\nb: *x"}, "attributes", "aliases"),
        ({"groups": ["nonsense"]}, "groups", "no such group"),
        ({"kind": "internal_service_account"}, "kind", "can&#39;t be chosen"),
    ],
)
def test_problems_stand_at_their_fields(site: Site, fields: dict[str, object], field: str, words: str) -> None:
    usual: dict[str, object] = {"username": "carol", "name": "Kept Name", "password": "a-long-password"}
    response = site.admin.submit(NEW, **{**usual, **fields})
    assert response.status_code == 422
    assert words in response.text.split(f'id="{field}-error"')[1].split("</div></div>")[0]
    assert "Kept Name" in response.text
    assert "a-long-password" not in response.text
    with site.store.read() as unit:
        assert unit.users.find_named("carol") is None


def test_editing(site: Site) -> None:
    bob = site.world.bob
    url = f"{LIST}{bob.id}/edit"
    assert site.admin.submit(url).status_code == 303
    assert named(site.store, "bob") == bob
    site.admin.submit(url, name="Robert", groups=[str(site.world.staff.id)], attributes='{"a": [1, 2]}')
    changed = named(site.store, "bob")
    assert (changed.name, changed.attributes, changed.password_hash) == ("Robert", {"a": [1, 2]}, bob.password_hash)
    with site.store.read() as unit:
        assert unit.memberships.groups_of(bob.id) == {site.world.staff.id}


def test_a_new_password_ends_all_sessions(site: Site) -> None:
    bob = site.world.bob
    session = site.browser(bob)
    url = f"{LIST}{bob.id}/password"
    wrong = site.admin.submit(url, password="a-long-password", again="another-password")
    assert wrong.status_code == 422
    assert "The two passwords differ" in wrong.text
    assert site.admin.submit(url, password="a-long-password", again="a-long-password").status_code == 303
    assert session.get("/").status_code == 303
    assert site.browser().sign_in("bob", "a-long-password").status_code == 303


def test_the_admin_who_changes_the_own_password_stays(site: Site) -> None:
    browser = site.admin
    url = f"{LIST}{site.root.id}/password"
    browser.submit(url, password="a-long-password", again="a-long-password")
    assert browser.get("/admin/").status_code == 200


def test_deactivating_and_activating(site: Site) -> None:
    alice = site.world.alice
    session, url = site.browser(alice), f"{LIST}{alice.id}/"
    assert session.get("/").status_code == 200
    site.admin.submit(f"{url}deactivate")
    assert not named(site.store, "alice").active
    assert session.get("/").status_code == 303
    site.admin.submit(url, f"{url}activate")
    assert named(site.store, "alice").active


def test_the_last_administrator_stays_one(site: Site) -> None:
    url = f"{LIST}{site.root.id}/"
    for attempt in (
        site.admin.submit(f"{url}deactivate"),
        site.admin.submit(f"{url}delete"),
        site.admin.submit(f"{url}edit", groups=[]),
        site.admin.submit(f"{url}edit", active=None),
    ):
        assert attempt.status_code == 422
        assert "last active administrator" in attempt.text
    assert site.admin.get("/admin/").status_code == 200


def test_ending_sessions(site: Site) -> None:
    alice = site.world.alice
    first, second, third = (site.browser(alice) for _ in range(3))
    url = f"{LIST}{alice.id}/"
    page = site.admin.get(url).text
    assert "192.0.2.7" in page
    assert "Lynx" in page
    with site.store.read() as unit:
        oldest = unit.sign_ins.of_user(alice.id)[0]
    site.admin.submit(url, f"{url}sessions/{oldest.id}/end")
    assert sorted(browser.get("/").status_code for browser in (first, second, third)) == [200, 200, 303]
    site.admin.submit(url, f"{url}sessions/end")
    assert {browser.get("/").status_code for browser in (first, second, third)} == {303}


def test_somebody_elses_session_isnt_ended_by_the_way(site: Site) -> None:
    bob = site.browser(site.world.bob)
    with site.store.read() as unit:
        (session,) = unit.sign_ins.of_user(site.world.bob.id)
    browser = site.admin
    token = browser.form("/", "/sign-out").fields["csrf_token"]
    url = f"{LIST}{site.world.alice.id}/sessions/{session.id}/end"
    assert browser.client.post(url, data={"csrf_token": token}).status_code == 404
    assert bob.get("/").status_code == 200


def test_whoever_guards_an_application_stays(site: Site) -> None:
    fill(site.store)
    edge = named(site.store, "edge")
    page = site.admin.get(f"{LIST}{edge.id}/delete").text
    assert "delete edge" in page
    assert ">Delete</button>" not in page
    assert site.admin.submit(f"{LIST}{edge.id}/delete").status_code == 422
    assert site.admin.submit(f"{LIST}{site.world.bob.id}/delete").status_code == 303
    with site.store.read() as unit:
        assert unit.users.find(site.world.bob.id) is None


def test_the_account_of_an_outpost_is_its_own(site: Site) -> None:
    outpost = fill(site.store)
    url = f"{LIST}{outpost.service_account}/"
    assert "service account of the outpost" in site.admin.get(url).text
    assert site.admin.get(f"{url}edit").status_code == 409
    assert site.admin.submit(f"{url}delete").status_code == 422
    assert "ak-outpost" not in site.admin.get(LIST).text


def test_searching_and_paging(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        for number in range(120):
            people.create_user(unit, UserDraft(username=f"user{number:03}", email=f"u{number}@example.org"))
    first = site.admin.get(LIST).text
    assert "1–50 of 123" in first
    assert "user040" in first
    assert "user100" not in first
    last = site.admin.get(f"{LIST}?page=3").text
    assert "101–123 of 123" in last
    assert "user119" in last
    assert "user119" in site.admin.get(f"{LIST}?q=u119@").text
    assert "Nobody matches" in site.admin.get(f"{LIST}?q=%25").text
    assert site.admin.get(f"{LIST}?page=99").status_code == 200
    assert site.admin.get(f"{LIST}?page=-5&q={'x' * 5000}").status_code == 200


def test_what_a_user_may_use_is_shown(site: Site) -> None:
    assert "wiki.example.com" in site.admin.get(f"{LIST}{site.world.alice.id}/").text
    assert "wiki.example.com" not in site.admin.get(f"{LIST}{site.world.bob.id}/").text


def test_inherited_groups_are_told_apart(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        top = people.create_group(unit, GroupDraft(name="everyone"))
        staff = unit.groups.get(site.world.staff.id)
        people.update_group(unit, replace(staff, parents=frozenset({top.id})))
    page = site.admin.get(f"{LIST}{site.world.alice.id}/").text
    assert "everyone" in page
    assert page.count("inherited") == 1


@pytest.mark.parametrize("action", ["edit", "password", "deactivate", "activate"])
def test_the_account_of_an_outpost_is_nobody_who_signs_in(site: Site, action: str) -> None:
    outpost, browser = fill(site.store), site.admin
    token = browser.form("/", "/sign-out").fields["csrf_token"]
    fields = {"csrf_token": token, "password": "a-long-password", "again": "a-long-password"}
    answer = browser.client.post(f"{LIST}{outpost.service_account}/{action}", data=fields)
    assert answer.status_code == 409
    with site.store.read() as unit:
        account = unit.users.get(outpost.service_account)
    assert (account.active, account.password_hash) == (True, None)


@pytest.mark.parametrize("page", ["99999999999999999999", "9223372036854775807", "-1", "x"])
def test_there_is_no_page_too_far(site: Site, page: str) -> None:
    assert site.admin.get(f"{LIST}?page={page}").status_code == 200

"""Lockouts in the admin interface."""

from itertools import count
from uuid import UUID, uuid4

import pytest
from itsdangerous import TimestampSigner

from control.auth import lockout
from control.auth.lockout import Suspect
from control.store import Store
from tests.support.site import Site
from tests.support.stores import ADMIN, Clock

LIST = "/admin/lockouts/"


def fail(store: Store, user: UUID, name: str, place: str = "192.0.2.66", times: int = 5) -> None:
    """So many failed attempts, one after the other."""
    with store.write(ADMIN) as unit:
        for _ in range(times):
            lockout.count_failure(unit, lockout.look(unit, Suspect(user=user, name=name, place=place)))


def locked(site: Site) -> set[str]:
    with site.store.read() as unit:
        return {each.bucket for each in lockout.locked(unit)}


def test_nobody_is_locked_out_at_first(site: Site) -> None:
    assert "Nobody is locked out" in site.admin.get(LIST).text


def test_users_addresses_and_names_nobody_has(site: Site) -> None:
    alice = site.world.alice
    fail(site.store, alice.id, "alice", times=20)
    fail(site.store, uuid4(), "<b>nobody</b>", "2001:db8::/64")
    page = site.admin.get(LIST).text
    assert f'href="/admin/users/{alice.id}/">alice</a>' in page
    assert "<code>192.0.2.66</code>" in page
    assert "&lt;b&gt;nobody&lt;/b&gt;" in page
    assert "no such user" in page
    assert page.count(">Lift<") == 3
    assert site.admin.get(f"{LIST}?q=nobody").text.count(">Lift<") == 1
    assert site.admin.get(f"{LIST}?q=a%00b").status_code == 200
    assert "No lockout matches" in site.admin.get(f"{LIST}?q=xyz").text


def test_somebody_at_a_familiar_address(site: Site) -> None:
    alice = site.world.alice
    with site.store.write(ADMIN) as unit:
        unit.failures.greet(alice.id, "192.0.2.66")
    fail(site.store, alice.id, "alice")
    page = site.admin.get(LIST).text
    assert "User at an address" in page
    assert "at <code>192.0.2.66</code>" in site.admin.get(f"/admin/users/{alice.id}/").text


def test_lifting(site: Site) -> None:
    alice = site.world.alice
    fail(site.store, alice.id, "alice")
    admin = site.admin
    form = admin.form(LIST, f"{LIST}lift")
    assert admin.client.post(form.action, data=form.fields).headers["Location"] == LIST
    assert "<strong>alice</strong> may try again at once" in admin.get(LIST).text
    assert locked(site) == set()
    with site.store.read() as unit:
        newest = unit.audit.latest(1)[0]
    assert (newest.actor, newest.action, newest.name) == ("root", "lifted_lockout", "alice")
    admin.client.post(form.action, data=form.fields)
    assert "over already" in admin.get(LIST).text


def test_lifting_on_the_users_page_concerns_that_user_alone(site: Site) -> None:
    alice, bob = site.world.alice, site.world.bob
    for user in (alice, bob):
        fail(site.store, user.id, user.username)
    url = f"/admin/users/{alice.id}/"
    assert "Locked out" in site.admin.get(url).text
    admin = site.admin
    admin.submit(url, f"{url}lockouts/lift", bucket=f"user/{bob.id}")
    assert locked(site) == {f"user/{alice.id}", f"user/{bob.id}"}
    admin.submit(url, f"{url}lockouts/lift")
    assert locked(site) == {f"user/{bob.id}"}
    assert "Locked out" not in admin.get(url).text


@pytest.mark.parametrize("bucket", ["", "nonsense", "user/x", "a\0b", "address/" + "x" * 5000])
def test_what_is_no_lockout_cant_be_lifted(site: Site, bucket: str) -> None:
    alice = site.world.alice
    fail(site.store, alice.id, "alice")
    admin = site.admin
    form = admin.form(LIST, f"{LIST}lift")
    response = admin.client.post(form.action, data={**form.fields, "bucket": bucket})
    assert response.status_code == 303
    assert locked(site) == {f"user/{alice.id}"}


def test_only_an_admin_lifts_and_only_by_a_form_of_ours(site: Site) -> None:
    alice = site.world.alice
    fail(site.store, alice.id, "alice")
    browser, admin = site.browser(alice), site.admin
    token = browser.form("/account/password").fields["csrf_token"][0]
    sent = {"csrf_token": token, "bucket": f"user/{alice.id}"}
    assert browser.client.post(f"{LIST}lift", data=sent).status_code == 403
    assert browser.client.post(f"/admin/users/{alice.id}/lockouts/lift", data=sent).status_code == 403
    assert browser.get(LIST).status_code == 403
    assert admin.client.post(f"{LIST}lift", data={"bucket": f"user/{alice.id}"}).status_code == 400
    assert admin.client.post(f"{LIST}lift", data=sent).status_code == 400
    assert locked(site) == {f"user/{alice.id}"}


def test_the_list_is_polled_and_says_so_when_nothing_changed(site: Site, clock: Clock) -> None:
    fail(site.store, site.world.alice.id, "alice")
    admin = site.admin
    first = admin.get(f"{LIST}live")
    assert admin.get(f"{LIST}live", If_None_Match=first.headers["ETag"]).status_code == 304
    clock.advance(minutes=1)
    assert "Nobody is locked out" in admin.get(f"{LIST}live", If_None_Match=first.headers["ETag"]).text


def test_the_token_of_a_forms_second_is_no_change(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = count(1_800_000_000)
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: next(seconds))
    fail(site.store, site.world.alice.id, "alice")
    admin = site.admin
    first = admin.get(f"{LIST}live")
    assert 'name="csrf_token"' in first.text
    assert admin.get(f"{LIST}live", If_None_Match=first.headers["ETag"]).status_code == 304
    with admin.client.session_transaction() as session:
        del session["csrf_token"]
    assert admin.get(f"{LIST}live", If_None_Match=first.headers["ETag"]).status_code == 200


def test_a_lockout_that_is_over_is_none(site: Site, clock: Clock) -> None:
    fail(site.store, site.world.alice.id, "alice")
    clock.advance(seconds=16)
    assert "Nobody is locked out" in site.admin.get(LIST).text

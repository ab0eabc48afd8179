"""Every address of the app: who may open it, and that no form works without its token."""

from dataclasses import replace
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.routing import Rule

from control.store import SYSTEM
from tests.support.second_factors import enrol
from tests.support.site import Site

# Machine endpoints: the first proves itself by HMAC, the second only redirects to its GET.
EXEMPT = {"enrol.enrol_outpost", "oidc_posted.authorize"}
PUBLIC = {"static", "brand.colours", "health.live", "health.ready"}


def address(rule: Rule) -> str:
    """An address that the rule matches, about objects that don't exist."""
    values = {name: "x" if name in {"slug", "digest", "filename"} else str(uuid4()) for name in rule.arguments}
    with_values = rule.rule
    for name, value in values.items():
        for converter in ("uuid:", "path:", ""):
            with_values = with_values.replace(f"<{converter}{name}>", value)
    assert "<" not in with_values
    return with_values


def rules(app: Flask, method: str) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if method in (rule.methods or set())]


def admin_rules(app: Flask, method: str) -> list[Rule]:
    return [rule for rule in rules(app, method) if rule.endpoint.startswith("admin.")]


def test_there_are_admin_pages(site: Site) -> None:
    assert len(admin_rules(site.app, "GET")) > 40
    assert all(rule.rule.startswith("/admin/") for rule in admin_rules(site.app, "GET"))


def test_strangers_are_sent_to_sign_in(site: Site) -> None:
    for rule in admin_rules(site.app, "GET"):
        response = site.browser().get(address(rule))
        assert response.status_code == 303, rule
        assert response.headers["Location"].startswith("/sign-in?next=/admin/"), rule


@pytest.mark.parametrize("has_one", [False, True])
def test_nothing_opens_before_the_second_factor(site: Site, *, has_one: bool) -> None:
    """By whatever address: what is left are the pages that lead there, and out."""
    with site.store.write(SYSTEM) as unit:
        (group,) = unit.memberships.groups_of(site.root.id)
        unit.groups.update(replace(unit.groups.get(group), second_factor=True))
    if has_one:
        enrol(site.store, site.root.id)
    leading = {"signin.", "step_up.", "oidc.", "static", "brand.", "health.", "enrol.", "oidc_posted."}
    browser = site.admin
    token = browser.form("/sign-out").fields["csrf_token"]
    for method in ("GET", "POST"):
        for rule in rules(site.app, method):
            if any(rule.endpoint.startswith(name) for name in leading):
                continue
            answer = browser.client.open(address(rule), method=method, data={"csrf_token": token})
            if rule.endpoint.startswith("enrolment.") and not has_one:
                continue
            assert answer.status_code == 303, rule
            assert answer.headers["Location"].startswith("/step-up?next=/"), rule


def test_people_may_not_see_admin_pages(site: Site) -> None:
    browser = site.browser(site.world.alice)
    for rule in admin_rules(site.app, "GET"):
        assert browser.get(address(rule)).status_code == 403, rule


@pytest.mark.parametrize("who", ["admin", "alice", "nobody"])
def test_nothing_is_posted_without_a_token(site: Site, who: str) -> None:
    users = {"admin": site.root, "alice": site.world.alice, "nobody": None}
    browser = site.browser(users[who])
    before = revision(site)
    for rule in rules(site.app, "POST"):
        if rule.endpoint not in EXEMPT:
            response = browser.client.post(address(rule), data={"name": "x", "csrf_token": "forged"})
            # A sign-in form that is older than the session goes on with the session there is, whatever was typed.
            goes_on = rule.endpoint == "signin.sign_in" and who != "nobody"
            assert response.status_code == (303 if goes_on else 400), rule
    assert revision(site) == before


def revision(site: Site) -> int:
    with site.store.read() as unit:
        return unit.revision()


def test_a_token_doesnt_let_people_post_to_admin_pages(site: Site) -> None:
    browser = site.browser(site.world.alice)
    token = browser.form("/", "/sign-out").fields["csrf_token"]
    for rule in admin_rules(site.app, "POST"):
        assert browser.client.post(address(rule), data={"csrf_token": token}).status_code == 403, rule
    with site.store.read() as unit:
        assert {event.actor for event in unit.audit.latest(200)} == {"akadmin"}


def test_someone_elses_token_is_worth_nothing(site: Site) -> None:
    stolen = site.browser(site.world.alice).form("/", "/sign-out").fields["csrf_token"]
    url = "/admin/groups/new"
    assert site.admin.client.post(url, data={"csrf_token": stolen, "name": "evil"}).status_code == 400


def test_whoever_is_demoted_loses_the_pages_at_once(site: Site) -> None:
    browser = site.admin
    assert browser.get("/admin/").status_code == 200
    with site.store.write(SYSTEM) as unit:
        unit.memberships.set_groups(site.root.id, [])
    assert browser.get("/admin/").status_code == 403


def test_the_list_of_open_addresses_is_short(site: Site) -> None:
    """Whatever a stranger can GET without being sent to sign in; a new entry needs a thought."""
    found = set()
    for rule in rules(site.app, "GET"):
        response = site.browser().get(address(rule))
        if response.status_code not in {303, 404} and rule.endpoint not in PUBLIC:
            found.add(rule.endpoint)
    assert found <= {"signin.show_sign_in", "oidc.authorize"}


def test_nobody_writes_attributes_of_ones_own(site: Site) -> None:
    """Whoever could would lead mode proxy elsewhere, be sent other headers, or another password for an application."""
    wanted = {"attributes": "ak_proxy: {backend_override: 'http://192.0.2.7'}", "username": "root", "name": "x"}
    own = [f"/admin/users/{site.world.alice.id}/edit", f"/admin/groups/{site.world.staff.id}/edit"]
    for path in [*own, *map(address, rules(site.app, "POST"))]:
        browser = site.browser(site.world.alice)
        token = browser.form("/", "/sign-out").fields["csrf_token"]
        browser.client.post(path, data={"csrf_token": token, **wanted})
    with site.store.read() as unit:
        alice = unit.users.get(site.world.alice.id)
        assert (alice.attributes, alice.username) == ({}, "alice")
        assert all(not group.attributes for group in unit.groups.all())


def test_no_page_of_ones_own_has_a_field_for_attributes(site: Site) -> None:
    browser = site.browser(site.world.alice)
    for rule in rules(site.app, "GET"):
        if not rule.endpoint.startswith("admin."):
            assert 'name="attributes"' not in browser.get(address(rule)).text, rule

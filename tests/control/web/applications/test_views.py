"""Applications and the rules of who may use them, in the admin interface."""

from dataclasses import replace

import pytest

from control.auth import people
from control.auth.people import GroupDraft
from control.domain.application import Application, Binding
from control.store import Store
from tests.support.site import Site
from tests.support.stores import ADMIN

LIST = "/admin/applications/"
NEW = "/admin/applications/new"
BOTH = "/admin/applications/new-with-provider"


def by_slug(store: Store, slug: str) -> Application:
    with store.read() as unit:
        return unit.applications.get_named(slug)


def rules(site: Site, application: Application) -> list[Binding]:
    with site.store.read() as unit:
        return unit.bindings.of_application(application.id)


def test_creating_and_editing(site: Site) -> None:
    response = site.admin.submit(NEW, name="Status Page", launch_url="https://status.example.com", category="Ops")
    application = by_slug(site.store, "status-page")
    assert response.headers["Location"] == f"{LIST}{application.id}/"
    url = f"{LIST}{application.id}/edit"
    assert site.admin.submit(url).status_code == 303
    assert by_slug(site.store, "status-page") == application
    site.admin.submit(url, slug="status", policy_mode="all", second_factor="y")
    changed = by_slug(site.store, "status")
    assert (changed.policy_mode, changed.category, changed.second_factor) == ("all", "Ops", True)
    assert "needed" in site.admin.get(f"{LIST}{application.id}/").text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"slug": "a b"}, "no slug"),
        ({"slug": "wiki"}, "taken already"),
        ({"name": ""}, "This is needed"),
        ({"launch_url": "javascript:alert(1)"}, "no such address"),
        ({"provider": "not-an-id"}, "There is no"),
        ({"policy_mode": "some"}, "can&#39;t be chosen"),
    ],
)
def test_problems_stand_at_their_fields(site: Site, fields: dict[str, str], words: str) -> None:
    response = site.admin.submit(NEW, **{"name": "Typed name", **fields})
    assert response.status_code == 422
    (field,) = fields
    assert words in response.text.split(f'id="{field}-error"')[1].split("</div></div>")[0]
    assert fields.get("name", "Typed name") in response.text


def test_both_in_one_go(site: Site) -> None:
    fields = {"name": "Git", "provider_external_host": "https://git.example.com", "category": "Code"}
    response = site.admin.submit(BOTH, **fields, group=str(site.world.staff.id))
    application = by_slug(site.store, "git")
    assert response.headers["Location"] == f"{LIST}{application.id}/"
    with site.store.read() as unit:
        provider = unit.proxy_providers.get_named("Git")
    assert (application.provider, provider.external_host) == (provider.id, "https://git.example.com")
    assert [rule.group for rule in rules(site, application)] == [site.world.staff.id]


def test_both_or_neither(site: Site) -> None:
    response = site.admin.submit(BOTH, name="Git", slug="wiki", provider_external_host="nowhere", category="Kept")
    assert response.status_code == 422
    for field in ("slug", "provider_external_host"):
        assert f'id="{field}-error"' in response.text
    assert 'value="Kept"' in response.text
    with site.store.read() as unit:
        assert (unit.providers.count(), unit.applications.count()) == (2, 2)


def test_both_report_a_missing_name_once(site: Site) -> None:
    response = site.admin.submit(BOTH, provider_external_host="https://git.example.com")
    assert response.text.split('id="name-error"')[1].split("</div></div>")[0].count("This is needed") == 1


def test_rules_can_be_added_moved_disabled_and_removed(site: Site) -> None:
    paste = site.world.paste_application
    url, new = f"{LIST}{paste.id}/", f"{LIST}{paste.id}/bindings/new"
    assert "Open to everyone" in site.admin.get(url).text
    site.admin.submit(new, who="group", group=str(site.world.staff.id))
    site.admin.submit(new, who="user", user="bob", negate="y")
    assert "Open to everyone" not in site.admin.get(url).text
    first, second = rules(site, paste)
    assert (first.group, second.user, second.negate) == (site.world.staff.id, site.world.bob.id, True)
    answer = site.admin.submit(url, f"{url}bindings/{second.id}/up")
    assert answer.headers["Location"] == f"{url}#rule-{second.id}"
    assert rules(site, paste) == [replace(second, order=0), replace(first, order=1)]
    site.admin.submit(url, f"{url}bindings/{second.id}/down")
    assert rules(site, paste) == [first, second]
    site.admin.submit(url, f"{url}bindings/{second.id}/down")
    assert rules(site, paste) == [first, second]
    for rule in rules(site, paste):
        site.admin.submit(url, f"{url}bindings/{rule.id}/toggle")
    assert "Open to everyone" in site.admin.get(url).text
    assert [rule.enabled for rule in rules(site, paste)] == [False, False]
    for rule in rules(site, paste):
        site.admin.submit(url, f"{url}bindings/{rule.id}/remove")
    assert rules(site, paste) == []


def test_a_rule_is_turned_round_and_stays_the_same_rule(site: Site) -> None:
    wiki = site.world.wiki_application
    (rule,) = rules(site, wiki)
    url = f"{LIST}{wiki.id}/"
    assert "Say yes to everybody else" in site.admin.get(url).text
    site.admin.submit(url, f"{url}bindings/{rule.id}/turn")
    assert rules(site, wiki) == [replace(rule, negate=True)]
    page = site.admin.get(url).text
    assert "everybody but group" in page
    assert "Say yes to these alone" in page
    with site.store.read() as unit:
        told = [each for each in unit.audit.latest(9) if each.kind == "binding"]
    assert (told[0].action, told[0].target, told[0].fields) == ("updated", str(rule.id), ("negate",))


def test_disabling_the_last_enabled_rule_asks_first_and_shows_what_it_did(site: Site) -> None:
    wiki = site.world.wiki_application
    url = f"{LIST}{wiki.id}/"
    assert "Disable the last enabled rule?" in site.admin.get(url).text
    site.admin.submit(url, f"{url}bindings/{rules(site, wiki)[0].id}/toggle")
    page = site.admin.get(url).text
    assert "alert-danger" in page
    assert "All rules are disabled, and where no rule is enabled every active user gets in." in page
    assert "Disable the last enabled rule?" not in page


def test_how_many_are_in_a_group_of_a_rule(site: Site) -> None:
    staff, url = site.world.staff, f"{LIST}{site.world.wiki_application.id}/"
    assert "1 member<" in site.admin.get(url).text
    with site.store.write(ADMIN) as unit:
        below = people.create_group(unit, GroupDraft(name="below", parents=frozenset({staff.id})))
        people.set_group_users(unit, below.id, [site.world.alice.id, site.world.bob.id])
    assert "1 member, 1 more through groups below<" in site.admin.get(url).text


@pytest.mark.parametrize("step", ["up", "down", "turn", "toggle", "remove"])
def test_rules_change_by_forms_of_admins_alone(site: Site, step: str) -> None:
    wiki = site.world.wiki_application
    before = rules(site, wiki)
    path = f"{LIST}{wiki.id}/bindings/{before[0].id}/{step}"
    alice = site.browser(site.world.alice)
    sent = {"csrf_token": alice.form("/account/password").fields["csrf_token"][0]}
    assert alice.client.post(path, data=sent).status_code == 403
    assert site.admin.client.post(path).status_code == 400
    assert rules(site, wiki) == before


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"who": "group", "group": ""}, "group", "This is needed"),
        ({"who": "user", "user": ""}, "user", "This is needed"),
        ({"who": "user", "user": "nobody"}, "user", "There is no “nobody”"),
        ({"who": "group", "group": "x"}, "group", "There is no “x”"),
    ],
)
def test_a_rule_needs_somebody(site: Site, fields: dict[str, str], field: str, words: str) -> None:
    response = site.admin.submit(f"{LIST}{site.world.paste_application.id}/bindings/new", **fields)
    assert response.status_code == 422
    assert words in response.text.split(f'id="{field}-error"')[1].split("</div></div>")[0]


def test_a_rule_that_is_gone_is_named(site: Site) -> None:
    wiki = site.world.wiki_application
    url = f"{LIST}{wiki.id}/"
    browser = site.admin
    token = browser.form(url, "/sign-out").fields["csrf_token"]
    gone = f"{url}bindings/{wiki.id}/remove"
    assert browser.client.post(gone, data={"csrf_token": token}).status_code == 404


def test_deleting(site: Site) -> None:
    wiki = site.world.wiki_application
    assert "1 rule goes" in site.admin.get(f"{LIST}{wiki.id}/delete").text
    assert site.admin.submit(f"{LIST}{wiki.id}/delete").status_code == 303
    with site.store.read() as unit:
        assert unit.applications.find(wiki.id) is None
        assert unit.providers.find(site.world.wiki.id) is not None


def test_the_list_says_what_is_open(site: Site) -> None:
    page = site.admin.get(LIST).text
    assert page.count("Open to everyone") == 1
    assert "1 rule" in page
    assert 'href="https://wiki.example.com"' in page

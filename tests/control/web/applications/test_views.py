"""Applications and the rules of who may use them, in the admin interface."""

import pytest

from control.domain.application import Application, Binding
from control.store import Store
from tests.support.site import Site

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
        provider = unit.providers.get_named("Git")
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
    site.admin.submit(url, f"{url}bindings/{second.id}/up")
    assert [rule.user for rule in rules(site, paste)] == [site.world.bob.id, None]
    for rule in rules(site, paste):
        site.admin.submit(url, f"{url}bindings/{rule.id}/toggle")
    assert "Open to everyone" in site.admin.get(url).text
    assert [rule.enabled for rule in rules(site, paste)] == [False, False]
    for rule in rules(site, paste):
        site.admin.submit(url, f"{url}bindings/{rule.id}/remove")
    assert rules(site, paste) == []


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

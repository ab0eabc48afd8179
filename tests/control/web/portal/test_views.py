"""The start page: each person sees what the policies allow, and nothing else."""

from dataclasses import replace

from tests.support.site import Site
from tests.support.stores import ADMIN


def test_people_see_what_they_may_use(site: Site) -> None:
    alice, bob = site.browser(site.world.alice).get("/").text, site.browser(site.world.bob).get("/").text
    for page in (alice, bob):
        assert 'href="https://paste.example.com"' in page
        assert "Admin interface" not in page
    assert 'href="https://wiki.example.com"' in alice
    assert "wiki" not in bob.lower()


def test_administrators_see_the_way_to_the_admin_interface(site: Site) -> None:
    assert 'href="/admin/"' in site.admin.get("/").text


def test_strangers_sign_in_first(site: Site) -> None:
    response = site.browser().get("/")
    assert (response.status_code, response.headers["Location"]) == (303, "/sign-in")


def test_an_administrator_who_may_use_nothing_is_led_to_the_rules(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        unit.applications.remove(site.world.paste_application)  # the wiki is for staff only
    page = site.admin.get("/").text
    assert "No applications for you yet" in page
    assert 'href="/admin/applications/"' in page


def test_nothing_to_see_says_why(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        for application in unit.applications.all():
            for binding in unit.bindings.of_application(application.id):
                unit.bindings.remove(binding)
            unit.applications.remove(application)
    assert "As soon as an administrator gives you access" in site.browser(site.world.bob).get("/").text
    page = site.admin.get("/").text
    assert "Add an application" in page
    assert 'href="/admin/applications/new-with-provider"' in page


def test_categories_and_search(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        unit.applications.update(replace(site.world.wiki_application, category="Knowledge"))
    browser = site.browser(site.world.alice)
    page = browser.get("/").text
    assert page.index("General") < page.index("Knowledge")
    found = browser.get("/?q=WIK").text
    assert "wiki.example.com" in found
    assert "paste.example.com" not in found
    assert "Nothing matches" in browser.get("/?q=zzz").text

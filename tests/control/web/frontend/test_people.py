"""Pages about people in a browser: readable everywhere, usable by keyboard alone and without JavaScript."""

import pytest
from playwright.sync_api import Browser, expect

from control.auth import lockout, people, sessions
from control.auth.lockout import Suspect
from control.auth.people import GroupDraft, UserDraft
from control.auth.sessions import Origin
from control.domain.factors import Method
from control.fleet.applications import replace_bindings
from control.store import Event
from tests.control.web.frontend.serving import DESK, EACH_LOOK, PHONE, Look, serving, unreadable
from tests.support.site import Site
from tests.support.stores import ADMIN

pytestmark = pytest.mark.interop

BOTH = (Method.PASSWORD, Method.RECOVERY_CODE)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
REPORT = "/admin/access/?application=wiki&user="


def furnish(site: Site) -> tuple[str, ...]:
    """Sessions, lockouts and rules of every kind; the addresses that show them."""
    world, wiki = site.world, site.world.wiki_application
    with site.store.write(ADMIN) as unit:
        careful = GroupDraft(name="staff-berlin", parents=frozenset({world.staff.id}), second_factor=True)
        berlin = people.create_group(unit, careful)
        people.set_user_groups(unit, world.bob.id, [berlin.id])
        people.create_user(unit, UserDraft(username="w" * 150, name="W" * 150))
        not_bob, resting = {"user": world.bob.id, "negate": True}, {"user": world.alice.id, "enabled": False}
        replace_bindings(unit, wiki, [{"group": world.staff.id}, not_bob, resting])
        replace_bindings(unit, world.paste_application, [{"group": berlin.id, "enabled": False}])
        where = Origin(address="2001:db8:85a3:8d3:1319:8a2e:370:7348", user_agent=IPHONE)
        opened = sessions.open_session(unit, world.bob.id, where, methods=BOTH).sign_in
        unit.record(Event(action="redeemed", kind="code", target=str(opened.id), name="bob at wiki"))
        for user, name in ((world.alice.id, "alice"), (berlin.id, "a-name-that-nobody-has")):
            for _ in range(20):
                suspect = Suspect(user=user, name=name, place="2001:db8:85a3:8d3::/64")
                lockout.count_failure(unit, lockout.look(unit, suspect))
    nouns = ("users/", "sessions/", "lockouts/", "access/", f"groups/{berlin.id}/", f"groups/{world.staff.id}/edit")
    applications = (f"applications/{wiki.id}/", f"applications/{world.paste_application.id}/")
    shown = (*nouns, *applications, f"users/{world.bob.id}/", f"users/{world.alice.id}/", "access/?user=o")
    reports = tuple(REPORT + name for name in ("alice", "bob", "root"))
    return ("/account/sessions", *reports, *(f"/admin/{path}" for path in shown))


@EACH_LOOK
def test_every_word_can_be_read(browser: Browser, site: Site, look: Look) -> None:
    with serving(site, furnish(site)) as served:
        assert unreadable(browser, served, look) == {}


def test_testing_access_by_keyboard_with_what_one_types_suggested(browser: Browser, site: Site) -> None:
    furnish(site)
    with serving(site) as served, served.signed_in(browser.new_context(viewport=DESK)) as context:
        page = context.new_page()
        page.goto(f"{served.url}/admin/access/")
        page.keyboard.type("bo")
        expect(page.locator("#access-user-choices option")).to_have_count(1)
        page.keyboard.type("b")
        page.keyboard.press("Tab")
        page.keyboard.type("wiki")
        page.keyboard.press("Enter")
        expect(page.locator("#verdict")).to_have_text("Bob may use Wiki")
        expect(page).to_have_url(f"{served.url}/admin/access/?user=bob&application=wiki")


def test_lifting_a_lockout_by_keyboard(browser: Browser, site: Site) -> None:
    furnish(site)
    with serving(site) as served, served.signed_in(browser.new_context(viewport=DESK)) as context:
        page = context.new_page()
        page.goto(f"{served.url}/admin/lockouts/?q=alice")
        page.get_by_role("searchbox").focus()
        for _ in range(2):
            page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Lift")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").first).to_contain_text("alice may try again at once")
        expect(page.get_by_text("No lockout matches")).to_be_visible()


def test_ending_a_session_asks_first_and_can_be_called_off(browser: Browser, site: Site) -> None:
    furnish(site)
    with serving(site) as served, served.signed_in(browser.new_context(viewport=DESK)) as context:
        page = context.new_page()
        page.goto(f"{served.url}/admin/sessions/?q=bob")
        end = page.get_by_role("button", name="End", exact=True)
        end.press("Enter")
        expect(page.get_by_role("heading", name="End this session of bob?")).to_be_visible()
        page.keyboard.press("Escape")
        expect(end).to_be_focused()
        end.press("Enter")
        page.get_by_role("dialog").get_by_role("button", name="End").press("Enter")
        expect(page.get_by_text("No session matches")).to_be_visible()


def test_a_rule_that_was_moved_by_keyboard_is_where_one_goes_on(browser: Browser, site: Site) -> None:
    furnish(site)
    with serving(site) as served, served.signed_in(browser.new_context(viewport=DESK)) as context:
        page = context.new_page()
        page.goto(f"{served.url}/admin/applications/{site.world.wiki_application.id}/")
        page.get_by_role("button", name="Move down").first.press("Enter")
        expect(page.locator("tbody tr").nth(1)).to_contain_text("group staff")
        page.keyboard.press("Tab")
        expect(page.locator("tbody tr").nth(1).get_by_role("link", name="staff")).to_be_focused()


def test_everything_works_without_javascript(browser: Browser, site: Site) -> None:
    furnish(site)
    plain = browser.new_context(viewport=PHONE, java_script_enabled=False)
    with serving(site) as served, served.signed_in(plain) as context:
        page = context.new_page()
        page.goto(f"{served.url}/admin/access/")
        page.get_by_label("User", exact=True).fill("o")
        page.get_by_label("Application", exact=True).fill("wik")
        page.get_by_role("button", name="Test").click()
        page.get_by_role("link", name="Root root").click()
        expect(page.locator("#verdict")).to_have_text("Root may not use Wiki")
        page.goto(f"{served.url}/admin/lockouts/?q=alice")
        page.get_by_role("button", name="Lift").click()
        expect(page.get_by_text("may try again at once")).to_be_visible()
        page.goto(f"{served.url}/admin/sessions/?q=bob")
        page.get_by_role("button", name="End", exact=True).click()
        expect(page.get_by_text("No session matches")).to_be_visible()


def test_the_warning_about_members_without_a_factor_comes_with_the_tick(browser: Browser, site: Site) -> None:
    with serving(site) as served, served.signed_in(browser.new_context(viewport=DESK)) as context:
        page = context.new_page()
        page.goto(f"{served.url}/admin/groups/{site.world.staff.id}/edit")
        warning = page.get_by_text("1 of 1 active member has no second factor yet")
        expect(warning).to_be_hidden()
        page.get_by_label("Needs a second factor").check()
        expect(warning).to_be_visible()

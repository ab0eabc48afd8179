"""Testing access in the admin interface: the verdict and everything that leads to it."""

import html
import re
from uuid import UUID

import pytest

from control.auth import lockout, people
from control.auth.attempts import may_use_password
from control.auth.lockout import Suspect
from control.auth.people import GroupDraft, UserDraft
from control.domain.application import Application
from control.domain.identity import Group, UserKind
from control.fleet.applications import replace_bindings, update_application
from tests.support import builders
from tests.support.site import Site
from tests.support.stores import ADMIN

URL = "/admin/access/"


def words(page: str) -> str:
    """The text of a page, spaces made one."""
    plain = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", page)))
    return re.sub(r" ([,.:])", r"\1", plain)


def result(site: Site, user: str, application: str) -> str:
    return words(site.admin.get(f"{URL}?user={user}&application={application}").text.split("<main")[1])


def set_rules(site: Site, *rules: dict[str, object], **fields: object) -> Application:
    with site.store.write(ADMIN) as unit:
        wiki = update_application(unit, site.world.wiki_application, fields)
        replace_bindings(unit, wiki, rules)
    return wiki


def group(site: Site, name: str, *parents: UUID, second_factor: bool = False) -> Group:
    with site.store.write(ADMIN) as unit:
        return people.create_group(unit, GroupDraft(name=name, parents=frozenset(parents), second_factor=second_factor))


def test_a_group_above_lets_somebody_in_and_the_way_is_told(site: Site) -> None:
    berlin = group(site, "staff-berlin", site.world.staff.id)
    mitte = group(site, "mitte", berlin.id)
    with site.store.write(ADMIN) as unit:
        people.set_user_groups(unit, site.world.bob.id, [mitte.id])
    page = result(site, "bob", "wiki")
    assert "Bob may use Wiki" in page
    assert "One enabled rule that says yes is enough, and 1 of 1 does." in page
    assert "bob is in mitte, which is below staff-berlin, which is below staff" in page


def test_nobody_of_the_rules_is_kept_out(site: Site) -> None:
    page = result(site, "bob", "wiki")
    assert "Bob may not use Wiki" in page
    assert "none of 1 does" in page
    assert "bob isn't in staff, nor in a group below it" in page


def test_an_application_without_rules_is_open(site: Site) -> None:
    page = result(site, "bob", "paste")
    assert "Bob may use Paste" in page
    assert "open to everyone" in page


def test_each_rule_says_what_it_does_to_the_verdict(site: Site) -> None:
    alice, staff, bob = site.world.alice.id, site.world.staff.id, site.world.bob.id
    set_rules(
        site,
        {"group": staff},
        {"user": alice, "negate": True},
        {"user": bob, "enabled": False},
        {"user": bob, "negate": True},
        policy_mode="all",
    )
    text = site.admin.get(f"{URL}?user=alice&application=wiki").text
    rows = [words(row) for row in text.split("<tbody>")[1].split("</tr>")[:4]]
    assert "Alice may not use Wiki" in words(text)
    assert "All enabled rules must say yes, and 1 of 3 doesn't." in words(text)
    assert [("yes" in row.split("user")[-1], "turned round" in row, "no: disabled" in row) for row in rows[2:]] == [
        (False, False, True),
        (True, True, False),
    ]
    assert "everybody but user alice" in rows[1]
    assert "this very user" in rows[1]
    assert text.count("g-resting") == 1


def test_all_rules_disabled_means_everybody(site: Site) -> None:
    set_rules(site, {"group": site.world.staff.id, "enabled": False})
    page = result(site, "bob", "wiki")
    assert "Bob may use Wiki" in page
    assert "no rule is enabled, so every active user gets in" in page


def test_an_account_that_cant_sign_in_uses_nothing(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        people.set_active(unit, site.world.alice.id, active=False)
        people.create_user(unit, UserDraft(username="robot", kind=UserKind.SERVICE))
    page = result(site, "alice", "wiki")
    assert "Alice may not use Wiki The account is inactive." in page
    page = result(site, "robot", "paste")
    assert "robot may not use Paste" in page
    assert "the account has nothing to sign in with" in page
    assert "no sign-in in a browser" in page


def test_an_app_password_lets_a_service_account_in_where_it_is_good(site: Site) -> None:
    wiki, paste = site.world.wiki_application, site.world.paste_application
    with site.store.write(ADMIN) as unit:
        robot = people.create_user(unit, UserDraft(username="robot", kind=UserKind.SERVICE))
        replace_bindings(unit, wiki, [])
        unit.app_passwords.add(builders.app_password(robot.id, applications=frozenset({wiki.id})))
        unit.app_passwords.add(builders.app_password(robot.id, everywhere=True, expires=unit.now))
    assert not may_use_password(robot)
    assert "robot may use Wiki" in result(site, "robot", "wiki")
    assert "1 good for Wiki" in result(site, "robot", "wiki")
    assert "Not due: robot comes in by app passwords alone, which ask for none." in result(site, "robot", "wiki")
    assert "robot may not use Paste" in result(site, "robot", paste.slug)


def test_whether_a_second_factor_is_due_and_by_whose_word(site: Site) -> None:
    assert "Not due: neither a group nor the application asks for one, and alice has none." in result(
        site, "alice", "wiki"
    )
    careful = group(site, "careful", second_factor=True)
    with site.store.write(ADMIN) as unit:
        staff = unit.groups.get(site.world.staff.id)
        people.update_group(unit, builders.group("staff", id=staff.id, parents=frozenset({careful.id})))
    set_rules(site, second_factor=True)
    page = result(site, "alice", "wiki")
    assert "Wiki asks for one." in page
    assert "careful asks for one: alice is in staff, which is below careful." in page
    assert "Missing alice has none. In a browser the way in leads through setting one up" in page
    with site.store.write(ADMIN) as unit:
        for user in (site.world.alice, site.world.bob):
            unit.authenticators.add(builders.authenticator(user.id))
    assert "Set up alice has an authenticator app." in result(site, "alice", "wiki")
    assert "Who has one uses it." in result(site, "bob", "paste")


def test_who_is_locked_out_at_the_moment_is_told(site: Site) -> None:
    alice = site.world.alice
    with site.store.write(ADMIN) as unit:
        for _ in range(5):
            lockout.count_failure(unit, lockout.look(unit, Suspect(user=alice.id, name="alice", place="192.0.2.1")))
    page = result(site, "alice", "wiki")
    assert "Alice may use Wiki" in page
    assert "Locked out at the moment" in page


def test_a_few_letters_are_enough_where_they_are_plain(site: Site) -> None:
    assert "Alice may use Wiki" in result(site, "lic", "WIK")
    page = site.admin.get(f"{URL}?user=example.com&application=wiki").text
    assert "Which user?" in page
    assert f'href="{URL}?application=wiki&amp;user=alice"' in page
    assert "may use" not in page
    assert "No user matches “zzz”" in words(site.admin.get(f"{URL}?user=zzz").text)
    assert "No application matches “zzz”" in words(site.admin.get(f"{URL}?user=bob&application=zzz").text)


def test_the_page_begins_with_nothing_chosen(site: Site) -> None:
    page = site.admin.get(URL).text
    assert '<option value="alice">Alice</option>' in page
    assert '<option value="wiki">Wiki</option>' in page
    assert "Nothing is changed" in page
    assert "Now choose an application" in site.admin.get(f"{URL}?user=alice").text


@pytest.mark.parametrize("text", ["a%00b", "%F0%28%8C%28", "%25", "x" * 5000, "<script>"])
def test_whatever_is_typed_is_answered(site: Site, text: str) -> None:
    for url in (f"{URL}?user={text}&application={text}", f"{URL}users/live?user={text}"):
        assert site.admin.get(url).status_code == 200
    assert "<script>" not in site.admin.get(f"{URL}?user={text}").text


def test_choices_come_while_one_types(site: Site) -> None:
    assert site.admin.get(f"{URL}users/live?user=ali").text.strip() == '<option value="alice">Alice</option>'
    assert site.admin.get(f"{URL}applications/live?application=p").text.count("<option") == 1
    assert site.admin.get(f"{URL}users/live?user=alice").text.count("<option") == 1


def test_accounts_of_outposts_arent_offered(site: Site) -> None:
    assert "ak-outpost" not in site.admin.get(f"{URL}users/live?user=").text


def test_pages_lead_here(site: Site) -> None:
    wiki = site.world.wiki_application
    assert f"{URL}?application=wiki" in site.admin.get(f"/admin/applications/{wiki.id}/").text
    assert f"{URL}?user=alice" in site.admin.get(f"/admin/users/{site.world.alice.id}/").text

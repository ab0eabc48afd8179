"""Groups in the admin interface."""

import pytest

from control.auth import people
from control.auth.people import GroupDraft, UserDraft
from control.domain.identity import Group
from control.store import Store
from tests.support import builders
from tests.support.site import Site
from tests.support.stores import ADMIN

LIST = "/admin/groups/"
NEW = "/admin/groups/new"


def named(store: Store, name: str) -> Group:
    with store.read() as unit:
        return unit.groups.get_named(name)


def test_creating_and_editing(site: Site) -> None:
    staff = site.world.staff
    response = site.admin.submit(NEW, name="red team", parents=[str(staff.id)], attributes="colour: red")
    group = named(site.store, "red team")
    assert response.headers["Location"] == f"{LIST}{group.id}/"
    assert (group.parents, group.superuser) == (frozenset({staff.id}), False)
    assert group.attributes == {"colour": "red"}
    url = f"{LIST}{group.id}/edit"
    assert site.admin.submit(url).status_code == 303
    assert named(site.store, "red team") == group
    site.admin.submit(url, superuser="y", parents=[])
    changed = named(site.store, "red team")
    assert (changed.superuser, changed.parents) == (True, frozenset())


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"name": ""}, "name", "This is needed"),
        ({"name": "staff"}, "name", "taken already"),
        ({"name": "a|b"}, "name", "isn&#39;t allowed"),
        ({"attributes": "- list"}, "attributes", "mapping"),
        ({"parents": ["x"]}, "parents", "no such group"),
    ],
)
def test_problems_stand_at_their_fields(site: Site, fields: dict[str, object], field: str, words: str) -> None:
    response = site.admin.submit(NEW, **{"name": "new", **fields})
    assert response.status_code == 422
    assert words in response.text.split(f'id="{field}-error"')[1].split("</div></div>")[0]


def test_a_second_factor_is_asked_for_by_a_tick_and_the_admin_is_told_who_lacks_one(site: Site) -> None:
    staff = site.world.staff
    url = f"{LIST}{staff.id}/edit"
    assert "1 of 1 active member has no second factor yet" in site.admin.get(url).text
    site.admin.submit(url, second_factor="y")
    assert named(site.store, "staff").second_factor
    assert "has no second factor yet" not in site.admin.get(url).text
    page = site.admin.get(f"{LIST}{staff.id}/").text
    assert "1 of 1 active member has none yet" in page
    assert "no second factor yet" in page
    with site.store.write(ADMIN) as unit:
        unit.authenticators.add(builders.authenticator(site.world.alice.id))
        below = people.create_group(unit, GroupDraft(name="below", parents=frozenset({staff.id})))
    assert "every active member has one" in site.admin.get(f"{LIST}{staff.id}/").text
    assert "needed, inherited" in site.admin.get(f"{LIST}{below.id}/").text
    assert "second factor, inherited" in site.admin.get(LIST).text
    assert "second factor" in site.admin.get(f"{LIST}{below.id}/edit").text


def test_a_group_cant_be_put_below_itself(site: Site) -> None:
    staff = site.world.staff
    site.admin.submit(NEW, name="below", parents=[str(staff.id)])
    below = named(site.store, "below")
    page = site.admin.get(f"{LIST}{staff.id}/edit").text
    assert f'value="{below.id}"' not in page
    response = site.admin.submit(f"{LIST}{staff.id}/edit", parents=[str(below.id)])
    assert response.status_code == 422
    assert "below itself" in response.text


def test_adding_and_removing_members(site: Site) -> None:
    staff, bob = site.world.staff, site.world.bob
    url = f"{LIST}{staff.id}/"
    add = f"{url}members/add"
    page = site.admin.get(add).text
    assert f'value="{bob.id}"' in page
    assert f'value="{site.world.alice.id}"' not in page
    assert site.admin.submit(add).status_code == 422
    site.admin.submit(add, users=[str(bob.id)])
    with site.store.read() as unit:
        assert unit.memberships.users_in(staff.id) == {bob.id, site.world.alice.id}
    assert site.browser(bob).get("/").text.count("wiki.example.com") > 0
    site.admin.submit(url, f"{url}members/{bob.id}/remove")
    with site.store.read() as unit:
        assert unit.memberships.users_in(staff.id) == {site.world.alice.id}


def test_finding_members_among_many(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        for number in range(80):
            people.create_user(unit, UserDraft(username=f"user{number:03}"))
    add = f"{LIST}{site.world.staff.id}/members/add"
    page = site.admin.get(add).text
    assert "50 of 82 shown" in page
    assert "user077" not in page
    found = site.admin.get(f"{add}?q=user077", HX_Request="true", HX_Target="modal").text
    assert "user077" in found
    assert found.count('type="checkbox"') == 1


def test_what_a_rule_names_stays(site: Site) -> None:
    url = f"{LIST}{site.world.staff.id}/delete"
    page = site.admin.get(url).text
    assert f"/admin/applications/{site.world.wiki_application.id}/" in page
    assert ">Delete</button>" not in page
    assert site.admin.submit(url).status_code == 422
    site.admin.submit(NEW, name="unused")
    unused = named(site.store, "unused")
    assert site.admin.submit(f"{LIST}{unused.id}/delete").status_code == 303
    with site.store.read() as unit:
        assert unit.groups.find(unused.id) is None


def test_the_list(site: Site) -> None:
    with site.store.read() as unit:
        admins = unit.groups.get_named("admins")
    site.admin.submit(NEW, name="helpers", parents=[str(admins.id)])
    page = site.admin.get(LIST).text
    assert page.count(">superuser<") == 1
    assert page.count(">superuser, inherited<") == 1
    assert "staff" not in site.admin.get(f"{LIST}?q=ADM").text.split("<tbody>")[1]
    assert "No group matches" in site.admin.get(f"{LIST}?q=zzz").text

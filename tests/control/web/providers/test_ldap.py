"""LDAP providers in the admin interface."""

from html import unescape
from uuid import UUID

import pytest

from control.auth.people import GroupDraft, UserDraft, create_group, create_user
from control.domain.application import USER_ATTRIBUTES, AttributeMapping, BindMode, LdapProvider
from control.domain.identity import UserKind
from control.fleet.applications import create_application
from control.fleet.certificates import generate_certificate
from control.fleet.ldap_providers import create_ldap_provider
from control.fleet.outposts import create_outpost
from control.store import Store
from tests.support.site import Site
from tests.support.stores import ADMIN

LIST = "/admin/providers/"
NEW = "/admin/providers/new/ldap"
BASE = "DC=corp,DC=example"


def named(store: Store, name: str) -> LdapProvider:
    with store.read() as unit:
        return unit.ldap_providers.get_named(name)


def make(store: Store, **fields: object) -> LdapProvider:
    with store.write(ADMIN) as unit:
        return create_ldap_provider(unit, {"name": "dir", "base_dn": BASE, **fields})


def page_of(site: Site, provider: LdapProvider) -> str:
    response = site.admin.get(f"{LIST}{provider.id}/")
    assert response.status_code == 200
    return response.text


def group_of(store: Store, name: str = "searchers") -> UUID:
    with store.write(ADMIN) as unit:
        return create_group(unit, GroupDraft(name=name)).id


def test_a_type_is_chosen_first(site: Site) -> None:
    page = site.admin.get("/admin/providers/new").text
    for address in ("/admin/providers/new/proxy", NEW):
        assert f'href="{address}"' in page
        assert site.admin.get(address).status_code == 200
    assert "<html" not in site.admin.client.get("/admin/providers/new", headers={"HX-Target": "modal"}).text


def test_creating_and_editing(site: Site) -> None:
    response = site.admin.submit(NEW, name="dir")
    provider = named(site.store, "dir")
    assert response.headers["Location"] == f"{LIST}{provider.id}/"
    assert provider == LdapProvider(id=provider.id, name="dir")
    group = group_of(site.store)
    url = f"{LIST}{provider.id}/edit"
    changes = {"base_dn": BASE, "search_group": str(group), "bind_mode": "direct", "mfa_support": None}
    shown = {"user_attributes": "loginShell\r\n\r\nmobile = phone", "group_attributes": "description"}
    numbers = {"uid_start_number": "5000", "gid_start_number": "9000", "size_limit": "100", "time_limit": "minutes=1"}
    assert site.admin.submit(url, **changes, **shown, **numbers).status_code == 303
    changed = named(site.store, "dir")
    assert (changed.base_dn, changed.search_group, changed.bind_mode) == (BASE, group, BindMode.DIRECT)
    assert not changed.mfa_support
    assert changed.user_attributes == (
        AttributeMapping(attribute="loginShell", source="loginShell"),
        AttributeMapping(attribute="mobile", source="phone"),
    )
    assert changed.group_attributes == (AttributeMapping(attribute="description", source="description"),)
    assert (changed.uid_start_number, changed.gid_start_number, changed.size_limit) == (5000, 9000, 100)
    assert changed.time_limit.total_seconds() == 60
    assert site.admin.submit(url).status_code == 303
    assert named(site.store, "dir") == changed


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "This is needed"),
        ({"name": "wiki"}, "taken already"),
        ({"base_dn": "example.com"}, "no distinguished name"),
        ({"bind_mode": "sometimes"}, "sometimes"),
        ({"user_attributes": "mobile = phone\nuserPassword"}, "kept secret"),
        ({"user_attributes": "uid"}, "by itself"),
        ({"group_attributes": "1st"}, "can't be an attribute"),
        ({"uid_start_number": "many"}, "many"),
        ({"time_limit": "soon"}, "no duration"),
        ({"tls_server_name": "10.0.0.1"}, "is an address"),
        ({"search_group": "nobody"}, "nobody"),
    ],
)
def test_problems_stand_at_their_fields(site: Site, fields: dict[str, str], words: str) -> None:
    response = site.admin.submit(NEW, **{"name": "dir", "base_dn": BASE, **fields})
    assert response.status_code == 422
    error = response.text.split('class="invalid-feedback', 1)[1].split("</div></div>")[0]
    assert words in unescape(error)
    with site.store.read() as unit:
        assert unit.ldap_providers.count() == 0


def test_the_page_warns_of_what_is_missing(site: Site) -> None:
    page = page_of(site, make(site.store))
    for words in ("No application uses", "No outpost serves", "No search group", "signs its certificate itself"):
        assert words in page
    assert "are those of users and of groups" not in page
    assert "Service account</em>" in page


def test_the_page_leads_on_with_fields_filled_in(site: Site) -> None:
    group = group_of(site.store)
    provider = make(site.store, search_group=group)
    page = unescape(page_of(site, provider))
    outpost = f"/admin/outposts/new?type=ldap&providers={provider.id}"
    account = f"/admin/users/new?kind=service_account&groups={group}"
    application = f"/admin/applications/new?provider={provider.id}"
    assert all(f'href="{address}"' in page for address in (outpost, account, application))
    site.admin.submit(application, name="Mail")
    site.admin.submit(outpost, name="dir")
    site.admin.submit(account, username="mail")
    page = page_of(site, provider)
    assert "No application" not in page
    assert "No outpost" not in page
    assert f"cn=mail,ou=users,{BASE}" in page


def test_numbers_that_meet(site: Site) -> None:
    assert "The numbers from 1000001 to" in page_of(
        site, make(site.store, uid_start_number=1_000_000, gid_start_number=0)
    )


def test_the_page_has_what_a_program_is_told(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        certificate = generate_certificate(unit, {"name": "dir", "common_name": "ldap.corp.example"})
    group = group_of(site.store)
    values = {"certificate": certificate.id, "search_group": group, "user_attributes": "mobile = phone"}
    page = page_of(site, make(site.store, **values))
    assert 'value="ldaps://ldap.corp.example:6636"' in page
    assert 'value="ldap://ldap.corp.example:3389"' in page
    assert f"ldap_default_bind_dn = cn=search,ou=users,{BASE}" in page
    assert "signs its certificate itself" not in page
    assert "<code>mobile</code>" in page
    assert "<code>phone</code>" in page


def test_the_tls_server_name_is_where_it_is_found(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        certificate = generate_certificate(unit, {"name": "dir", "common_name": "*.corp.example"})
    assert 'value="ldaps://ldap.example.com:6636"' in page_of(site, make(site.store, certificate=certificate.id))
    named = make(site.store, name="named", base_dn="DC=x", tls_server_name="d.corp.example")
    assert 'value="ldaps://d.corp.example:6636"' in page_of(site, named)


def test_accounts_that_search_and_what_they_lack(site: Site) -> None:
    upper = group_of(site.store)
    with site.store.write(ADMIN) as unit:
        lower = create_group(unit, GroupDraft(name="programs", parents=frozenset({upper})))
        draft = UserDraft(username="nextcloud", name="", kind=UserKind.SERVICE, groups=frozenset({lower.id}))
        account = create_user(unit, draft)
        create_user(unit, UserDraft(username="other", name="", kind=UserKind.SERVICE))
    provider = make(site.store, search_group=upper)
    with site.store.write(ADMIN) as unit:
        rules = [{"group": site.world.staff.id}]
        create_application(unit, {"slug": "dir", "name": "Dir", "provider": provider.id, "bindings": rules})
    page = page_of(site, provider)
    assert f"cn=nextcloud,ou=users,{BASE}" in page
    assert "keep it out" in page
    assert ">other<" not in page
    create = f"/admin/users/{account.id}/app-passwords/new"
    assert f'href="{create}"' in page
    assert site.admin.submit(create, name="Nextcloud").status_code == 200
    assert f'href="{create}"' not in page_of(site, provider)


def test_a_search_group_says_so_and_stays(site: Site) -> None:
    upper = group_of(site.store)
    with site.store.write(ADMIN) as unit:
        lower = create_group(unit, GroupDraft(name="programs", parents=frozenset({upper}))).id
    link = f'href="{LIST}{make(site.store, search_group=upper).id}/"'
    for group in (upper, lower):
        assert link in site.admin.get(f"/admin/groups/{group}/").text
    url = f"/admin/groups/{upper}/delete"
    assert link in site.admin.get(url).text
    assert site.admin.submit(url).status_code == 422
    assert site.admin.submit(f"/admin/groups/{lower}/delete").status_code == 303


def test_the_list_tells_types_apart(site: Site) -> None:
    make(site.store)
    page = site.admin.get(LIST).text
    assert BASE in page
    assert "https://wiki.example.com" in page
    found = site.admin.get(f"{LIST}?q=corp").text
    assert BASE in found
    assert "https://wiki.example.com" not in found


def test_deleting(site: Site) -> None:
    provider = make(site.store)
    url = f"{LIST}{provider.id}/delete"
    assert BASE in site.admin.get(url).text
    assert site.admin.submit(url).status_code == 303
    with site.store.read() as unit:
        assert unit.ldap_providers.count() == 0


def test_an_application_with_one_has_no_tile_unless_it_leads_somewhere(site: Site) -> None:
    provider = make(site.store)
    response = site.admin.submit("/admin/applications/new", name="Mail", provider=str(provider.id))
    assert response.status_code == 303
    address = response.headers["Location"]
    assert "nowhere" in site.admin.get(address).text
    assert BASE in site.admin.get("/admin/applications/").text
    bob = site.browser(site.world.bob)
    assert ">Mail<" not in bob.get("/").text
    assert ">Mail<" in site.admin.get(f"/admin/users/{site.world.bob.id}/").text
    assert "Mail <small" in bob.get("/account/app-passwords/new").text
    site.admin.submit(f"{address}edit", launch_url="https://mail.example.com/")
    assert 'href="https://mail.example.com/"' in bob.get("/").text


def test_an_outpost_serves_it(site: Site) -> None:
    provider = make(site.store)
    form = site.admin.get("/admin/outposts/new").text
    assert BASE in form
    mixed = [str(provider.id), str(site.world.wiki.id)]
    refused = site.admin.submit("/admin/outposts/new", name="dir", type="ldap", providers=mixed)
    assert refused.status_code == 422
    assert "“wiki” can't be served here" in unescape(refused.text)
    response = site.admin.submit("/admin/outposts/new", name="dir", type="ldap", providers=[str(provider.id)])
    assert response.status_code == 303
    address = response.headers["Location"].partition("#")[0]
    page = site.admin.get(address).text
    assert "garrison-outpost ldap --state" in page
    assert "<dd>LDAP</dd>" in page
    assert BASE in site.admin.get(f"{address}edit").text
    assert site.admin.form(f"{address}edit").fields["providers"] == [str(provider.id)]
    assert site.admin.submit(f"{address}edit").status_code == 303
    assert "No outpost serves" not in page_of(site, provider)
    assert site.admin.submit(f"{address}edit", type="proxy").status_code == 422


def test_the_default_shows_what_a_unix_account_needs(site: Site) -> None:
    (text,) = site.admin.form(NEW).fields["user_attributes"]
    assert text.split() == [each.attribute for each in USER_ATTRIBUTES]


def test_lists_and_pages_with_both_types(site: Site) -> None:
    provider = make(site.store)
    with site.store.write(ADMIN) as unit:
        create_application(unit, {"slug": "dir", "name": "Dir", "provider": provider.id})
        create_outpost(unit, {"name": "dir", "type": "ldap", "providers": [provider.id]})
    for url in ("/admin/", "/admin/applications/", "/admin/outposts/", "/admin/providers/", "/"):
        assert site.admin.get(url).status_code == 200

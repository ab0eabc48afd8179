"""Providers of every type on one shelf: found by name and id, each stored whole, and used by what names them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from control.domain.application import AttributeMapping, BindMode, LdapProvider, Provider, ProxyProvider, SearchMode
from control.domain.errors import InUse, Invalid, NotFound
from control.domain.security import Certificate
from control.store import Store, Unit
from tests.support import builders
from tests.support.stores import ADMIN

Shelved = tuple[ProxyProvider, LdapProvider]


@pytest.fixture
def shelved(store: Store) -> Shelved:
    wiki, directory = builders.provider("wiki"), builders.ldap_provider("dir")
    with store.write(ADMIN) as unit:
        assert unit.providers.add(wiki) == wiki
        assert unit.providers.add(directory) == directory
    return wiki, directory


def test_all_types_lie_on_one_shelf(store: Store, shelved: Shelved) -> None:
    wiki, directory = shelved
    with store.read() as unit:
        assert unit.providers.all() == [directory, wiki]
        assert (unit.proxy_providers.all(), unit.ldap_providers.all()) == ([wiki], [directory])
        assert (unit.providers.count(), unit.proxy_providers.count(), unit.ldap_providers.count()) == (2, 1, 1)
        assert unit.providers.known([wiki.id, directory.id, builders.user().id]) == {wiki.id, directory.id}
        assert unit.providers.find_many([wiki.id, directory.id]) == {wiki.id: wiki, directory.id: directory}
        assert (unit.providers.get(wiki.id), unit.providers.get_named("dir")) == (wiki, directory)
        assert (unit.proxy_providers.find(directory.id), unit.ldap_providers.find_named("wiki")) == (None, None)


def test_an_ldap_provider_is_stored_whole(store: Store, shelved: Shelved) -> None:
    _, directory = shelved
    with store.write(ADMIN) as unit:
        staff = unit.groups.add(builders.group("staff"))
        web = unit.certificates.add(Certificate(id=staff.id, name="web", chain="C", private_key="K", created=unit.now))
        wanted = LdapProvider(
            id=directory.id,
            name="other",
            base_dn="DC=a,DC=b",
            bind_mode=BindMode.DIRECT,
            search_mode=SearchMode.DIRECT,
            mfa_support=False,
            search_group=staff.id,
            uid_start_number=2**31 - 1,
            gid_start_number=0,
            certificate=web.id,
            tls_server_name="ldap.example.com",
            user_attributes=(AttributeMapping(attribute="telephoneNumber", source="phone.home"),),
            group_attributes=(AttributeMapping(attribute="x", source="y"),),
            size_limit=2**31 - 1,
            time_limit=timedelta(milliseconds=1500),
        )
        unit.providers.update(wanted)
    with store.read() as unit:
        assert unit.providers.get(directory.id) == wanted


@pytest.mark.parametrize("place", [0, 1])
def test_a_name_is_one_providers_whatever_its_type(store: Store, shelved: Shelved, place: int) -> None:
    other: tuple[Provider, Provider] = builders.provider("dir"), builders.ldap_provider("wiki")
    with store.write(ADMIN) as unit:
        with pytest.raises(Invalid, match="name"):
            unit.providers.add(other[place])
        with pytest.raises(Invalid, match="name"):
            unit.providers.update(replace(shelved[place], name=shelved[1 - place].name))


def test_a_provider_is_not_updated_as_another_type(store: Store, shelved: Shelved) -> None:
    with store.write(ADMIN) as unit, pytest.raises(NotFound):
        unit.providers.update(builders.ldap_provider("wiki", id=shelved[0].id))


def test_a_provider_goes_with_all_of_it(store: Store, shelved: Shelved) -> None:
    with store.write(ADMIN) as unit:
        unit.applications.add(builders.application("dir", provider=shelved[1].id))
        with pytest.raises(InUse, match="dir"):
            unit.providers.remove(shelved[1])
        unit.applications.remove(unit.applications.get_named("dir"))
        for each in shelved:
            unit.providers.remove(each)
        assert (unit.providers.all(), unit.ldap_providers.count(), unit.proxy_providers.count()) == ([], 0, 0)


def test_what_a_provider_names_stays(store: Store, shelved: Shelved) -> None:
    def refused(remove: Any, *of: Any) -> str:
        with pytest.raises(InUse) as caught:
            remove(*of)
        return caught.value.used_by

    with store.write(ADMIN) as unit:
        staff = unit.groups.add(builders.group("staff"))
        web = unit.certificates.add(Certificate(id=staff.id, name="web", chain="C", private_key="K", created=unit.now))
        unit.providers.update(replace(shelved[1], search_group=staff.id, certificate=web.id))
        assert refused(unit.groups.remove, staff) == "provider 'dir'"
        assert refused(unit.certificates.remove, web) == "provider 'dir'"
        unit.providers.update(replace(shelved[0], certificate=web.id))
        unit.providers.update(shelved[1])
        unit.groups.remove(staff)
        assert refused(unit.certificates.remove, web) == "provider 'wiki'"


def test_no_change_of_an_ldap_provider_ends_sessions(store: Store, shelved: Shelved) -> None:
    """Rights are looked up anew at each operation, and how a bind was proved stays true."""
    with store.write(ADMIN) as unit:
        unit.providers.update(replace(shelved[1], mfa_support=False, bind_mode=BindMode.DIRECT, base_dn="dc=other"))
    with store.read() as unit:
        assert unit.revocations.live() == []


def test_rules_of_an_ldap_application_end_binds(store: Store, shelved: Shelved) -> None:
    with store.write(ADMIN) as unit:
        application = unit.applications.add(builders.application("dir", provider=shelved[1].id))
    with store.write(ADMIN) as unit:
        unit.applications.update(replace(application, second_factor=True))
    with store.read() as unit:
        assert [each.provider for each in unit.revocations.live()] == [shelved[1].id]


def test_the_audit_trail_knows_providers_of_all_types(store: Store, shelved: Shelved) -> None:
    def told(unit: Unit) -> list[tuple[str, str, str]]:
        return [(each.action, each.kind, each.name) for each in unit.audit.latest(10)]

    with store.write(ADMIN) as unit:
        unit.providers.update(replace(shelved[1], size_limit=5))
    with store.read() as unit:
        assert told(unit)[0] == ("updated", "provider", "dir")
        assert ("created", "provider", "wiki") in told(unit)

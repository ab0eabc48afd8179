"""What each program asks a directory for, word for word as it asks, and what it needs to be answered.

The programs themselves can't all run here; their requests are taken from their sources (sssd and nslcd run in tests of
their own).
"""

import pytest

from tests.support import ldap_ber as ber
from tests.support.ldap_ber import BASE as BASE_SCOPE
from tests.support.ldap_ber import ONE_LEVEL, PAGED, Answer, Filter, Search, either, equal, every, negated, present
from tests.support.ldap_client import PASSWORD_MODIFY, Ldap, connected
from tests.support.ldap_site import BASE, PASSWORD, STAFF, LdapSite, group_dn, user_dn

pytestmark = pytest.mark.interop
PPOLICY = "1.3.6.1.4.1.42.2.27.8.5.1"
IN_CHAIN = "1.2.840.113556.1.4.1941"
USERS, GROUPS = f"ou=users,{BASE}", f"ou=groups,{BASE}"
SUCCESS, SIZE_LIMIT, UNAVAILABLE_CRITICAL, INVALID, UNWILLING = 0, 4, 12, 49, 53


def asked(client: Ldap, wanted: Filter, *attributes: str, base: str = BASE) -> Answer:
    """A search that succeeds."""
    found = client.search(Search(base=base, filter=wanted, attributes=attributes))
    assert found.code == SUCCESS, found
    return found


def one(answer: Answer) -> ber.Entry:
    """The only entry."""
    (entry,) = answer.entries
    return entry


# Any.


def test_the_root_dse_is_for_everybody(directory: LdapSite) -> None:
    """sssd (providers/ldap/sdap.c) reads these before it binds."""
    names = (
        "*", "altServer", "namingContexts", "supportedControl", "supportedExtension", "supportedFeatures",
        "supportedLDAPVersion", "supportedSASLMechanisms", "domainControllerFunctionality", "defaultNamingContext",
        "lastUSN", "highestCommittedUSN", "schemaNamingContext",
    )  # fmt: skip
    with connected(directory.port) as client:
        root = one(client.search(Search(base="", scope=BASE_SCOPE, attributes=names)))
    assert root.dn == ""
    assert root.texts("namingContexts") == [BASE]
    assert root.texts("supportedLDAPVersion") == ["3"]
    assert PAGED in root.texts("supportedControl")
    assert not {"supportedSASLMechanisms", "lastUSN", "highestCommittedUSN"} & root.attributes.keys()
    assert "subschemaSubentry" not in root.attributes


def test_the_root_dse_names_what_is_operational_when_asked(directory: LdapSite) -> None:
    with connected(directory.port) as client:
        root = one(client.search(Search(base="", scope=BASE_SCOPE, attributes=["+", "vendorName", "vendorVersion"])))
    assert root.texts("subschemaSubentry") == ["cn=subschema"]
    assert root.texts("vendorName")


def test_names_of_attributes_and_entries_in_any_case(directory: LdapSite) -> None:
    with connected(directory.port, directory.search) as client:
        found = asked(client, equal("UID", "aLiCe"), "MAIL", base=BASE.upper())
        assert found.dns == [user_dn("alice")]
        again = client.search(Search(base=f"CN=ALICE , OU=Users,{BASE.upper()}", scope=BASE_SCOPE, attributes=["cn"]))
        assert one(again).texts("cn") == ["alice"]


def test_selections(directory: LdapSite) -> None:
    with connected(directory.port, directory.search) as client:
        alice = equal("uid", "alice")
        assert one(asked(client, alice, "1.1")).attributes == {}
        plain = one(asked(client, alice)).attributes.keys()
        assert plain == one(asked(client, alice, "*")).attributes.keys()
        assert not {"entryUUID", "modifyTimestamp"} & plain
        operational = one(asked(client, alice, "+")).attributes.keys()
        assert {"entryUUID", "entryDN", "createTimestamp", "modifyTimestamp", "structuralObjectClass"} <= operational
        assert not plain & operational
        both = one(asked(client, alice, "*", "+")).attributes.keys()
        assert both == plain | operational


def test_types_only(directory: LdapSite) -> None:
    with connected(directory.port, directory.search) as client:
        found = client.search(
            Search(base=BASE, filter=equal("uid", "alice"), attributes=["cn", "mail"], types_only=True)
        )
        assert one(found).attributes == {"cn": (), "mail": ()}


def test_a_size_limit_gives_what_fits_and_says_so(directory: LdapSite) -> None:
    with connected(directory.port, directory.search) as client:
        found = client.search(Search(base=USERS, size=3))
        assert (found.code, len(found.entries)) == (SIZE_LIMIT, 3)
        whole = client.search(Search(base=USERS, filter=equal("uid", "alice"), size=1))
        assert (whole.code, len(whole.entries)) == (SUCCESS, 1)


def test_a_control_that_is_critical_and_unknown(directory: LdapSite) -> None:
    with connected(directory.port, directory.search) as client:
        whatever = Search(base=BASE, scope=BASE_SCOPE)
        assert client.search(whatever, ber.control("1.2.3.4", critical=True)).code == UNAVAILABLE_CRITICAL
        assert client.search(whatever, ber.control("1.2.3.4")).code == SUCCESS


def test_requests_at_once_on_one_connection(directory: LdapSite) -> None:
    with connected(directory.port, directory.search) as client:
        names = ["alice", "bob", "carol", "grace"] * 25
        found = client.ask_all([Search(base=BASE, filter=equal("uid", name), attributes=["1.1"]).ber for name in names])
        assert [one(each).dn for each in found] == [user_dn(name) for name in names]


def test_unbind_ends_without_a_word(directory: LdapSite) -> None:
    client = directory.client()
    client.send(ber.unbind())
    assert client.socket.recv(100) == b""
    client.socket.close()


# sssd.


def test_sssd_finds_a_user_and_the_groups(directory: LdapSite) -> None:
    """providers/ldap/sdap_async_initgroups.c; rfc2307bis."""
    with connected(directory.port, directory.search) as client:
        numbered = every(present("uidNumber"), negated(equal("uidNumber", "0")))
        wanted = every(equal("uid", "alice"), equal("objectclass", "posixAccount"), present("uid"), numbered)
        names = (
            "objectClass", "uid", "userPassword", "uidNumber", "gidNumber", "gecos", "homeDirectory", "loginShell",
            "krbPrincipalName", "cn", "memberOf", "modifyTimestamp", "entryUSN", "shadowLastChange", "nsAccountLock",
        )  # fmt: skip
        found = client.search(Search(base=BASE, filter=wanted, attributes=names), ber.paged(1000))
        user = one(found)
        assert found.cookie == b""
        assert user.texts("modifyTimestamp")
        assert "userPassword" not in user.attributes
        numbered = every(present("gidNumber"), negated(equal("gidNumber", "0")))
        above = every(equal("member", user.dn), equal("objectClass", "posixGroup"), present("cn"), numbered)
        groups = asked(client, above, "objectClass", "posixGroup", "cn", "gidNumber", "member", "modifyTimestamp")
        assert sorted(groups.dns) == sorted(
            [group_dn("engineers"), group_dn(STAFF), f"cn=alice,ou=virtual-groups,{BASE}"]
        )


def test_sssd_binds_with_the_control_of_password_policies(directory: LdapSite) -> None:
    """providers/ldap/sdap_async_connection.c."""
    with connected(directory.port) as client:
        found = client.ask(ber.bind(user_dn("alice"), PASSWORD), ber.control(PPOLICY))
        assert (found.code, found.controls) == (SUCCESS, {})


def test_sssd_enumerates_what_has_changed(directory: LdapSite) -> None:
    """providers/ldap/sdap_async_services.c; the next run asks for what is newer."""
    with connected(directory.port, directory.search) as client:
        newest = max(
            entry.texts("modifyTimestamp")[0]
            for entry in asked(client, present("uid"), "modifyTimestamp", base=USERS).entries
        )
        name = directory.person(STAFF)
        since = every(equal("objectclass", "posixAccount"), present("uid"), ber.at_least("modifyTimestamp", newest))
        assert user_dn(name) in asked(client, since, "modifyTimestamp").dns
        later = ber.at_least("modifyTimestamp", "20990101000000Z")
        assert asked(client, later, "1.1").dns == []


# nslcd.


def test_nslcd_pages_over_accounts_and_their_shadow(directory: LdapSite) -> None:
    """nslcd/myldap.c, passwd.c."""
    with connected(directory.port, directory.search) as client:
        wanted = every(equal("objectClass", "posixAccount"), equal("uid", "alice"))
        names = (
            "uid",
            "uidNumber",
            "gidNumber",
            "displayName",
            "homeDirectory",
            "loginShell",
            "objectClass",
            "userPassword",
        )
        found = client.search(Search(base=BASE, filter=wanted, attributes=names), ber.paged(100))
        assert one(found).texts("uidNumber")
        assert asked(client, equal("objectClass", "shadowAccount")).dns == []


# Nextcloud.


def test_nextcloud_probes_membership_through_groups(directory: LdapSite) -> None:
    """apps/user_ldap/lib/Group_LDAP.php: it asks for one entry, and believes in the rule only if something comes."""
    with connected(directory.port, directory.search) as client:
        chained = ber.extensible("member", IN_CHAIN, user_dn("alice"))
        found = client.search(Search(base=BASE, filter=chained, attributes=["dn"]), ber.paged(500))
        assert found.code == SUCCESS
        direct = {group_dn("engineers"), group_dn(STAFF)}
        assert direct | {group_dn("everyone")} <= set(found.dns)
        below = asked(client, ber.extensible("memberOf", IN_CHAIN, group_dn("everyone")), "1.1", base=USERS)
        assert {user_dn("alice"), user_dn("bob")} <= set(below.dns)


def test_nextcloud_detects_what_identifies_an_entry(directory: LdapSite) -> None:
    """apps/user_ldap/lib/Access.php tries entryuuid, nsuniqueid, objectguid, guid, ipauniqueid in turn."""
    with connected(directory.port, directory.search) as client:
        for dn in (user_dn("alice"), group_dn(STAFF)):
            found = client.search(
                Search(base=dn, scope=BASE_SCOPE, attributes=["entryuuid", "nsuniqueid", "objectguid"])
            )
            assert list(one(found).attributes) == ["entryUUID"]


def test_nextcloud_counts_by_pages_of_its_own_size(directory: LdapSite) -> None:
    with connected(directory.port, directory.search) as client:
        whole = asked(client, equal("objectClass", "inetOrgPerson"), "dn", base=USERS)
        counted = Search(base=USERS, filter=equal("objectClass", "inetOrgPerson"), attributes=["dn"])
        pages = list(client.pages(counted, 5))
        assert [dn for page in pages for dn in page.dns] == whole.dns
        assert {len(page.entries) for page in pages[:-1]} == {5}


# Proxmox.


def test_proxmox_pages_and_gives_up_a_search(directory: LdapSite) -> None:
    """pve-common src/PVE/LDAP.pm: 900 users, 100 groups a page; when it stops, size 0 with the cookie."""
    with connected(directory.port, directory.search) as client:
        names = ("dn", "uid", "memberOf", "mail", "givenName", "sn")
        wanted = Search(base=USERS, filter=equal("objectClass", "inetOrgPerson"), attributes=names)
        assert client.search(wanted, ber.paged(900, critical=True)).cookie == b""
        first = client.search(wanted, ber.paged(2))
        assert len(first.entries) == 2
        assert first.cookie
        given_up = client.search(wanted, ber.paged(0, first.cookie))
        assert (given_up.code, given_up.entries, given_up.cookie) == (SUCCESS, (), b"")
        assert client.search(wanted, ber.paged(2, first.cookie)).code == UNWILLING
        assert client.who_am_i() == f"dn:{directory.search[0]}"


def test_proxmox_asks_for_members_either_way(directory: LdapSite) -> None:
    with connected(directory.port, directory.search) as client:
        wanted = either(equal("objectClass", "groupOfNames"), equal("objectClass", "group"))
        found = asked(client, wanted, "dn", "cn", "member", "uniqueMember", base=GROUPS)
        staff = next(entry for entry in found.entries if entry.dn == group_dn(STAFF))
        assert user_dn("alice") in staff.texts("member")
        assert staff.texts("member") == staff.texts("uniqueMember")


# Grafana.


def test_grafana_asks_for_five_hundred_at_once(directory: LdapSite) -> None:
    """pkg/services/ldap/ldap.go: getUsersIteration of 500 logins."""
    with connected(directory.port, directory.search) as client:
        names = ["alice", "bob", *(f"nobody{number}" for number in range(498))]
        filters = [either(equal("uid", name), equal("mail", name)) for name in names]
        found = asked(client, either(*filters), "uid", "givenName", "sn", "mail", "memberOf", base=USERS)
        assert sorted(found.dns) == [user_dn("alice"), user_dn("bob")]


def test_grafana_needs_49_for_wrong_and_nothing_for_no_password(directory: LdapSite) -> None:
    with connected(directory.port) as client:
        assert client.bind(user_dn("alice"), "wrong").code == INVALID
        assert client.bind(user_dn("nobody"), "wrong").code == INVALID
        assert client.bind(user_dn("alice"), "").code == UNWILLING


# Jellyfin.


def test_jellyfin_finds_over_tls_and_binds_as_whom_it_found(directory: LdapSite) -> None:
    with connected(directory.outpost.ldaps, directory.search, directory.tls, "ldap.example.test") as client:
        wanted = every(
            equal("memberOf", group_dn(STAFF)),
            either(*(equal(name, "alice") for name in ("uid", "cn", "mail", "displayName"))),
        )
        found = one(asked(client, wanted, "uid", "cn", "mail", "displayName", "jpegPhoto", base=USERS))
        assert client.bind(found.dn, PASSWORD).code == SUCCESS
        assert client.who_am_i() == f"dn:{found.dn}"


# Keycloak.


def test_keycloak_pages_and_changes_passwords(directory: LdapSite) -> None:
    """federation/ldap: LDAPIdentityStore and LDAPOperationManager."""
    name = directory.person()
    with connected(directory.port, (user_dn(name), PASSWORD)) as client:
        value = ber.sequence(
            ber.octets(user_dn(name), 0x80), ber.octets(PASSWORD, 0x81), ber.octets("another-battery-staple", 0x82)
        )
        assert client.ask(ber.extended(PASSWORD_MODIFY, value)).code == SUCCESS
    with connected(directory.port, directory.search) as client:
        wanted = every(
            equal("uid", name), equal("objectclass", "inetOrgPerson"), equal("objectclass", "organizationalPerson")
        )
        names = ("uid", "cn", "sn", "mail", "createTimestamp", "modifyTimestamp", "entryUUID", "objectclass")
        found = client.search(Search(base=USERS, scope=ONE_LEVEL, filter=wanted, attributes=names), ber.paged(10))
        assert one(found).texts("entryUUID")
        assert one(found).texts("createTimestamp")


# pfSense, vSphere, Synology.


def test_pfsense_tests_that_there_are_units(directory: LdapSite) -> None:
    """ "Save & Test" lists the containers below the base."""
    with connected(directory.port, directory.search) as client:
        found = asked(client, either(present("ou"), equal("cn", "Users")))
        assert [f"ou={name},{BASE}" for name in ("groups", "users", "virtual-groups")] == sorted(found.dns)
        assert found.entries[0].texts("ou")


def test_vsphere_lists_people_and_groups_of_unique_names(directory: LdapSite) -> None:
    """VMware knowledge base 2064977: the schema of RFC 4519."""
    with connected(directory.port, directory.search) as client:
        people = asked(client, every(equal("objectClass", "inetOrgPerson"), equal("uid", "alice")), "*", "entryUUID")
        assert {"cn", "sn", "uid", "givenName", "mail", "entryUUID"} <= one(people).attributes.keys()
        wanted = every(equal("objectClass", "groupOfUniqueNames"), equal("uniqueMember", user_dn("alice")))
        groups = asked(client, wanted, "cn", "description", "entryUUID", "uniqueMember", base=GROUPS)
        assert group_dn(STAFF) in groups.dns
        assert all(entry.texts("entryUUID") for entry in groups.entries)


def test_synology_takes_numbers_for_users_and_groups(directory: LdapSite) -> None:
    with connected(directory.port, directory.search) as client:
        people = asked(client, equal("objectClass", "posixAccount"), "uid", "uidNumber", "gidNumber", base=USERS)
        numbers = [int(entry.texts("uidNumber")[0]) for entry in people.entries]
        assert len(numbers) == len(set(numbers))
        groups = asked(client, equal("objectClass", "posixGroup"), "cn", "gidNumber", "memberUid", base=GROUPS)
        staff = next(entry for entry in groups.entries if entry.dn == group_dn(STAFF))
        assert "alice" in staff.texts("memberUid")
        given = [int(entry.texts("gidNumber")[0]) for entry in groups.entries]
        assert len(given) == len(set(given))
        assert not set(given) & set(numbers)
        assert asked(client, equal("objectClass", "sambaSamAccount")).dns == []

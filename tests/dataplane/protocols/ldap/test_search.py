"""Searches by someone who sees everything: bases, scopes, attributes, limits, controls."""

import pytest

from dataplane.protocols.ldap.controls import OF_OTHERS, refused
from dataplane.protocols.ldap.messages import (
    And,
    Compare,
    Control,
    Equality,
    Extensible,
    GreaterOrEqual,
    Message,
    Not,
    Or,
    Present,
    ResultCode,
    Scope,
    Substrings,
)
from dataplane.protocols.ldap.paging import Pages
from dataplane.protocols.ldap.search import answer
from dataplane.protocols.ldap.trees import Trees
from dataplane.protocols.ldap.views import ANONYMOUS
from tests.support.ldap_trees import BASE, STAFF, Searcher, change, group, identity, load, provider, user

USERS, GROUPS = f"ou=users,{BASE}", f"ou=groups,{BASE}"
ADA = f"cn=ada,{USERS}"
COMPANY = f"cn=company,{GROUPS}".encode()
IN_CHAIN = "1.2.840.113556.1.4.1941"
MANAGE_DSA_IT = "2.16.840.1.113730.3.4.2"


@pytest.fixture
def trees() -> Trees:
    return load(
        Trees((provider(user_attributes=(("telephoneNumber", "phone"),)),), version="1.2.3"),
        group(STAFF, "company"),
        group("company"),
        group("admins", superuser=True),
        user(
            "ada", STAFF, name="Ada King Lovelace", email="ada@example.org", number=7, attributes='{"phone": "+49 1"}'
        ),
        user("bert", "company", name="Bert", email="bert@example.org", number=8, active=False),
        user("smith, jr", "admins", name="Smith", number=9),
    )


@pytest.fixture
def ada(trees: Trees) -> Searcher:
    return Searcher.of(trees, "ada")


# Scopes (RFC 4511 section 4.5.1.2).


@pytest.mark.parametrize(
    ("base", "scope", "names"),
    [
        (BASE, Scope.BASE, [BASE]),
        (BASE, Scope.ONE_LEVEL, [f"ou=users,{BASE}", f"ou=groups,{BASE}", f"ou=virtual-groups,{BASE}"]),
        (USERS, Scope.BASE, [USERS]),
        (USERS, Scope.ONE_LEVEL, [ADA, f"cn=bert,{USERS}", f"cn=smith\\, jr,{USERS}"]),
        (USERS, Scope.SUBORDINATES, [ADA, f"cn=bert,{USERS}", f"cn=smith\\, jr,{USERS}"]),
        (GROUPS, Scope.SUBTREE, [GROUPS, f"cn=staff,{GROUPS}", f"cn=company,{GROUPS}", f"cn=admins,{GROUPS}"]),
        (ADA, Scope.BASE, [ADA]),
        (ADA, Scope.SUBTREE, [ADA]),
        (ADA, Scope.ONE_LEVEL, []),
        (ADA, Scope.SUBORDINATES, []),
        (f"cn=ada,ou=virtual-groups,{BASE}", Scope.BASE, [f"cn=ada,ou=virtual-groups,{BASE}"]),
        ("", Scope.ONE_LEVEL, [BASE]),
    ],
)
def test_a_scope_holds(ada: Searcher, base: str, scope: Scope, names: list[str]) -> None:
    answer = ada.search(base=base, scope=scope)
    assert (answer.code, set(answer.entries)) == (ResultCode.SUCCESS, set(names))


def test_a_subtree_holds_everything_once(ada: Searcher) -> None:
    everything = ada.search().entries
    assert len(everything) == 4 + 3 + 3 + 3
    assert everything == ada.search(base="").entries
    assert set(everything) - {BASE} == set(ada.search(scope=Scope.SUBORDINATES).entries)


@pytest.mark.parametrize(
    "base", [ADA.upper(), f"CN = ada , OU=Users, {BASE.lower()}", f"2.5.4.3=ADA,{USERS}", f"cn=\\61da,{USERS}"]
)
def test_a_base_may_be_spelled_in_many_ways(ada: Searcher, base: str) -> None:
    assert list(ada.search(base=base).entries) == [ADA]


def test_a_name_with_special_characters_is_found_and_shown_escaped(ada: Searcher) -> None:
    assert list(ada.search(base=f"cn=Smith\\2c Jr,{USERS}").entries) == [f"cn=smith\\, jr,{USERS}"]


@pytest.mark.parametrize(
    ("base", "matched"),
    [
        (f"cn=nobody,{USERS}", USERS),
        (f"cn=x,cn=nobody,{USERS}", USERS),
        (f"cn=x,{ADA}", ADA),
        (f"uid=ada,{USERS}", USERS),
        (f"cn=ada,{GROUPS}", GROUPS),
        (f"cn=ada+uid=ada,{USERS}", USERS),
        (f"ou=nothing,{BASE}", BASE),
        ("dc=elsewhere", ""),
        ("dc=example,dc=org", ""),
    ],
)
def test_a_name_that_is_not_there_tells_what_is(ada: Searcher, base: str, matched: str) -> None:
    answer = ada.search(base=base)
    assert (answer.code, answer.matched, answer.entries) == (ResultCode.NO_SUCH_OBJECT, matched, {})


def test_no_name_at_all_is_refused(ada: Searcher) -> None:
    assert ada.search(base="ada").code is ResultCode.INVALID_DN_SYNTAX


def test_names_that_differ_by_case_are_two_entries(trees: Trees, ada: Searcher) -> None:
    change(trees, user("Ada", key="another"))
    assert ada.search(Equality("uid", b"ada")).names == ["cn=ada", "cn=Ada"]
    assert ada.search(base=f"cn=Ada,{USERS}").names == ["cn=Ada"]
    assert ada.search(base=ADA).names == ["cn=ada"]


# Filters, of which tests beside this one say more.


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (Equality("UID", b"ADA"), ["cn=ada"]),
        (Or((Equality("uid", b"ada@example.org"), Equality("mail", b"ADA@example.org"))), ["cn=ada"]),
        (And((Equality("objectClass", b"user"), Equality("uid", b"ada"))), ["cn=ada"]),
        (Equality("memberOf", f"cn=company,{GROUPS}".encode()), ["cn=bert", "cn=staff"]),
        (Extensible(rule=IN_CHAIN, attribute="memberOf", value=COMPANY), ["cn=ada", "cn=bert", "cn=staff"]),
        (Extensible(rule=IN_CHAIN, attribute="member", value=ADA.encode()), ["cn=ada", "cn=company", "cn=staff"]),
        (Substrings(attribute="mail", initial=b"ada@", final=b"org"), ["cn=ada"]),
        (Substrings(attribute="sn", any=(b"LOVE",)), ["cn=ada"]),
        (Substrings(attribute="telephoneNumber", initial=b"+4"), ["cn=ada"]),
        (Equality("ak-superuser", b"TRUE"), ["cn=admins", "cn=smith\\"]),
        (Equality("ak-active", b"FALSE"), ["cn=bert"]),
        (GreaterOrEqual("uidNumber", b"2009"), ["cn=smith\\"]),
        (Equality("entryUUID", identity("bert").encode()), ["cn=bert"]),
        (Equality("entryDN", ADA.encode()), ["cn=ada"]),
        (Equality("ou", b"users"), ["ou=users"]),
        (Or((Present("ou"), Equality("cn", b"Users"))), ["ou=groups", "ou=users", "ou=virtual-groups"]),
        (Or(()), []),
        (Equality("noSuchAttribute", b"x"), []),
        (Not(Equality("noSuchAttribute", b"x")), []),
    ],
)  # fmt: skip
def test_a_filter_finds(ada: Searcher, asked: Equality, names: list[str]) -> None:
    found = ada.search(asked).entries
    assert sorted(name.partition(",")[0] for name in found) == names


def test_and_of_nothing_is_true(ada: Searcher) -> None:
    assert len(ada.search(And(())).entries) == 13


def test_sssd_finds_a_user(ada: Searcher) -> None:
    asked = And(
        (
            Equality("uid", b"ada"),
            Equality("objectclass", b"posixAccount"),
            Present("uid"),
            And((Present("uidNumber"), Not(Equality("uidNumber", b"0")))),
        )
    )
    assert ada.search(asked).names == ["cn=ada"]
    assert ada.search(And((asked, GreaterOrEqual("modifyTimestamp", b"20200101000000Z")))).names == ["cn=ada"]
    assert ada.search(And((asked, GreaterOrEqual("modifyTimestamp", b"20300101000000Z")))).names == []


# What entries say.


def test_a_user_is_described(ada: Searcher) -> None:
    (entry,) = ada.search(Equality("uid", b"ada"), attributes=("*", "+")).entries.values()
    assert entry["memberOf"] == [f"cn=staff,{GROUPS}".encode()]
    assert (entry["sn"], entry["givenName"]) == ([b"Lovelace"], [b"Ada King"])
    assert (entry["uidNumber"], entry["gidNumber"]) == ([b"2007"], [b"2007"])
    assert entry["ak-superuser"] == [b"FALSE"]
    assert entry["entryDN"] == [ADA.encode()]
    assert entry["entryUUID"] == [identity("ada").encode()]
    assert entry["hasSubordinates"] == [b"FALSE"]
    assert "member" not in entry


def test_a_group_is_described(ada: Searcher) -> None:
    (entry,) = ada.search(base=f"cn=company,{GROUPS}").entries.values()
    members = sorted([f"cn=bert,{USERS}".encode(), f"cn=staff,{GROUPS}".encode()])
    assert sorted(entry["member"]) == sorted(entry["uniqueMember"]) == members
    assert entry["memberUid"] == [b"bert"]
    assert "memberOf" not in entry
    (below,) = ada.search(base=f"cn=staff,{GROUPS}").entries.values()
    assert below["memberOf"] == [f"cn=company,{GROUPS}".encode()]


def test_a_virtual_group_is_described(ada: Searcher) -> None:
    (entry,) = ada.search(base=f"cn=ada,ou=virtual-groups,{BASE}", attributes=("*", "+")).entries.values()
    assert entry["gidNumber"] == [b"2007"]
    assert entry["member"] == entry["uniqueMember"] == [ADA.encode()]
    assert entry["memberUid"] == [b"ada"]
    assert b"goauthentik.io/ldap/virtual-group" in entry["objectClass"]
    assert entry["entryUUID"] != [identity("ada").encode()]
    assert ada.search(Equality("entryUUID", entry["entryUUID"][0])).entries.keys() == {
        f"cn=ada,ou=virtual-groups,{BASE}"
    }


def test_superusers_are_told_by_groups_above(trees: Trees, ada: Searcher) -> None:
    change(trees, group("company", superuser=True))
    (entry,) = ada.search(base=ADA, attributes=("ak-superuser",)).entries.values()
    assert entry == {"ak-superuser": [b"TRUE"]}


# Attributes asked for (RFC 4511 section 4.5.1.8).


def attributes_of(ada: Searcher, *asked: str, base: str = ADA, types_only: bool = False) -> dict[str, list[bytes]]:
    (entry,) = ada.search(base=base, scope=Scope.BASE, attributes=asked, types_only=types_only).entries.values()
    return entry


def test_operational_attributes_are_sent_where_asked_for(ada: Searcher) -> None:
    shown, hidden = attributes_of(ada), attributes_of(ada, "+")
    assert {"cn", "memberOf", "objectClass"} <= shown.keys()
    assert {"entryUUID", "entryDN", "modifyTimestamp", "structuralObjectClass"} <= hidden.keys()
    assert not shown.keys() & hidden.keys()
    assert attributes_of(ada, "*", "+") == shown | hidden
    assert attributes_of(ada, "*") == shown
    assert attributes_of(ada, "*", "entryUUID") == shown | {"entryUUID": hidden["entryUUID"]}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (("1.1",), set()),
        (("1.1", "cn"), {"cn"}),
        (("CN", "cn", "2.5.4.3", "commonName"), {"cn"}),
        (("dn", "noSuchAttribute", "cn;lang-de", "mail"), {"mail"}),
        (("memberOf", "ak-superuser", "entryDN"), {"memberOf", "ak-superuser", "entryDN"}),
        (("member",), set()),
        (("@posixAccount",), {"objectClass", "cn", "uid", "uidNumber", "gidNumber", "homeDirectory"}),
        (("@noSuchClass",), set()),
        (("@",), set()),
    ],
)
def test_attributes_by_name(ada: Searcher, asked: tuple[str, ...], names: set[str]) -> None:
    assert attributes_of(ada, *asked).keys() == names


@pytest.mark.parametrize("base", [ADA, f"cn=staff,{GROUPS}", BASE, "", "cn=subschema"])
@pytest.mark.parametrize("asked", [(), ("*", "+"), ("objectClass",)])
def test_types_only(ada: Searcher, base: str, asked: tuple[str, ...]) -> None:
    whole = attributes_of(ada, *asked, base=base)
    assert attributes_of(ada, *asked, base=base, types_only=True) == {name: [] for name in whole}


# What lies in no tree.


def test_the_root_dse_is_for_everybody(trees: Trees, ada: Searcher) -> None:
    anybody = Searcher(trees, ANONYMOUS)
    for searcher in (anybody, ada):
        answer = searcher.search(base="", scope=Scope.BASE, attributes=("+",))
        assert answer.entries[""]["namingContexts"] == [BASE.encode()]
        assert answer.entries[""]["vendorVersion"] == [b"1.2.3"]
        assert searcher.search(Equality("objectClass", b"user"), base="", scope=Scope.BASE).entries == {}


def test_the_subschema_is_for_everybody(trees: Trees) -> None:
    anybody = Searcher(trees, ANONYMOUS)
    for scope in (Scope.BASE, Scope.SUBTREE):
        answer = anybody.search(
            Equality("objectClass", b"subschema"), base="CN=Subschema", scope=scope, attributes=("+",)
        )
        assert any(
            b"NAME 'cn'" in each or b"'cn' " in each for each in answer.entries["cn=subschema"]["attributeTypes"]
        )


def test_without_providers_there_is_a_root_dse() -> None:
    anybody = Searcher(Trees(version="9"))
    assert anybody.search(base="", scope=Scope.BASE, attributes=("+",)).entries[""]["vendorVersion"] == [b"9"]
    assert anybody.search().code is ResultCode.INSUFFICIENT_ACCESS_RIGHTS


def test_anonymous_sees_nothing_else(trees: Trees) -> None:
    anybody = Searcher(trees, ANONYMOUS)
    for base in (BASE, ADA, "dc=elsewhere", ""):
        answer = anybody.search(base=base)
        assert (answer.code, answer.matched) == (ResultCode.INSUFFICIENT_ACCESS_RIGHTS, "")


def test_a_directory_that_has_not_come_is_unavailable() -> None:
    trees = Trees((provider(),))
    assert Searcher.of(trees, "ada").search().code is ResultCode.UNAVAILABLE
    assert Searcher(trees).search(base="", scope=Scope.BASE).code is ResultCode.SUCCESS


# Limits (RFC 4511 sections 4.5.1.4, 4.5.1.5).


def test_a_size_limit_lets_that_many_through(ada: Searcher) -> None:
    answer = ada.search(base=USERS, scope=Scope.ONE_LEVEL, size_limit=2)
    assert (answer.code, len(answer.entries)) == (ResultCode.SIZE_LIMIT_EXCEEDED, 2)


def test_a_size_limit_that_is_just_enough_is_none(ada: Searcher) -> None:
    assert ada.search(base=USERS, scope=Scope.ONE_LEVEL, size_limit=3).code is ResultCode.SUCCESS


@pytest.mark.parametrize("asked", [0, 3, 1000])
def test_the_providers_size_limit_counts_too(trees: Trees, asked: int) -> None:
    limited = trees.with_providers((provider(size_limit=2, user_attributes=(("telephoneNumber", "phone"),)),))
    answer = Searcher.of(limited, "ada").search(size_limit=asked)
    assert (answer.code, len(answer.entries)) == (ResultCode.SIZE_LIMIT_EXCEEDED, 2)


# Controls (RFC 4511 section 4.1.11).


def test_a_critical_control_that_is_unknown_is_refused(ada: Searcher) -> None:
    answer = ada.search(controls=(Control(oid="1.2.3.4", critical=True),))
    assert (answer.code, answer.entries) == (ResultCode.UNAVAILABLE_CRITICAL_EXTENSION, {})
    assert ada.search(controls=(Control(oid="1.2.3.4"),)).code is ResultCode.SUCCESS
    assert refused((Control(oid="1.2.3.4", critical=True),), OF_OTHERS) is not None
    assert refused((Control(oid=MANAGE_DSA_IT, critical=True), Control(oid="1.2.3.4")), OF_OTHERS) is None


def test_manage_dsa_it_changes_nothing(ada: Searcher) -> None:
    answer = ada.search(controls=(Control(oid=MANAGE_DSA_IT, critical=True),))
    assert (answer.entries, answer.controls) == (ada.search().entries, {})


def test_a_control_twice_is_refused(ada: Searcher) -> None:
    assert (
        ada.search(controls=(Control(oid=MANAGE_DSA_IT), Control(oid=MANAGE_DSA_IT))).code is ResultCode.PROTOCOL_ERROR
    )


# Compare (RFC 4511 section 4.10).


@pytest.mark.parametrize(
    ("entry", "attribute", "value", "code"),
    [
        (ADA, "cn", b"ADA", ResultCode.COMPARE_TRUE),
        (ADA, "cn", b"bert", ResultCode.COMPARE_FALSE),
        (ADA, "memberOf", f"CN=Staff,{GROUPS}".encode(), ResultCode.COMPARE_TRUE),
        (f"cn=company,{GROUPS}", "member", ADA.encode(), ResultCode.COMPARE_FALSE),
        (ADA, "entryDN", ADA.encode(), ResultCode.COMPARE_TRUE),
        (ADA, "member", ADA.encode(), ResultCode.NO_SUCH_ATTRIBUTE),
        (ADA, "cn;lang-de", b"ada", ResultCode.NO_SUCH_ATTRIBUTE),
        (ADA, "noSuchAttribute", b"x", ResultCode.UNDEFINED_ATTRIBUTE_TYPE),
        (ADA, "uidNumber", b"x", ResultCode.INVALID_ATTRIBUTE_SYNTAX),
        (BASE, "dc", b"LDAP", ResultCode.COMPARE_TRUE),
        ("", "supportedLDAPVersion", b"3", ResultCode.COMPARE_TRUE),
        ("cn=subschema", "cn", b"subschema", ResultCode.COMPARE_TRUE),
        (f"cn=nobody,{USERS}", "cn", b"nobody", ResultCode.NO_SUCH_OBJECT),
        ("nobody", "cn", b"nobody", ResultCode.INVALID_DN_SYNTAX),
    ],
)
def test_compare(ada: Searcher, entry: str, attribute: str, value: bytes, code: ResultCode) -> None:
    assert ada.compare(entry, attribute, value).code is code


def test_anonymous_compares_nothing(trees: Trees) -> None:
    assert Searcher(trees).compare(ADA, "cn", b"ada").code is ResultCode.INSUFFICIENT_ACCESS_RIGHTS
    assert Searcher(trees).compare("", "supportedLDAPVersion", b"3").code is ResultCode.COMPARE_TRUE


def test_only_searches_are_answered(trees: Trees) -> None:
    message = Message(id=7, request=Compare(entry="", attribute="cn", value=b""))
    with pytest.raises(TypeError, match="Compare"):
        next(answer(trees, message, ANONYMOUS, Pages(), lambda: 0.0))

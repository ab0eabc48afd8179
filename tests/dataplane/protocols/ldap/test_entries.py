"""Users and groups as entries: what they show, and that every entry is valid by the schema that is published."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.config import DirectoryGroup, DirectoryUser
from dataplane.protocols.ldap import dn, entries
from dataplane.protocols.ldap.entries import Describer
from dataplane.protocols.ldap.schema import Attributes
from dataplane.protocols.ldap.schema_served import schema_of
from tests.support.ldap_people import USER_MAPPINGS, directory_group, directory_user, ldap_provider
from tests.support.ldap_published import Published

ID = UUID(int=7)


def described(attributes: Attributes) -> dict[str, list[str]]:
    return {kind.name: [value.decode() for value in values] for kind, values in attributes}


def user(entry: DirectoryUser, users: Mapping[str, str] = USER_MAPPINGS) -> dict[str, list[str]]:
    provider = ldap_provider(users=users)
    return described(Describer(provider, schema_of(provider)).user(entry))


def group(entry: DirectoryGroup, groups: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    provider = ldap_provider(groups=groups)
    return described(Describer(provider, schema_of(provider)).group(entry))


def test_a_user() -> None:
    assert user(directory_user()) == {
        "objectClass": [
            "top",
            "person",
            "organizationalPerson",
            "inetOrgPerson",
            "user",
            "posixAccount",
            "goauthentik.io/ldap/user",
        ],
        "cn": ["jdoe"],
        "uid": ["jdoe"],
        "name": ["Jane Doe"],
        "displayName": ["Jane Doe"],
        "givenName": ["Jane"],
        "sn": ["Doe"],
        "mail": ["jdoe@example.com"],
        "sAMAccountName": ["jdoe"],
        "uidNumber": ["2007"],
        "gidNumber": ["2007"],
        "homeDirectory": ["/home/jdoe"],
        "ak-active": ["TRUE"],
    }


def test_what_a_user_is_operationally() -> None:
    assert described(entries.operational(directory_user())) == {
        "entryUUID": [directory_user().id],
        "createTimestamp": ["20200101000000Z"],
        "modifyTimestamp": ["20210101000000Z"],
        "pwdChangedTime": ["20200913122640Z"],
        "structuralObjectClass": ["inetOrgPerson"],
        "hasSubordinates": ["FALSE"],
        "subschemaSubentry": ["cn=subschema"],
    }
    assert "pwdChangedTime" not in described(entries.operational(replace(directory_user(), password_changed=None)))


def test_a_group() -> None:
    assert group(directory_group()) == {
        "objectClass": [
            "top",
            "group",
            "groupOfUniqueNames",
            "groupOfNames",
            "posixGroup",
            "goauthentik.io/ldap/group",
        ],
        "cn": ["staff"],
        "uid": [directory_group().id],
        "sAMAccountName": ["staff"],
        "gidNumber": ["1004001"],
        "ak-superuser": ["FALSE"],
    }
    assert group(replace(directory_group(), superuser=True))["ak-superuser"] == ["TRUE"]
    assert described(entries.operational(directory_group()))["structuralObjectClass"] == ["groupOfNames"]


def test_a_users_own_group() -> None:
    shown = described(entries.virtual_group("jdoe", 2007))
    assert (shown["cn"], shown["sAMAccountName"], shown["gidNumber"]) == (["jdoe"], ["jdoe"], ["2007"])
    assert "goauthentik.io/ldap/virtual-group" in shown["objectClass"]
    assert "uid" not in shown
    operational = described(entries.operational_virtual_group(ID, (b"20200101000000Z",), ()))
    assert operational["entryUUID"] == [str(ID)]
    assert operational["createTimestamp"] == ["20200101000000Z"]
    assert "modifyTimestamp" not in operational


@pytest.mark.parametrize(
    ("name", "given", "family"),
    [
        ("Jane Doe", ["Jane"], ["Doe"]),
        ("Jan van der Berg", ["Jan van der"], ["Berg"]),
        ("Plato", None, ["Plato"]),
        ("  Jane   Doe  ", ["Jane"], ["Doe"]),
        ("", None, ["jdoe"]),
        ("  ", None, ["  "]),
    ],
)
def test_a_name_is_split_at_its_last_space(name: str, given: list[str] | None, family: list[str]) -> None:
    shown = user(directory_user(name=name))
    assert (shown.get("givenName"), shown["sn"]) == (given, family)


def test_mapped_names_stand_before_split_ones() -> None:
    shown = user(directory_user(givenName="Jane M.", sn="van Doe"))
    assert (shown["givenName"], shown["sn"]) == (["Jane M."], ["van Doe"])


def test_what_is_empty_is_not_there() -> None:
    shown = user(directory_user(name="", email=""))
    assert {"mail", "name", "displayName"}.isdisjoint(shown)


@pytest.mark.parametrize(
    ("attributes", "uid_number", "gid_number"),
    [
        ({}, "2007", "2007"),
        ({"uidNumber": 5000}, "5000", "5000"),
        ({"uidNumber": "5000"}, "5000", "5000"),
        ({"gidNumber": " 100 "}, "2007", "100"),
        ({"uidNumber": "5000", "gidNumber": 100}, "5000", "100"),
        ({"uidNumber": "many"}, "2007", "2007"),
        ({"uidNumber": -1}, "2007", "2007"),
        ({"uidNumber": 2**32}, "2007", "2007"),
        ({"uidNumber": 2**32 - 1, "gidNumber": str(2**32 - 1)}, "2007", "2007"),
        ({"uidNumber": 2**32 - 2}, str(2**32 - 2), str(2**32 - 2)),
        ({"uidNumber": True}, "2007", "2007"),
        ({"uidNumber": 5000.0}, "2007", "2007"),
        ({"uidNumber": ["5000"]}, "2007", "2007"),
        ({"uidNumber": None}, "2007", "2007"),
    ],
)
def test_numbers_that_attributes_say_stand_before_counted_ones(
    attributes: dict[str, object], uid_number: str, gid_number: str
) -> None:
    entry = replace(directory_user(), attributes=json.dumps(attributes))
    shown = user(entry, {})
    assert (shown["uidNumber"], shown["gidNumber"]) == ([uid_number], [gid_number])


def test_the_number_of_a_group_may_be_said_too() -> None:
    assert group(directory_group(gidNumber="100"))["gidNumber"] == ["100"]


def test_a_mapped_home_may_name_the_user() -> None:
    assert user(directory_user(homeDirectory="/srv/%s/home/%s"))["homeDirectory"] == ["/srv/jdoe/home/jdoe"]
    assert user(directory_user("100%sure"))["homeDirectory"] == ["/home/100%sure"]
    assert user(directory_user("ünal"))["homeDirectory"] == ["/home/ünal"]


def test_only_what_is_mapped_is_shown() -> None:
    entry = directory_user(secret="canary", department="IT", nested={"secret": "canary"})
    assert "canary" not in json.dumps(user(entry, {"department": "department"}))


VALUES = [
    ("text", "IT", ["IT"]),
    ("integer", 42, ["42"]),
    ("float", 1.5, ["1.5"]),
    ("true", True, ["TRUE"]),
    ("false", False, ["FALSE"]),
    ("list", ["a", 1, True, None, ["x"], {"y": 1}], ["a", "1", "TRUE"]),
    ("equal values", ["IT", "it", " IT ", "HR"], ["IT", "HR"]),
    ("null", None, None),
    ("object", {"a": 1}, None),
    ("empty text", "", None),
    ("empty list", [], None),
    ("not a number", float("nan"), None),
    ("infinite", float("inf"), None),
    ("half a surrogate pair", "\ud800", None),
    ("emoji", "\U0001fae0", ["\U0001fae0"]),
    ("two of what has no key", ["\ue000", "\ue000", "\ue001"], ["\ue000", "\ue001"]),
]


@pytest.mark.parametrize(("value", "wanted"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES])
def test_values_of_json(value: object, wanted: list[str] | None) -> None:
    assert user(directory_user(x=value), {"department2": "x"}).get("department2") == wanted


@pytest.mark.parametrize(
    ("attribute", "value", "wanted"),
    [
        ("telephoneNumber", ["+49 30 1", "+49-30-1", "*"], ["+49 30 1"]),
        ("shadowExpire", ["x", 7], ["7"]),
        ("shadowExpire", [7, 8], ["7"]),
        ("displayName", ["One", "Two"], ["One"]),
        ("manager", ["cn=boss,ou=users", "the boss"], ["cn=boss,ou=users"]),
        ("preferredLanguage", "de", ["de"]),
        ("c", ["DE"], ["DE"]),
        ("c", "Germany", None),
        ("sambaSID", "ö", None),
        ("sshPublicKey", ["ssh-ed25519 AAAA a", "ssh-ed25519 AAAA A"], ["ssh-ed25519 AAAA a", "ssh-ed25519 AAAA A"]),
    ],
)
def test_what_is_not_of_the_syntax_is_left_out(attribute: str, value: object, wanted: list[str] | None) -> None:
    shown = user(directory_user(x=value), {attribute: "x"})
    assert shown.get(attribute) == wanted


def test_a_photo_is_base64_in_json() -> None:
    picture = b"\xff\xd8\xff\xe0picture"
    provider = ldap_provider(users={"jpegPhoto": "photo"})
    describer = Describer(provider, schema_of(provider))
    for said, wanted in ((base64.b64encode(picture).decode(), (picture,)), ("no base64!", None), ("R0lG", None)):
        assert {kind.name: values for kind, values in describer.user(directory_user(photo=said))}.get(
            "jpegPhoto"
        ) == wanted


def test_sources_by_path_and_several_for_one_attribute() -> None:
    entry = directory_user(work={"phone": "1", "room": {"floor": 3}}, mobile="2")
    shown = user(entry, {"telephoneNumber": "work.phone", "roomNumber": "work.room.floor", "pager": "mobile.x"})
    assert (shown["telephoneNumber"], shown["roomNumber"]) == (["1"], ["3"])
    assert "pager" not in shown
    both = user(entry, {"fooBar": "work.phone", "FOOBAR": "mobile"})
    assert both["fooBar"] == ["1", "2"]


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "1" * 5000, "[" * 100_000, '{"x": NaN}'])
def test_attributes_that_are_no_object_say_nothing(text: str) -> None:
    shown = user(replace(directory_user(), attributes=text), {"department": "x"})
    assert shown == user(directory_user(), {})


def test_an_id_that_is_no_uuid_gets_one() -> None:
    one, other = (described(entries.operational(replace(directory_user(), id=each))) for each in ("7", "8"))
    assert UUID(one["entryUUID"][0]) != UUID(other["entryUUID"][0])


def test_times_that_cannot_be_written_are_left_out() -> None:
    for moment in (float("nan"), float("inf"), 1e30, -1e12):
        shown = described(entries.operational(replace(directory_user(), created=moment)))
        assert "createTimestamp" not in shown


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
SAID = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3)
)
MAPPABLE = [
    "telephoneNumber",
    "c",
    "sn",
    "manager",
    "shadowExpire",
    "fooBar",
    "displayName",
    "jpegPhoto",
    "homeDirectory",
]


@given(
    st.dictionaries(st.sampled_from([*MAPPABLE, "uidNumber"]), SAID),
    st.text(min_size=1, max_size=8),
    st.text(max_size=8),
)
def test_whatever_a_user_says_the_entry_is_valid(said: dict[str, object], username: str, name: str) -> None:
    provider = ldap_provider(users={each: each for each in MAPPABLE}, groups={each: each for each in MAPPABLE[:-1]})
    schema = schema_of(provider)
    published = Published(schema)
    describer = Describer(provider, schema)
    person = replace(directory_user(username, name=name), attributes=json.dumps(said))
    published.check(describer.user(person) + entries.operational(person))
    team = replace(directory_group(username), attributes=json.dumps(said))
    published.check(describer.group(team) + entries.operational(team))
    own = entries.virtual_group(username, 2007)
    published.check(own + entries.operational_virtual_group(ID, (), ()))


def test_what_the_tree_adds_is_allowed() -> None:
    schema = schema_of(ldap_provider())
    published = Published(schema)
    describer = Describer(ldap_provider(), schema)
    names = (b"cn=a,ou=users,dc=x", b"cn=b,ou=users,dc=x")
    person = (*describer.user(directory_user()), *entries.operational(directory_user()))
    added = (
        (schema.get("memberOf"), names),
        (schema.get("ak-superuser"), (b"TRUE",)),
        (schema.get("entryDN"), names[:1]),
    )
    published.check((*person, *added))
    members = tuple((schema.get(name), names) for name in ("member", "uniqueMember", "memberOf", "memberUid"))
    published.check((*describer.group(directory_group()), *entries.operational(directory_group()), *members))
    own = (*entries.virtual_group("a", 1), *entries.operational_virtual_group(ID, (), ()))
    published.check((*own, *members[:2], members[3]))


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        ("dc=ldap,dc=example", "domain"),
        ("ou=users,dc=example", "organizationalUnit"),
        ("o=Example", "organization"),
        ("c=DE", "country"),
        ("c=Germany", "locality"),
        ("l=Berlin", "locality"),
        ("cn=base", "container"),
        ("uid=base", "locality"),
        ("foo=bar", "locality"),
        ("ou=a+o=b", "locality"),
        ("ou=a+ou=A", "locality"),
        ("1.2.3=#0403666f6f", "locality"),
    ],
)
def test_containers_are_valid_too(name: str, structure: str) -> None:
    rdn = dn.parse(name).rdns[0]
    attributes = entries.container(rdn) + entries.operational_container(dn.normalise(name), rdn)
    Published(schema_of(ldap_provider())).check(attributes)
    shown = described(attributes)
    assert shown["structuralObjectClass"] == [structure]
    assert shown["hasSubordinates"] == ["TRUE"]

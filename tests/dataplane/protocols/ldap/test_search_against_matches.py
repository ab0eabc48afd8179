"""Whatever the directory and the filter: what indexes find is what the plain way finds, entry by entry."""

from uuid import UUID

from hypothesis import given, note, settings
from hypothesis import strategies as st

from dataplane.config import DirectoryEntry, DirectoryGroup, DirectoryUser
from dataplane.protocols.ldap.candidates import Held
from dataplane.protocols.ldap.filters_match import matches
from dataplane.protocols.ldap.filters_resolve import resolve
from dataplane.protocols.ldap.messages import (
    And,
    Approximate,
    Equality,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Scope,
    Substrings,
)
from dataplane.protocols.ldap.tree import CONTAINERS, VIRTUAL, Tree
from dataplane.protocols.ldap.trees import Trees
from dataplane.protocols.ldap.virtuals import turned
from tests.support.ldap_trees import BASE, Searcher, change, group, identity, key_of, load, provider, user

USERNAMES = ("ada", "Ada", "bert", "bo", "ünal", "o'neil, jr", "a+b", "x")
GROUPS = ("staff", "ops", "Ops", "all of them", "#1")
MAPPED = (("telephoneNumber", "phone"), ("employeeNumber", "number"), ("nickname", "nick"), ("jpegPhoto", "photo"))
ATTRIBUTES = (
    "cn", "uid", "sAMAccountName", "name", "displayName", "givenName", "sn", "mail", "uidNumber", "gidNumber",
    "homeDirectory", "ak-active", "ak-superuser", "objectClass", "memberOf", "member", "uniqueMember", "memberUid",
    "entryUUID", "entryDN", "createTimestamp", "modifyTimestamp", "pwdChangedTime", "structuralObjectClass",
    "hasSubordinates", "ou", "dc", "telephoneNumber", "employeeNumber", "nickname", "jpegPhoto", "userAccountControl",
    "nobodyKnowsThis", "cn;lang-de", "cn;x-unknown", "2.5.4.3",
)  # fmt: skip
RULES = (
    "caseIgnoreMatch", "caseExactMatch", "caseIgnoreSubstringsMatch", "caseIgnoreOrderingMatch", "integerMatch",
    "integerOrderingMatch", "distinguishedNameMatch", "1.2.840.113556.1.4.803", "1.2.840.113556.1.4.804",
    "1.2.840.113556.1.4.1941", "generalizedTimeOrderingMatch", "noSuchRule",
)  # fmt: skip

usernames = st.sampled_from(USERNAMES)
texts = st.sampled_from(("Ada", "Ada Lovelace", "bert", "Bert  B", "ÜNAL", "x y z", "", "  ", "ab", "ß"))
groups_joined = st.lists(st.sampled_from((*GROUPS, "not yet there")), max_size=3).map(tuple)
attributes = st.sampled_from(
    (
        "{}",
        '{"phone": "+49 (30) 12-34", "nick": ["Ada", "the countess"]}',
        '{"number": 12, "nick": "ada", "uidNumber": 5000}',
        '{"number": "abc", "gidNumber": "7", "photo": "AQID"}',
        '{"nick": ""}',
    )
)
users = st.builds(
    lambda username, joined, name, rest: user(
        username,
        *joined,
        name=name,
        email=rest[0],
        active=rest[1],
        attributes=rest[2],
        number=rest[3],
        updated=rest[4],
        key=rest[5],
    ),
    usernames,
    groups_joined,
    texts,
    st.tuples(
        st.sampled_from(("", "ada@example.com", "ADA@example.com", "bert@other.example")),
        st.booleans(),
        attributes,
        st.integers(1, 6),
        st.sampled_from((1_600_000_000.0, 1_700_000_000.5, 1_800_000_000.0)),
        st.sampled_from(("1", "2", "3", "4", "5", "6")),
    ),
)
groups = st.builds(
    lambda name, parents, superuser, key: group(name, *parents, superuser=superuser, key=key),
    st.sampled_from((*GROUPS, "ada")),
    groups_joined,
    st.booleans(),
    st.sampled_from(GROUPS),
)
entries = st.one_of(users, groups)
keys = st.one_of(
    st.sampled_from("123456").map(lambda key: f"user/{identity(key)}"),
    st.sampled_from(GROUPS).map(lambda key: f"group/{identity(key)}"),
)

names = st.one_of(
    usernames.map(lambda name: f"cn={_escaped(name)},ou=users,{BASE}"),
    usernames.map(lambda name: f"CN={_escaped(name)},OU=virtual-groups,{BASE.lower()}"),
    st.sampled_from(GROUPS).map(lambda name: f"cn={_escaped(name)},ou=groups,{BASE}"),
    st.sampled_from((BASE, f"ou=users,{BASE}", "cn=nobody,ou=users,dc=elsewhere", "", "no name")),
)
values = st.one_of(
    names,
    usernames,
    texts,
    st.sampled_from(GROUPS),
    st.sampled_from(("user", "group", "2.5.6.6", "posixGroup", "goauthentik.io/ldap/virtual-group", "noSuchClass")),
    st.sampled_from(
        ("TRUE", "FALSE", "true", "0", "1", "2001", "2003", "5000", "7", "12", "-1", "99999999999999999999")
    ),
    st.sampled_from(("20200913122640Z", "20231114221320Z", "20231114221320.5Z", "2023111422Z", "20990101000000Z")),
    st.sampled_from(("ada@example.com", "Ada@Example.Com", "+4930 1234", "the countess", "/home/ada", "/home/Ada")),
    st.sampled_from("123456").map(identity),
    st.sampled_from("123456").map(lambda key: _virtual_uuid(identity(key))),
    st.sampled_from(GROUPS).map(identity),
).map(str.encode)
pieces = st.one_of(
    st.sampled_from((b"a", b"ad", b"ada", b"e", b".com", b"@ex", b"da l", b" ", b"  ", b"love", b"\xc3\xbc")), values
)
described = st.sampled_from(ATTRIBUTES)


def _escaped(name: str) -> str:
    return name.replace(",", "\\,").replace("+", "\\2b").replace("#", "\\#")


def _virtual_uuid(text: str) -> str:
    return str(UUID(bytes=turned(UUID(text).bytes)))


leaves = st.one_of(
    st.builds(Present, described),
    st.builds(Equality, described, values),
    st.builds(Approximate, described, values),
    st.builds(GreaterOrEqual, described, values),
    st.builds(LessOrEqual, described, values),
    st.builds(
        lambda attribute, initial, between, final: Substrings(
            attribute=attribute, initial=initial, any=tuple(between), final=final
        ),
        described,
        st.none() | pieces,
        st.lists(pieces, min_size=1, max_size=2),
        st.none() | pieces,
    ),
    st.builds(
        lambda rule, attribute, value, in_name: Extensible(
            rule=rule, attribute=attribute, value=value, dn_attributes=in_name
        ),
        st.none() | st.sampled_from(RULES),
        st.none() | described,
        values,
        st.booleans(),
    ),
)
filters = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, max_size=3).map(lambda each: And(tuple(each))),
        st.lists(inner, max_size=3).map(lambda each: Or(tuple(each))),
    ),
    max_leaves=5,
)


def _expected(tree: Tree, asked: Filter) -> set[str]:
    node = resolve(asked, tree.directory.schema)
    slots = [slot for slot, kind in enumerate(tree.directory.kinds) if kind]
    virtual = [slot | VIRTUAL for slot in slots if tree.is_user(slot)]
    return {
        tree.name_of(code).decode()
        for code in (*CONTAINERS, *slots, *virtual)
        if matches(Held(tree, code), node) is True
    }


def _check(trees: Trees, asked: list[Filter]) -> None:
    tree = trees.get("directory")
    assert tree is not None
    searcher = Searcher.of(trees, "someone who sees all")
    for each in asked:
        note(str(each))
        answer = searcher.search(each)
        assert set(answer.entries) == _expected(tree, each)


def _directory(*held: DirectoryEntry) -> Trees:
    trees = Trees((provider(user_attributes=MAPPED, search_group="search"),))
    return load(trees, *_distinct(held), group("search"), user("someone who sees all", "search"))


def _distinct(held: tuple[DirectoryEntry, ...]) -> list[DirectoryEntry]:
    """Names are unique in the directory, upper and lower case told apart."""
    by_name: dict[tuple[type, str], DirectoryEntry] = {}
    by_key: dict[str, DirectoryEntry] = {}
    for entry in held:
        name = entry.username if isinstance(entry, DirectoryUser) else entry.name
        if (type(entry), name) not in by_name and key_of(entry) not in by_key:
            by_name[type(entry), name] = by_key[key_of(entry)] = entry
    return list(by_key.values())


@settings(max_examples=60)
@given(held=st.lists(entries, max_size=9).map(tuple), asked=st.lists(filters, min_size=4, max_size=8))
def test_indexes_find_what_matches(held: tuple[DirectoryEntry, ...], asked: list[Filter]) -> None:
    _check(_directory(*held), asked)


@settings(max_examples=60)
@given(
    held=st.lists(entries, max_size=6).map(tuple),
    changes=st.lists(st.one_of(entries, keys), min_size=1, max_size=8),
    asked=st.lists(filters, min_size=4, max_size=8),
)
def test_indexes_find_what_matches_after_changes(
    held: tuple[DirectoryEntry, ...], changes: list[DirectoryEntry | str], asked: list[Filter]
) -> None:
    trees = _directory(*held)
    present = {key_of(entry): entry for entry in _distinct(held)}
    for each in changes:
        if isinstance(each, str):
            change(trees, removed=[each])
            present.pop(each, None)
        elif _fits(each, present):
            change(trees, each)
            present[key_of(each)] = each
    _check(trees, asked)
    fresh = _directory(*present.values())
    for wanted in asked[:2]:
        assert _everything(trees, wanted) == _everything(fresh, wanted), "not as if it had never been anything else"


def _everything(trees: Trees, asked: Filter) -> dict[str, dict[str, list[bytes]]]:
    """Entries with all attributes; values, which are sets, in one order."""
    found = Searcher.of(trees, "someone who sees all").search(asked, attributes=("*", "+")).entries
    return {name: {kind: sorted(values) for kind, values in held.items()} for name, held in found.items()}


def _fits(entry: DirectoryEntry, present: dict[str, DirectoryEntry]) -> bool:
    others = [each for key, each in present.items() if key != key_of(entry) and type(each) is type(entry)]
    match entry:
        case DirectoryUser():
            return all(isinstance(each, DirectoryUser) and each.username != entry.username for each in others)
        case DirectoryGroup():
            return all(isinstance(each, DirectoryGroup) and each.name != entry.name for each in others)


@given(asked=filters)
@settings(max_examples=50)
def test_a_filter_and_its_negation_never_both_hold(asked: Filter) -> None:
    searcher = Searcher.of(_directory(user("ada", "ops", key="1"), group("ops")), "someone who sees all")
    assert not set(searcher.search(asked).entries) & set(searcher.search(Not(asked)).entries)


@given(asked=filters, scope=st.sampled_from(list(Scope)), base=names)
@settings(max_examples=100)
def test_regions_are_parts_of_the_whole(asked: Filter, scope: Scope, base: str) -> None:
    trees = _directory(user("ada", "ops", key="1"), user("bert", "ops", key="2"), group("ops"))
    searcher = Searcher.of(trees, "someone who sees all")
    found = set(searcher.search(asked, base=base, scope=scope).entries) - {""}
    assert found <= set(searcher.search(asked).entries)

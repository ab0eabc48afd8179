"""Who sees what, and that those who see little can't find out more by any question."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from dataplane.config import DirectoryEntry
from dataplane.protocols.ldap.messages import (
    And,
    Control,
    Equality,
    Extensible,
    Filter,
    GreaterOrEqual,
    Not,
    Or,
    Paged,
    Present,
    ResultCode,
    Scope,
    Substrings,
)
from dataplane.protocols.ldap.rootdse import PAGED_RESULTS, SERVER_SIDE_SORTING
from dataplane.protocols.ldap.trees import Trees
from dataplane.protocols.ldap.values import decode_paged, encode_paged
from tests.dataplane.protocols.ldap.test_search_against_matches import filters
from tests.support.ldap_trees import (
    BASE,
    STAFF,
    Answer,
    Searcher,
    change,
    group,
    identity,
    key_of,
    load,
    provider,
    user,
)

USERS, GROUPS, VIRTUAL = f"ou=users,{BASE}", f"ou=groups,{BASE}", f"ou=virtual-groups,{BASE}"
BERT = f"cn=bert,{USERS}"
IN_CHAIN = "1.2.840.113556.1.4.1941"


def directory() -> Trees:
    """Staff see all of it; bert is in a team, which is in a department, and carol in another of each."""
    return load(
        Trees((provider(),)),
        group(STAFF),
        group("department"),
        group("team", "department"),
        group("other department"),
        group("other team", "other department", "department"),
        user("ada", STAFF),
        user("bert", "team", email="bert@example.org", number=1),
        user("carol", "other team", "team", email="carol@example.org", number=2),
    )


@pytest.fixture
def trees() -> Trees:
    return directory()


@pytest.fixture
def bert(trees: Trees) -> Searcher:
    return Searcher.of(trees, "bert")


OWN = {
    BASE,
    USERS,
    GROUPS,
    VIRTUAL,
    BERT,
    f"cn=bert,{VIRTUAL}",
    f"cn=team,{GROUPS}",
    f"cn=department,{GROUPS}",
}


def test_others_see_themselves_and_their_groups(bert: Searcher) -> None:
    assert set(bert.search().entries) == OWN
    assert set(bert.search(base="").entries) == OWN


def test_members_of_the_search_group_see_everything(trees: Trees) -> None:
    assert len(Searcher.of(trees, "ada").search().entries) == 4 + 5 + 3 + 3


def test_a_group_in_the_search_group_counts_and_rights_are_looked_up_each_time(trees: Trees, bert: Searcher) -> None:
    change(trees, group("department", STAFF))
    assert len(bert.search().entries) == 15
    change(trees, group("department"))
    assert set(bert.search().entries) == OWN


def test_a_search_group_that_is_gone_lets_nobody_in(trees: Trees) -> None:
    ada = Searcher.of(trees, "ada")
    change(trees, removed=[key_of(group(STAFF))])
    assert set(ada.search(base=GROUPS, scope=Scope.ONE_LEVEL).entries) == set()


def test_without_a_search_group_nobody_sees_everything() -> None:
    trees = directory().with_providers((provider(search_group="no such group"),))
    assert f"cn=bert,{USERS}" not in Searcher.of(trees, "ada").search().entries


@pytest.mark.parametrize("how", ["removed", "inactive"])
def test_who_is_gone_or_inactive_is_nobody(trees: Trees, how: str) -> None:
    ada = Searcher.of(trees, "ada")
    if how == "removed":
        change(trees, removed=[f"user/{identity('ada')}"])
    else:
        change(trees, user("ada", STAFF, active=False))
    assert ada.search().code is ResultCode.INSUFFICIENT_ACCESS_RIGHTS
    assert ada.compare(BASE, "dc", b"ldap").code is ResultCode.INSUFFICIENT_ACCESS_RIGHTS
    assert ada.search(base="", scope=Scope.BASE).code is ResultCode.SUCCESS


def test_rights_belong_to_the_provider_that_was_bound_to() -> None:
    providers = (provider(), provider("dc=other", id="other", search_group="no such group"))
    trees = load(Trees(providers), group(STAFF), user("ada", STAFF), user("bert"))
    ada = Searcher.of(trees, "ada")
    assert ada.search(base="dc=other").code is ResultCode.NO_SUCH_OBJECT
    assert all(name.endswith(BASE) for name in ada.search(base="").entries)
    assert len(Searcher.of(trees, "ada", "other").search(base="dc=other").entries) == 4 + 1 + 1 + 1


def test_of_members_only_oneself_and_ones_groups_are_seen(bert: Searcher) -> None:
    team, department = f"cn=team,{GROUPS}", f"cn=department,{GROUPS}"
    entries = bert.search(attributes=("*", "+")).entries
    assert entries[team]["member"] == entries[team]["uniqueMember"] == [BERT.encode()]
    assert entries[team]["memberUid"] == [b"bert"]
    assert entries[department]["member"] == [team.encode()]
    assert "memberUid" not in entries[department]
    assert b"carol" not in repr(entries).encode()
    assert b"other" not in repr(entries).encode()


HIDDEN = [
    f"cn=carol,{USERS}",
    f"cn=carol,{VIRTUAL}",
    f"cn=other team,{GROUPS}",
    f"cn=x,cn=carol,{USERS}",
    f"cn=x,cn=other team,{GROUPS}",
]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("scope", list(Scope))
def test_what_is_hidden_is_answered_for_like_what_is_not_there(
    trees: Trees, bert: Searcher, hidden: str, scope: Scope
) -> None:
    asked = Or((Present("objectClass"), Equality("cn", b"carol")))
    before = bert.search(asked, base=hidden, scope=scope), bert.compare(hidden, "cn", b"carol")
    change(trees, removed=[f"user/{identity('carol')}", f"group/{identity('other team')}"])
    after = bert.search(asked, base=hidden, scope=scope), bert.compare(hidden, "cn", b"carol")
    assert before == after
    assert before[0].code is before[1].code is ResultCode.NO_SUCH_OBJECT


CAROL = f"cn=carol,{USERS}".encode()
QUESTIONS = [
    Equality("member", CAROL),
    Not(Equality("member", CAROL)),
    Equality("uniqueMember", CAROL),
    Equality("memberUid", b"carol"),
    Substrings(attribute="memberUid", initial=b"c"),
    GreaterOrEqual("uidNumber", b"0"),
    Extensible(rule=IN_CHAIN, attribute="member", value=CAROL),
    Extensible(rule=IN_CHAIN, attribute="memberOf", value=f"cn=other team,{GROUPS}".encode()),
    Extensible(rule="caseIgnoreMatch", value=b"carol", dn_attributes=True),
    Equality("member", f"cn=other team,{GROUPS}".encode()),
    Equality("memberOf", f"cn=other department,{GROUPS}".encode()),
    And((Present("member"), Not(Equality("member", BERT.encode())))),
    Present("objectClass"),
]


def everything_asked(bert: Searcher, asked: Filter) -> Iterator[Answer]:
    """A question in every form that might answer differently."""
    sort = Control(oid=SERVER_SIDE_SORTING, value=b"\x30\x0a\x30\x08\x04\x06member")
    yield bert.search(asked, attributes=("*", "+"))
    yield bert.search(asked, base="", size_limit=3)
    yield bert.search(asked, controls=(sort,))
    yield bert.search(asked, controls=(Control(oid=PAGED_RESULTS, value=encode_paged(Paged(size=100))),))
    for base in (USERS, GROUPS, VIRTUAL):
        yield bert.search(asked, base=base, scope=Scope.ONE_LEVEL)


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: type(asked).__name__)
def test_no_question_tells_of_what_is_hidden(asked: Filter) -> None:
    """The same answers in a directory in which there is nothing that is hidden."""
    without = load(
        Trees((provider(),)),
        group(STAFF),
        group("department"),
        group("team", "department"),
        user("ada", STAFF),
        user("bert", "team", email="bert@example.org", number=1),
    )
    bert, alone = Searcher.of(directory(), "bert"), Searcher.of(without, "bert")
    assert list(everything_asked(bert, asked)) == list(everything_asked(alone, asked))


@settings(max_examples=100)
@given(asked=filters)
def test_no_question_by_chance_tells_either(asked: Filter) -> None:
    names = "ada", "Ada", "bo", "x"
    little = user("bert", "ops", number=1), group("ops", "all of them"), group("all of them"), group(STAFF)
    much: list[DirectoryEntry] = [
        *(
            user(name, "ops", STAFF, "#1", email="ada@example.com", number=number)
            for number, name in enumerate(names, 2)
        ),
        group("#1", "ops", STAFF, superuser=True),
        group("Ops", "#1"),
    ]
    alone = Searcher.of(load(Trees((provider(),)), *little), "bert")
    among_others = Searcher.of(load(Trees((provider(),)), *little, *much), "bert")
    assert [answer.entries for answer in everything_asked(among_others, asked)] == [
        answer.entries for answer in everything_asked(alone, asked)
    ]


@pytest.mark.parametrize(
    ("entry", "attribute", "value", "code"),
    [
        (f"cn=team,{GROUPS}", "member", CAROL, ResultCode.COMPARE_FALSE),
        (f"cn=team,{GROUPS}", "member", BERT.encode(), ResultCode.COMPARE_TRUE),
        (f"cn=team,{GROUPS}", "memberUid", b"carol", ResultCode.COMPARE_FALSE),
        (f"cn=department,{GROUPS}", "memberUid", b"carol", ResultCode.NO_SUCH_ATTRIBUTE),
        (f"cn=department,{GROUPS}", "member", f"cn=other team,{GROUPS}".encode(), ResultCode.COMPARE_FALSE),
        (BERT, "memberOf", f"cn=team,{GROUPS}".encode(), ResultCode.COMPARE_TRUE),
    ],
)
def test_compare_sees_no_more(bert: Searcher, entry: str, attribute: str, value: bytes, code: ResultCode) -> None:
    assert bert.compare(entry, attribute, value).code is code


def test_the_count_of_pages_tells_no_more(bert: Searcher) -> None:
    answer = bert.search(controls=(Control(oid=PAGED_RESULTS, value=encode_paged(Paged(size=100))),))
    assert decode_paged(answer.controls[PAGED_RESULTS]).size in (0, len(OWN))


def test_losing_rights_ends_a_paged_search(trees: Trees) -> None:
    ada = Searcher.of(trees, "ada")
    first = ada.search(controls=(Control(oid=PAGED_RESULTS, value=encode_paged(Paged(size=5))),))
    cookie = decode_paged(first.controls[PAGED_RESULTS]).cookie
    assert cookie
    change(trees, user("ada"))
    rest = ada.search(controls=(Control(oid=PAGED_RESULTS, value=encode_paged(Paged(size=5, cookie=cookie))),))
    assert (rest.code, rest.entries) == (ResultCode.UNWILLING_TO_PERFORM, {})

"""Members of large groups are encoded once, with pauses, and anew when anything of them has changed."""

from itertools import count

import pytest

from dataplane.protocols.ldap.member_lists import LARGE, MAX_BYTES, MemberLists
from dataplane.protocols.ldap.messages import Present, Scope
from dataplane.protocols.ldap.pace import Pace
from dataplane.protocols.ldap.trees import Trees
from tests.support.ldap_trees import BASE, STAFF, Searcher, change, group, identity, load, provider, user

CROWD = LARGE + 100
BIG = f"cn=big,ou=groups,{BASE}"


@pytest.fixture
def trees() -> Trees:
    crowd = [user(f"user {number}", "big", number=number + 1) for number in range(CROWD)]
    return load(Trees((provider(),)), group(STAFF), group("big"), group("child", "big"), user("ada", STAFF), *crowd)


def members(trees: Trees, attribute: str) -> set[str]:
    found = Searcher.of(trees, "ada").search(
        Present("cn"), base=BIG, scope=Scope.BASE, attributes=("member", "uniqueMember", "memberUid")
    )
    return {value.decode() for value in found.entries[BIG][attribute]}


@pytest.mark.parametrize("attribute", ["member", "uniqueMember", "memberUid"])
def test_who_is_called_otherwise_comes_or_goes_is_listed_so(trees: Trees, attribute: str) -> None:
    spelled = "{}" if attribute == "memberUid" else f"cn={{}},ou=users,{BASE}"
    before = members(trees, attribute)
    assert before == members(trees, attribute)
    assert len(before) == CROWD + (attribute != "memberUid")
    change(trees, user("renamed", "big", key="user 1", number=2))
    change(trees, user("new", "big", number=5000))
    change(trees, user("user 2", number=3))
    change(trees, removed=[f"user/{identity('user 3')}"])
    gone = {spelled.format(f"user {number}") for number in (1, 2, 3)}
    come = {spelled.format(name) for name in ("renamed", "new")}
    assert members(trees, attribute) == before - gone | come


def test_a_child_that_is_called_otherwise_is_listed_so(trees: Trees) -> None:
    assert f"cn=child,ou=groups,{BASE}" in members(trees, "member")
    change(trees, group("grandchild", "big", key="child"))
    assert f"cn=child,ou=groups,{BASE}" not in members(trees, "member")
    assert f"cn=grandchild,ou=groups,{BASE}" in members(trees, "member")


def test_lists_are_made_with_pauses_and_bounded(trees: Trees) -> None:
    tree = trees.get("directory")
    assert tree is not None
    seconds = count()
    lists, slot = MemberLists(tree.directory), tree.directory.groups[identity("big")]
    pace = Pace(lambda: next(seconds))
    assert len(list(lists.fill(slot, "member", lambda member: b"x%d" % member, pace))) >= CROWD // 64
    assert lists.find(slot, "member")
    long = b"x" * (MAX_BYTES // CROWD)
    assert list(lists.fill(slot, "member", lambda _: long, pace))
    assert lists.find(slot, "member") is None
    assert list(lists.fill(slot, "memberUid", lambda _: b"", pace))
    assert list(lists.fill(slot, "member", lambda _: long[:-16], pace))
    assert lists.find(slot, "memberUid") is None
    assert lists.find(slot, "member")

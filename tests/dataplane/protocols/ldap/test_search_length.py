"""Searches that take long: batches, time limits, and a directory that changes meanwhile."""

from itertools import count

import pytest

from dataplane.protocols.ldap.messages import Message, Not, Or, Present, ResultCode, Scope, Search, Substrings
from dataplane.protocols.ldap.paging import Pages
from dataplane.protocols.ldap.search import answer
from dataplane.protocols.ldap.trees import Trees
from tests.support.ldap_trees import ANYTHING, BASE, STAFF, Searcher, change, group, identity, load, provider, user

USERS = f"ou=users,{BASE}"


@pytest.fixture
def trees() -> Trees:
    return Trees((provider(),))


def crowd(trees: Trees) -> Searcher:
    """Many more than go into one batch, and ada."""
    load(
        trees,
        group(STAFF),
        user("ada", STAFF),
        *(user(f"user {number:04}", number=number + 1) for number in range(1500)),
    )
    return Searcher.of(trees, "ada")


def test_a_long_answer_comes_in_batches(trees: Trees) -> None:
    answer = crowd(trees).search()
    assert len(answer.entries) == 4 + 1 + 2 * 1501
    assert answer.batches > 5


def test_time_runs_out(trees: Trees) -> None:
    searcher = crowd(trees)
    now = iter(range(0, 1_000_000, 20))
    searcher.clock = lambda: float(next(now))
    answer = searcher.search(time_limit=15)
    assert answer.code is ResultCode.TIME_LIMIT_EXCEEDED
    assert 0 < len(answer.entries) < 1000


def test_looking_in_vain_lets_others_run_and_ends_in_time(trees: Trees) -> None:
    searcher = crowd(trees)
    in_vain = Not(Or((Substrings(attribute="cn", any=(b"e", b"x")), Present("cn"), Present("ou"), Present("dc"))))
    for seconds, code in ((0.0015, ResultCode.SUCCESS), (20, ResultCode.TIME_LIMIT_EXCEEDED)):
        now = count(0, seconds)
        searcher.clock = lambda now=now: float(next(now))  # type: ignore[misc]  # the one of this turn
        answer = searcher.search(in_vain, time_limit=15)
        assert (answer.code, answer.entries) == (code, {})
        assert answer.batches > 1


def test_the_directory_may_change_while_it_is_searched(trees: Trees) -> None:
    searcher = crowd(trees)
    request = Search(base=USERS, scope=Scope.ONE_LEVEL, filter=ANYTHING)
    running = answer(trees, Message(id=7, request=request), searcher.viewer, Pages(), searcher.clock)
    found = next(running)
    change(trees, user("newcomer"), removed=[f"user/{identity(f'user {number:04}')}" for number in range(1400, 1500)])
    change(trees, user("somebody else", key="user 1300"))
    found += b"".join(running)
    assert b"cn=user 1399," in found
    assert b"cn=user 1400," not in found
    assert b"cn=newcomer," not in found
    assert b"cn=somebody else," in found


def test_a_whole_copy_may_come_while_it_is_searched(trees: Trees) -> None:
    searcher = crowd(trees)
    request = Search(base=USERS, scope=Scope.ONE_LEVEL, filter=ANYTHING)
    running = answer(trees, Message(id=7, request=request), searcher.viewer, Pages(), searcher.clock)
    found = next(running)
    load(trees, group(STAFF), user("ada", STAFF), user("bert"))
    found += b"".join(running)
    assert found.count(b"cn=user ") >= 1500
    assert len(searcher.search(base=USERS, scope=Scope.ONE_LEVEL).entries) == 2

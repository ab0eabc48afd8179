"""Filters as deep and as many as the codec lets through are answered, whichever way the search takes.

On a thread of its own, whose stack is as empty as a connection's: the depth of Python's own calls is bounded too.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataplane.protocols.ldap.filterwire import MAX_DEPTH, MAX_FILTERS
from dataplane.protocols.ldap.messages import And, Equality, Filter, Not, Or, Present, ResultCode
from dataplane.protocols.ldap.trees import Trees
from tests.support.ldap_trees import ANYTHING, BASE, Answer, Searcher, group, load, provider, user

ADA = Equality("uid", b"ada")


@pytest.fixture(scope="module")
def trees() -> Trees:
    people = [user("ada", "staff", number=1), user("bert", number=2)]
    return load(Trees((provider(),)), group("staff"), *people)


def asked(trees: Trees, who: str, wanted: Filter, base: str = BASE) -> Answer:
    """The answer, on a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: Searcher.of(trees, who).search(wanted, base=base)).result()


def nested(wrap: Callable[[Filter], Filter], levels: int = MAX_DEPTH) -> Filter:
    found: Filter = ADA
    for _ in range(levels):
        found = wrap(found)
    return found


WRAPS: list[Callable[[Filter], Filter]] = [
    Not,
    lambda each: And((each,)),
    lambda each: Or((each,)),
    lambda each: And((ANYTHING, each)),
    lambda each: Or((each, Present("nobodyKnowsThis"))),
]


@pytest.mark.parametrize("wrap", WRAPS, ids=["not", "and", "or", "and two", "or two"])
@pytest.mark.parametrize(
    ("who", "base"), [("ada", BASE), ("bert", BASE), ("ada", f"cn=ada,ou=users,{BASE}"), ("ada", "")]
)
def test_as_deep_as_can_be(trees: Trees, wrap: Callable[[Filter], Filter], who: str, base: str) -> None:
    found = asked(trees, who, nested(wrap), base)
    assert found.code is ResultCode.SUCCESS
    assert any("cn=ada,ou=users" in name for name in found.entries) is (who == "ada")


@pytest.mark.parametrize("made", [And, Or])
@pytest.mark.parametrize("who", ["ada", "bert"])
def test_as_many_as_can_be(trees: Trees, made: type[And] | type[Or], who: str) -> None:
    began = time.process_time()
    many = made(tuple([Equality("mail", b"x%d" % number) for number in range(MAX_FILTERS - 2)] + [ADA]))
    found = asked(trees, who, many)
    assert found.code is ResultCode.SUCCESS
    assert len(found.entries) == (made is Or and who == "ada")
    assert time.process_time() - began < 5

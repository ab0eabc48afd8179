"""Paged results (RFC 2696)."""

from collections import Counter
from itertools import chain

import pytest

from dataplane.protocols.ldap.messages import Control, Equality, Paged, Present, ResultCode, Scope
from dataplane.protocols.ldap.paging import MAX_OUTSTANDING, MAX_TOGETHER, Pages, Shelf
from dataplane.protocols.ldap.rootdse import PAGED_RESULTS, SERVER_SIDE_SORTING
from dataplane.protocols.ldap.trees import Trees
from dataplane.protocols.ldap.values import decode_paged, encode_paged
from tests.support.ldap_trees import BASE, STAFF, Answer, Searcher, change, group, identity, load, provider, user

USERS = f"ou=users,{BASE}"
BY_MAIL_BACKWARDS = Control(oid=SERVER_SIDE_SORTING, value=b"\x30\x0b\x30\x09\x04\x04mail\x81\x01\xff")


@pytest.fixture
def trees() -> Trees:
    people = [user(f"user {number}", email=f"{number}@example.org", number=number + 10) for number in range(9)]
    return load(Trees((provider(),)), group(STAFF), user("ada", STAFF, email="ada@example.org", number=1), *people)


@pytest.fixture
def ada(trees: Trees) -> Searcher:
    return Searcher.of(trees, "ada")


def page(size: int, cookie: bytes = b"") -> Control:
    return Control(oid=PAGED_RESULTS, value=encode_paged(Paged(size=size, cookie=cookie)), critical=True)


def cookie_of(answer: Answer) -> bytes:
    return decode_paged(answer.controls[PAGED_RESULTS]).cookie


def one_page(searcher: Searcher, size: int, cookie: bytes = b"", *more: Control) -> Answer:
    return searcher.search(base=USERS, controls=(page(size, cookie), *more))


def all_pages(searcher: Searcher, size: int, *more: Control) -> list[list[str]]:
    pages: list[list[str]] = []
    cookie = b""
    while not pages or cookie:
        answer = one_page(searcher, size, cookie, *more)
        assert answer.code is ResultCode.SUCCESS
        cookie = cookie_of(answer)
        pages.append(list(answer.entries))
    return pages


@pytest.mark.parametrize(("size", "sizes"), [(1, [1] * 11), (4, [4, 4, 3]), (10, [10, 1]), (11, [11]), (900, [11])])
def test_pages_hold_everything_once(ada: Searcher, size: int, sizes: list[int]) -> None:
    pages = all_pages(ada, size)
    assert [len(each) for each in pages] == sizes
    assert sorted(chain.from_iterable(pages)) == sorted(ada.search(base=USERS).entries)
    assert len(ada.pages) == 0


def test_pages_of_nothing(ada: Searcher) -> None:
    answer = ada.search(Equality("uid", b"nobody"), controls=(page(5),))
    assert (answer.code, answer.entries, cookie_of(answer)) == (ResultCode.SUCCESS, {}, b"")


def test_sorted_pages_go_on_in_order(ada: Searcher) -> None:
    pages = list(chain.from_iterable(all_pages(ada, 4, BY_MAIL_BACKWARDS)))
    # What has no mail is greater than what has (RFC 2891 section 2.2).
    assert pages == [USERS, f"cn=ada,{USERS}", *(f"cn=user {number},{USERS}" for number in reversed(range(9)))]
    assert decode_paged(one_page(ada, 4, b"", BY_MAIL_BACKWARDS).controls[PAGED_RESULTS]).size == 11


def test_a_size_of_zero_gives_the_search_up(ada: Searcher) -> None:
    cookie = cookie_of(one_page(ada, 4))
    answer = one_page(ada, 0, cookie)
    assert (answer.code, answer.entries, cookie_of(answer)) == (ResultCode.SUCCESS, {}, b"")
    assert len(ada.pages) == 0
    assert one_page(ada, 4, cookie).code is ResultCode.UNWILLING_TO_PERFORM
    assert one_page(ada, 0, cookie).code is ResultCode.UNWILLING_TO_PERFORM


def test_a_size_of_zero_at_first_sends_nothing(ada: Searcher) -> None:
    answer = one_page(ada, 0)
    assert (answer.code, answer.entries, cookie_of(answer)) == (ResultCode.SUCCESS, {}, b"")


def test_a_cookie_is_good_once(ada: Searcher) -> None:
    cookie = cookie_of(one_page(ada, 4))
    assert one_page(ada, 4, cookie).code is ResultCode.SUCCESS
    assert one_page(ada, 4, cookie).code is ResultCode.UNWILLING_TO_PERFORM


def test_a_cookie_is_good_on_its_connection_alone(trees: Trees, ada: Searcher) -> None:
    cookie = cookie_of(one_page(ada, 4))
    assert one_page(Searcher.of(trees, "ada"), 4, cookie).code is ResultCode.UNWILLING_TO_PERFORM


def test_a_cookie_is_of_one_search(ada: Searcher) -> None:
    cookie = cookie_of(one_page(ada, 4))
    answer = ada.search(Present("cn"), base=USERS, controls=(page(4, cookie),))
    assert (answer.code, answer.entries) == (ResultCode.UNWILLING_TO_PERFORM, {})
    for cookie in (b"guessed", bytes(16)):
        assert one_page(ada, 4, cookie).code is ResultCode.UNWILLING_TO_PERFORM


def test_a_page_may_be_of_another_size_than_the_last(ada: Searcher) -> None:
    assert len(one_page(ada, 100, cookie_of(one_page(ada, 4))).entries) == 7


def test_the_search_that_has_waited_longest_makes_room(ada: Searcher) -> None:
    cookies = [cookie_of(one_page(ada, 1)) for _ in range(MAX_OUTSTANDING + 1)]
    assert len(set(cookies)) == len(cookies)
    assert len(ada.pages) == MAX_OUTSTANDING
    assert one_page(ada, 1, cookies[0]).code is ResultCode.UNWILLING_TO_PERFORM
    assert one_page(ada, 1, cookies[1]).code is ResultCode.SUCCESS
    ada.pages.clear()
    assert one_page(ada, 1, cookies[2]).code is ResultCode.UNWILLING_TO_PERFORM


def test_pages_go_on_over_changes(trees: Trees, ada: Searcher) -> None:
    first = one_page(ada, 4)
    change(trees, user("newcomer"), user("user 7", name="Seven"), removed=[f"user/{identity('user 8')}"])
    rest = one_page(ada, 100, cookie_of(first))
    names = [*first.entries, *rest.entries]
    assert len(names) == len(set(names)) == 10
    assert rest.entries[f"cn=user 7,{USERS}"]["name"] == [b"Seven"]


def test_a_whole_copy_ends_paged_searches(trees: Trees, ada: Searcher) -> None:
    cookie = cookie_of(one_page(ada, 4))
    load(trees, group(STAFF), user("ada", STAFF))
    assert one_page(ada, 4, cookie).code is ResultCode.UNWILLING_TO_PERFORM


def test_all_connections_together_have_so_many_paged_searches(trees: Trees) -> None:
    limits = Counter[str]()
    shelf = Shelf(limits)
    searchers = [Searcher.of(trees, "ada") for _ in range(MAX_TOGETHER // MAX_OUTSTANDING + 1)]
    cookies = []
    for searcher in searchers:
        searcher.pages = Pages(shelf)
        cookies.append([cookie_of(one_page(searcher, 4)) for _ in range(MAX_OUTSTANDING)])
    assert [len(each.pages) for each in searchers] == [0, *[MAX_OUTSTANDING] * (len(searchers) - 1)]
    assert limits == {"pages": MAX_OUTSTANDING}
    assert one_page(searchers[0], 4, cookies[0][0]).code is ResultCode.UNWILLING_TO_PERFORM
    assert one_page(searchers[1], 20, cookies[1][0]).code is ResultCode.SUCCESS
    searchers[2].pages.clear()
    for _ in range(MAX_OUTSTANDING + 1):
        one_page(searchers[0], 4)
    assert limits == {"pages": MAX_OUTSTANDING}


def test_paged_searches_do_not_keep_a_tree_that_is_shown_no_more(trees: Trees, ada: Searcher) -> None:
    shelf = Shelf(Counter())
    ada.pages = Pages(shelf)
    one_page(ada, 4)
    shelf.drop_stale()
    assert len(ada.pages) == 1
    load(trees, group(STAFF), user("ada", STAFF))
    shelf.drop_stale()
    assert len(ada.pages) == 0


def test_a_page_as_large_as_the_size_limit_is_none(ada: Searcher) -> None:
    answer = ada.search(base=USERS, size_limit=4, controls=(page(4),))
    assert (answer.code, len(answer.entries)) == (ResultCode.SIZE_LIMIT_EXCEEDED, 4)
    assert answer.controls == {}


def test_the_clients_size_limit_is_for_each_page(ada: Searcher) -> None:
    first = ada.search(base=USERS, size_limit=8, controls=(page(4),))
    assert (first.code, len(first.entries)) == (ResultCode.SUCCESS, 4)
    second = ada.search(base=USERS, size_limit=8, controls=(page(7, cookie_of(first)),))
    assert (second.code, len(second.entries)) == (ResultCode.SUCCESS, 7)


def test_the_providers_size_limit_is_for_all_pages(trees: Trees) -> None:
    ada = Searcher.of(trees.with_providers((provider(size_limit=6),)), "ada")
    first = one_page(ada, 4)
    second = one_page(ada, 4, cookie_of(first))
    assert (second.code, len(second.entries), cookie_of(second)) == (ResultCode.SIZE_LIMIT_EXCEEDED, 2, b"")
    at_once = one_page(ada, 900)
    assert (at_once.code, len(at_once.entries), cookie_of(at_once)) == (ResultCode.SIZE_LIMIT_EXCEEDED, 6, b"")


def test_others_get_pages_too(trees: Trees) -> None:
    searcher = Searcher.of(trees, "user 3")
    assert list(chain.from_iterable(all_pages(searcher, 1))) == [USERS, f"cn=user 3,{USERS}"]


@pytest.mark.parametrize(
    "value", [None, b"", b"\x30\x00", b"\x30\x06\x02\x01\xff\x04\x01x", b"\x30\x05\x02\x01\x05\x04\x00x"]
)
def test_a_control_that_can_not_be_read_is_a_protocol_error(ada: Searcher, value: bytes | None) -> None:
    answer = ada.search(controls=(Control(oid=PAGED_RESULTS, value=value),))
    assert (answer.code, answer.entries) == (ResultCode.PROTOCOL_ERROR, {})


def test_each_search_reads_the_rights_of_now(trees: Trees, ada: Searcher) -> None:
    cookie = cookie_of(one_page(ada, 4))
    change(trees, user("ada"))
    assert one_page(ada, 4, cookie).code is ResultCode.UNWILLING_TO_PERFORM
    assert ada.search(base=USERS, scope=Scope.ONE_LEVEL, controls=(page(4),)).names == ["cn=ada"]

"""Server-side sorting (RFC 2891)."""

import pytest

from dataplane.protocols.ldap.ber import ENUMERATED, OCTET_STRING, SEQUENCE, Reader, boolean, element
from dataplane.protocols.ldap.messages import Control, Equality, ResultCode
from dataplane.protocols.ldap.rootdse import SERVER_SIDE_SORTING
from dataplane.protocols.ldap.search import SORT_RESULT
from dataplane.protocols.ldap.sorting import MAX_SORTED
from dataplane.protocols.ldap.trees import Trees
from tests.support.ldap_trees import Answer, Searcher, group, load, provider, user

USER = Equality("objectClass", b"user")


@pytest.fixture
def ada() -> Searcher:
    trees = load(
        Trees((provider(user_attributes=(("nickname", "nick"), ("jpegPhoto", "photo"))),)),
        group("staff"),
        user("ada", "staff", name="Ada Young", number=100, attributes='{"nick": ["zebra", "Aardvark"]}'),
        user("bert", name="bert old", number=20, attributes='{"nick": "mole"}'),
        user("Carl", name="Carl Young", number=3),
    )
    return Searcher.of(trees, "ada")


def key(attribute: str, rule: str | None = None, *, reverse: bool = False) -> bytes:
    contents = element(OCTET_STRING, attribute.encode())
    if rule is not None:
        contents += element(0x80, rule.encode())
    return element(SEQUENCE, contents + (boolean(0x81, True) if reverse else b""))


def by(*keys: bytes, critical: bool = False) -> Control:
    return Control(oid=SERVER_SIDE_SORTING, value=element(SEQUENCE, b"".join(keys)), critical=critical)


def result_of(answer: Answer) -> tuple[ResultCode, bytes | None]:
    reader = Reader(answer.controls[SORT_RESULT])
    reader.open(SEQUENCE)
    return ResultCode(reader.integer(ENUMERATED)), reader.octets(0x80) if reader.more() else None


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ([key("cn")], ["ada", "bert", "Carl"]),
        ([key("cn", reverse=True)], ["Carl", "bert", "ada"]),
        ([key("uidNumber")], ["Carl", "bert", "ada"]),
        ([key("2.5.4.4"), key("cn", reverse=True)], ["bert", "Carl", "ada"]),
        ([key("sn", reverse=True), key("cn")], ["ada", "Carl", "bert"]),
        ([key("cn", "caseExactOrderingMatch")], ["Carl", "ada", "bert"]),
        ([key("cn", "2.5.13.3", reverse=True)], ["Carl", "bert", "ada"]),
        ([key("nickname")], ["ada", "bert", "Carl"]),
        ([key("nickname", reverse=True)], ["Carl", "bert", "ada"]),
        ([key("memberOf"), key("uidNumber")], ["ada", "Carl", "bert"]),
    ],
)
def test_entries_come_in_order(ada: Searcher, keys: list[bytes], names: list[str]) -> None:
    answer = ada.search(USER, controls=(by(*keys, critical=True),))
    assert answer.names == [f"cn={name}" for name in names]
    assert (answer.code, result_of(answer)) == (ResultCode.SUCCESS, (ResultCode.SUCCESS, None))


@pytest.mark.parametrize(
    ("unsortable", "attribute", "code"),
    [
        (key("noSuchAttribute"), b"noSuchAttribute", ResultCode.NO_SUCH_ATTRIBUTE),
        (key("jpegPhoto"), b"jpegPhoto", ResultCode.INAPPROPRIATE_MATCHING),
        (key("cn", "noSuchRule"), b"cn", ResultCode.INAPPROPRIATE_MATCHING),
        (key("cn", "caseIgnoreMatch"), b"cn", ResultCode.INAPPROPRIATE_MATCHING),
        (key("cn", "integerOrderingMatch"), b"cn", ResultCode.INAPPROPRIATE_MATCHING),
    ],
)
def test_what_can_not_be_sorted_by(ada: Searcher, unsortable: bytes, attribute: bytes, code: ResultCode) -> None:
    critical = ada.search(USER, controls=(by(key("cn"), unsortable, critical=True),))
    assert (critical.code, critical.entries) == (ResultCode.UNAVAILABLE_CRITICAL_EXTENSION, {})
    assert result_of(critical) == (code, attribute)
    lenient = ada.search(USER, controls=(by(key("cn"), unsortable),))
    assert (lenient.code, len(lenient.entries), result_of(lenient)) == (ResultCode.SUCCESS, 3, (code, attribute))


def test_a_sorted_answer_keeps_to_the_limits(ada: Searcher) -> None:
    answer = ada.search(USER, controls=(by(key("cn", reverse=True)),), size_limit=2)
    assert (answer.code, answer.names) == (ResultCode.SIZE_LIMIT_EXCEEDED, ["cn=Carl", "cn=bert"])


def test_no_key_is_a_protocol_error(ada: Searcher) -> None:
    assert ada.search(USER, controls=(by(),)).code is ResultCode.PROTOCOL_ERROR


def test_more_than_is_sorted_is_sent_as_it_comes_unless_that_is_critical() -> None:
    assert MAX_SORTED >= 10_000
    crowd = [user(f"user {number}", number=number + 1) for number in range(MAX_SORTED + 1)]
    trees = load(Trees((provider(),)), group("staff"), user("ada", "staff"), *crowd)
    ada = Searcher.of(trees, "ada")
    unsorted = ada.search(USER, controls=(by(key("cn")),), attributes=("1.1",))
    assert (unsorted.code, len(unsorted.entries)) == (ResultCode.SUCCESS, MAX_SORTED + 2)
    assert result_of(unsorted) == (ResultCode.ADMIN_LIMIT_EXCEEDED, None)
    critical = ada.search(USER, controls=(by(key("cn"), critical=True),))
    assert (critical.code, critical.entries) == (ResultCode.UNAVAILABLE_CRITICAL_EXTENSION, {})
    assert result_of(critical) == (ResultCode.ADMIN_LIMIT_EXCEEDED, None)


def test_time_runs_out_while_sorting() -> None:
    trees = load(
        Trees((provider(),)),
        group("staff"),
        user("ada", "staff"),
        *(user(f"user {number}", number=number + 1) for number in range(1200)),
    )
    ada = Searcher.of(trees, "ada")
    now = iter(range(0, 1_000_000, 20))
    ada.clock = lambda: float(next(now))
    answer = ada.search(controls=(by(key("cn")),), time_limit=15)
    assert (answer.code, answer.entries) == (ResultCode.TIME_LIMIT_EXCEEDED, {})

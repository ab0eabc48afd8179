"""Lines that are kept are those of the same headers, place, person and application."""

from dataclasses import dataclass, field

import pytest

from dataplane.protocols.proxy.heads import MAX_KEPT, MAX_SIZE, Heads
from dataplane.protocols.proxy.identity import Introduction
from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.onward import Way, onward_lines
from dataplane.protocols.proxy.trust import Seen
from tests.dataplane.protocols.proxy.reading import read

SEEN = Seen("wiki.example.com", "https", "203.0.113.9", "")
WAY = Way(b"", b"", b"garrison-abc")
ALICE = Introduction(b"X-authentik-username: alice\r\n", frozenset())


def parse(*lines: bytes) -> Request:
    (request,) = read(b"\r\n".join((b"GET / HTTP/1.1", b"Host: wiki.example.com", *lines)) + b"\r\n\r\n")
    assert isinstance(request, Request)
    return request


REQUEST = parse(b"Accept: */*", b"traceparent: theirs")


@dataclass
class Asked:
    """What a head is made of."""

    request: Request = REQUEST
    seen: Seen = SEEN
    peer: str = "203.0.113.9"
    introduction: Introduction = ALICE
    way: Way = WAY
    heads: Heads = field(default_factory=Heads)

    def find(self, **changes: object) -> bytes:
        asked = {
            "request": self.request, "seen": self.seen, "peer": self.peer, "introduction": self.introduction,
            "way": self.way, **changes,
        }  # fmt: skip
        found = self.heads.find(**asked)  # type: ignore[arg-type]  # by their names
        assert found == onward_lines(**asked)  # type: ignore[arg-type]  # likewise
        return found


def test_the_same_again_is_the_same_object() -> None:
    asked = Asked()
    assert asked.find() is asked.find()


@pytest.mark.parametrize(
    "line", [{"target": b"/b?c=d"}, {"target": b"*", "method": b"OPTIONS"}, {"target": b"//", "method": b"HEAD"}]
)
def test_before_another_line_the_same_headers_are_the_same_lines(line: dict[str, bytes]) -> None:
    asked = Asked()
    assert asked.find() is asked.find(request=REQUEST._replace(**line))  # type: ignore[arg-type]  # by their names


@pytest.mark.parametrize(
    "other",
    [
        {"peer": "10.0.0.1"},
        {"seen": SEEN._replace(client="198.51.100.7")},
        {"seen": SEEN._replace(scheme="http")},
        {"seen": SEEN._replace(hops=("10.0.0.9",))},
        {"introduction": Introduction(b"X-authentik-username: bob\r\n", frozenset())},
        {"way": WAY._replace(host=b"inner.test")},
        {"request": parse(b"Accept: text/html")},
        {"request": REQUEST._replace(version=b"1.0")},
    ],
)
def test_whatever_differs_makes_another(other: dict[str, object]) -> None:
    asked = Asked()
    first = asked.find()
    assert asked.find(**other) != first
    assert asked.find() == first


def test_an_equal_request_of_another_connection_is_not_mistaken() -> None:
    asked = Asked()
    for _ in range(100):
        asked.find(request=parse(b"Accept: text/html"))


def test_passwords_and_long_heads_are_not_kept() -> None:
    for request in (parse(b"Authorization: Basic x"), parse(b"X-Long: " + b"x" * MAX_SIZE)):
        asked = Asked(request=request)
        assert asked.find() is not asked.find()


def test_there_are_so_many_at_most_and_the_oldest_go() -> None:
    asked = Asked()
    requests = [parse(b"X-Number: %d" % number) for number in range(MAX_KEPT + 1)]
    firsts = [asked.find(request=request) for request in requests]
    assert asked.find(request=requests[1]) is firsts[1]
    assert asked.find(request=requests[-1]) is firsts[-1]
    assert asked.find(request=requests[0]) is not firsts[0]


def test_a_trace_of_ours_has_no_other_beside_it() -> None:
    heads = Heads(frozenset({b"traceparent"}))
    assert b"theirs" not in heads.find(REQUEST, SEEN, "203.0.113.9", ALICE, WAY)
    assert b"theirs" in Heads().find(REQUEST, SEEN, "203.0.113.9", ALICE, WAY)


@pytest.mark.parametrize("count", [1, 90])
def test_nothing_long_is_kept_by_what_does_not_go_on(count: int) -> None:
    """Strangers send what they like, and on open paths it comes as far as here."""
    asked = Asked(parse(*[b"Remote-Nobody: " + b"x" * (20_000 // count)] * count))
    assert b"Nobody" not in asked.find()
    assert not asked.heads._kept

"""Headers that are known let in nobody who may not, and introduce nobody as somebody else: judged anew each time."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dataplane.config import Changed, Ended
from dataplane.protocols.proxy import known
from tests.dataplane.protocols.proxy.builders import ALICE, NOW, Answer, read_answer, session
from tests.dataplane.protocols.proxy.servers import Peer, connect, read_head
from tests.dataplane.protocols.proxy.standing import Site, site

BOB = session(id="s2", identity=replace(ALICE, subject="u2", username="bob"))


@pytest.fixture(autouse=True)
def _nothing_is_known() -> Iterator[None]:
    known.forget()
    yield
    known.forget()


@pytest.fixture
def wiki(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as served:
        yield served


def ask(client: Peer, raw: bytes) -> Answer:
    """One of several on a connection."""
    client.sendall(raw)
    head = read_head(client)
    answer = read_answer(head)
    body = b""
    while len(body) < int(answer["Content-Length"]):
        body += client.recv(int(answer["Content-Length"]) - len(body))
    return replace(answer, body=body)


def addressed(raw: bytes, number: int) -> bytes:
    """The same headers for another address."""
    return raw.replace(b"GET / HTTP", b"GET /page/%d HTTP" % number)


def told(head: bytes) -> tuple[bytes, bytes]:
    """What was asked for, and by whom."""
    (name,) = (line for line in head.split(b"\r\n") if line.startswith(b"X-authentik-username: "))
    return head.split(b" ")[1], name.partition(b": ")[2]


def teach(wiki: Site, client: Peer, raw: bytes) -> None:
    """Have the headers known, and their lines kept."""
    for number in range(4):
        assert ask(client, addressed(raw, number)).status == 200
    assert raw.removeprefix(b"GET / HTTP/1.1") in known._KNOWN
    wiki.seen.clear()


def test_two_on_one_connection_and_on_two(wiki: Site) -> None:
    raws = {b"alice": wiki.request(), b"bob": wiki.request(signed_in=BOB)}
    with connect(wiki.port) as one, connect(wiki.port) as other:
        expected = []
        for number in range(12):
            for client in (one, other):
                for name, raw in raws.items():
                    assert ask(client, addressed(raw, number)).status == 200
                    expected.append((b"/page/%d" % number, name))
    assert [told(head) for head in wiki.seen] == expected


def test_who_has_changed_is_introduced_anew(wiki: Site) -> None:
    raw = wiki.request()
    with connect(wiki.port) as client:
        teach(wiki, client, raw)
        person = replace(ALICE, username="alicia")
        wiki.commit(**{"changed/u1": Changed(identity=person, at=NOW, until=NOW + 1e6, denied_providers=frozenset())})
        assert ask(client, addressed(raw, 9)).status == 200
    assert [told(head) for head in wiki.seen] == [(b"/page/9", b"alicia")]


@pytest.mark.parametrize("how", ["signed out here", "ended", "denied", "expired"])
def test_who_may_not_any_more_is_turned_away(wiki: Site, how: str) -> None:
    raw = wiki.request()
    with connect(wiki.port) as client:
        teach(wiki, client, raw)
        match how:
            case "signed out here":
                wiki.server.end_here("s1", NOW + 1e6)
            case "ended":
                wiki.commit(**{"ended/1": Ended(session="s1", subject="", provider="", before=NOW, until=NOW + 1e6)})
            case "denied":
                denied = Changed(identity=ALICE, at=NOW, until=NOW + 1e6, denied_providers=frozenset({"p1"}))
                wiki.commit(**{"changed/u1": denied})
            case _:
                wiki.clock.now += 1e6
        assert ask(client, addressed(raw, 9)).status == (403 if how == "denied" else 302)
    assert wiki.seen == []


def test_the_address_is_judged_each_time(wiki: Site) -> None:
    """Paths of ours stay ours, and what is no path is refused, whatever the headers let in before."""
    raw = wiki.request()
    with connect(wiki.port) as client:
        teach(wiki, client, raw)
        for target in (
            b"/outpost.goauthentik.io/auth/nginx",
            b"/outpost.goauthentik.io/none",
            b"/%6futpost.goauthentik.io/",
        ):
            assert ask(client, raw.replace(b"GET / HTTP", b"GET %s HTTP" % target)).status in {400, 404}
        assert ask(client, raw.replace(b"GET / HTTP", b"GET /#x HTTP")).status == 400
    assert wiki.seen == []

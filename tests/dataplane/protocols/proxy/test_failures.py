"""The pages in place of an application's answer: every failure has one, and only superusers learn what is within."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dataplane.gate import Identity
from dataplane.protocols.proxy.failures import LOOP, MISDIRECTED, OUTSIDE, Page, page_of, refuse
from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.relay.exchange import Failure
from dataplane.protocols.proxy.told.record import Record
from dataplane.protocols.proxy.trust import Seen
from tests.dataplane.protocols.proxy.builders import ALICE, WIKI, Outpost, session
from tests.dataplane.protocols.proxy.reading import read
from tests.dataplane.protocols.proxy.servers import Peer
from tests.dataplane.protocols.proxy.standing import site

ROOT = replace(ALICE, superuser=True)
BROWSER, PROGRAM = b"Accept: text/html", b"Accept: application/json"
SECRET = "10.1.2.3:8080: <refused>"
LIMITS = ("exchanges_per_client", "large_uploads", "websockets_per_client")
PAGES = [
    *(page_of(failure, SECRET) for failure in Failure if failure is not Failure.CROWDED),
    *(page_of(Failure.CROWDED, limit) for limit in LIMITS),
    LOOP,
    MISDIRECTED,
    OUTSIDE,
]


def refused(page: Page, accept: bytes, person: Identity | None) -> tuple[int, str, dict[bytes, bytes]]:
    outpost = Outpost(WIKI)
    (request,) = read(b"GET /x HTTP/1.1\r\nHost: wiki.example.com\r\n" + accept + b"\r\n\r\n")
    assert isinstance(request, Request)
    record = Record(request, Seen("wiki.example.com", "https", "203.0.113.9", ""), "r-1", 0.0)
    record.application, record.person = outpost.doors.routes.find("wiki.example.com"), person
    response = refuse(outpost.doors.common, record, page, SECRET)
    assert outpost.doors.metrics.refusals[page.code] == 1
    return response.status, response.body.decode(), dict(response.headers)


@pytest.mark.parametrize("page", dict.fromkeys(PAGES), ids=lambda page: page.code)
class TestEachPage:
    @pytest.mark.parametrize("person", [None, ALICE, ROOT])
    def test_is_for_people(self, page: Page, person: Identity | None) -> None:
        status, body, headers = refused(page, BROWSER, person)
        assert status == page.status
        assert headers[b"Content-Type"].startswith(b"text/html")
        assert "<h1>" in body
        assert "r-1" in body
        assert "10.1.2.3" not in body or person is ROOT

    @pytest.mark.parametrize("person", [None, ALICE, ROOT])
    def test_is_for_programs(self, page: Page, person: Identity | None) -> None:
        status, body, headers = refused(page, PROGRAM, person)
        told = json.loads(body)
        assert (status, told["error"], told["request_id"]) == (page.status, page.code, "r-1")
        assert told["message"]
        assert told.get("detail") == (SECRET if person is ROOT else None)
        assert (b"Retry-After" in headers) is page.retry


@pytest.mark.parametrize("page", [page_of(Failure.UNREACHABLE, ""), MISDIRECTED])
def test_superusers_see_the_detail_escaped(page: Page) -> None:
    assert "10.1.2.3:8080: &lt;refused&gt;" in refused(page, BROWSER, ROOT)[1]


class TestOnTheWire:
    def test_an_application_that_is_not_there(self, tmp_path: Path) -> None:
        led = session(identity=replace(ALICE, backend_override="unix:///nowhere/secret.sock"))
        root = session(identity=replace(ROOT, backend_override="unix:///nowhere/secret.sock"))
        with site(tmp_path) as wiki:
            answer = wiki.ask(b"/", BROWSER, signed_in=led)
            assert answer.status == 502
            assert b"can't be reached" in answer.body
            assert b"secret.sock" not in answer.body
            assert answer["Date"]
            assert b"secret.sock" in wiki.ask(b"/", BROWSER, signed_in=root).body
            head = wiki.ask(b"/", BROWSER, method=b"HEAD", signed_in=led)
            assert (head.status, head.body) == (502, b"")
            assert int(head["Content-Length"]) > 100

    @pytest.mark.parametrize(
        "answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b""]
    )
    def test_an_application_that_breaks_http(self, tmp_path: Path, answer: bytes) -> None:
        def play(peer: Peer, _: bytes) -> None:
            peer.sendall(answer)
            peer.close()
            raise ConnectionError

        with site(tmp_path, play) as wiki:
            told = wiki.ask(b"/", PROGRAM, method=b"POST")
            assert (told.status, told.json["error"]) == (502, "upstream_broken")

    @pytest.mark.parametrize(
        "override", ["ftp://x", "http://", "http://a:99999", "http://a/../b", "http://u:p@a", "x", "unix://a/b"]
    )
    def test_somebody_is_led_nowhere(self, tmp_path: Path, override: str) -> None:
        with site(tmp_path) as wiki:
            for person in (ALICE, ROOT):
                led = session(identity=replace(person, backend_override=override))
                told = wiki.ask(b"/", PROGRAM, signed_in=led)
                assert (told.status, told.json["error"]) == (502, "upstream_misdirected")
                assert ("detail" in told.json) is person.superuser
            assert wiki.seen == []

    def test_somebody_is_led_to_no_host(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            led = session(identity=replace(ROOT, host_header="a\r\nX-Evil: 1"))
            told = wiki.ask(b"/", PROGRAM, signed_in=led)
            assert (told.status, told.json["error"]) == (502, "upstream_misdirected")
            assert "host header" in told.json["detail"]
            assert wiki.seen == []

"""What the proxy tells for the audit trail of requests that it answered without asking control."""

from dataclasses import replace
from hashlib import sha256

import pytest

from dataplane.config import Changed, Ended
from dataplane.gate import Event, EventAction, Refusal
from dataplane.ledger import MAX_OF_PERSON
from dataplane.protocols.proxy import judging
from dataplane.protocols.proxy.doors import Doors
from tests.dataplane.protocols.proxy.builders import ALICE, DOMAIN, NOW, WIKI, Outpost, session

URL = "https://wiki.example.com/"
UNKNOWN = "https://other.example.com/"


@pytest.fixture
def outpost() -> Outpost:
    return Outpost(WIKI)


def status(outpost: Outpost, cookie: str, url: str = URL, **headers: str) -> int:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return outpost.check("nginx", url, {"Cookie": cookie, **fields}).status


def told(outpost: Outpost) -> list[Event]:
    return list(outpost.doors.take_events(last=False))


def summary(events: list[Event]) -> list[tuple[str, str, str, int]]:
    return [(event.action.value, event.username, event.client_address, event.count) for event in events]


class TestAdmitted:
    def test_by_person_provider_and_client(self, outpost: Outpost) -> None:
        alice, bob = outpost.cookie(), outpost.cookie(session(identity=replace(ALICE, subject="u2", username="bob")))
        for _ in range(3):
            assert status(outpost, alice, X_Forwarded_For="192.0.2.7") == 200
        assert status(outpost, alice, X_Forwarded_For="192.0.2.8") == 200
        assert status(outpost, bob, X_Forwarded_For="192.0.2.7") == 200
        events = told(outpost)
        assert summary(events) == [
            ("admitted", "alice", "192.0.2.7", 3),
            ("admitted", "alice", "192.0.2.8", 1),
            ("admitted", "bob", "192.0.2.7", 1),
        ]
        assert {(event.provider, event.reason, event.at) for event in events} == {("p1", "", NOW)}
        assert [event.subject for event in events] == ["u1", "u1", "u2"]

    def test_each_telling_begins_anew(self, outpost: Outpost) -> None:
        cookie = outpost.cookie()
        for count in (1, 5, 2):
            for _ in range(count):
                assert status(outpost, cookie) == 200
            assert [event.count for event in told(outpost)] == [count]
        assert told(outpost) == []

    def test_two_sessions_of_a_person_are_one_event(self, outpost: Outpost) -> None:
        for number in range(3):
            assert status(outpost, outpost.cookie(session(id=f"s{number}"))) == 200
        assert [event.count for event in told(outpost)] == [3]

    def test_what_a_client_puts_before_its_address_makes_no_events(self, outpost: Outpost) -> None:
        cookie = outpost.cookie()
        for number in range(50):
            assert status(outpost, cookie, X_Forwarded_For=f"198.51.100.{number}, 192.0.2.7") == 200
        assert summary(told(outpost)) == [("admitted", "alice", "192.0.2.7", 50)]

    def test_whoever_is_not_trusted_speaks_for_itself(self) -> None:
        outpost = Outpost(WIKI, peer="203.0.113.9")
        assert status(outpost, outpost.cookie(), X_Forwarded_For="192.0.2.7") == 200
        assert [event.client_address for event in told(outpost)] == ["203.0.113.9"]

    def test_a_header_in_two_parts_is_read_whole(self, outpost: Outpost) -> None:
        """HAProxy adds a header of its own behind that of the proxy before it."""
        cookie = outpost.cookie()
        assert status(outpost, cookie, X_Forwarded_For="10.0.0.1") == 200
        for client in ("192.0.2.7", "192.0.2.8"):
            raw = (
                "GET /outpost.goauthentik.io/auth/nginx HTTP/1.1\r\nHost: wiki.example.com\r\n"
                f"X-Original-URL: {URL}\r\nX-Forwarded-For: {client}\r\nX-Forwarded-For: 10.0.0.1\r\n"
                f"Cookie: {cookie}\r\n\r\n"
            )
            (answer,), _ = outpost.exchange(raw.encode())
            assert answer.status == 200
        assert [event.client_address for event in told(outpost)] == ["10.0.0.1", "192.0.2.7", "192.0.2.8"]

    def test_a_new_config_loses_no_count(self, outpost: Outpost) -> None:
        cookie = outpost.cookie()
        assert status(outpost, cookie) == 200
        outpost.commit(**{"provider/p1": replace(WIKI, name="Other name")})
        assert status(outpost, cookie) == 200
        assert [event.count for event in told(outpost)] == [2]

    def test_ever_new_addresses_cost_bounded_memory(self, outpost: Outpost, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(judging, "_MAX_PLACES", 50)
        cookie = outpost.cookie()
        for number in range(MAX_OF_PERSON + 100):
            assert status(outpost, cookie, X_Forwarded_For=f"2001:db8::{number:x}") == 200
            assert len(outpost.doors.judge.admissions) <= 50
        events = told(outpost)
        assert len(events) == MAX_OF_PERSON + 1
        assert sum(event.count for event in events) == MAX_OF_PERSON + 100
        assert len(outpost.doors.judge.admissions) == 0

    def test_one_that_is_new_takes_the_oldest_ones_place_alone(
        self, outpost: Outpost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(judging, "_MAX_PLACES", 3)
        cookie = outpost.cookie()
        for number in range(5):
            assert status(outpost, cookie, X_Forwarded_For=f"192.0.2.{number}") == 200
        assert [forwarded for _, _, forwarded in outpost.doors.judge.admissions] == [
            b"192.0.2.%d" % n for n in (2, 3, 4)
        ]
        assert [event.count for event in told(outpost)] == [1] * 5

    @pytest.mark.parametrize("parts", [1, 2])
    def test_long_headers_are_counted_but_not_kept(self, outpost: Outpost, parts: int) -> None:
        cookie, kept = outpost.cookie(), outpost.doors.judge.admissions
        padding = ", ".join(["198.51.100.7"] * 1000)
        lines = f"X-Forwarded-For: {padding}\r\n" * (parts - 1) + f"X-Forwarded-For: {padding}, 192.0.2.7\r\n"
        raw = (
            "GET /outpost.goauthentik.io/auth/nginx HTTP/1.1\r\nHost: wiki.example.com\r\n"
            f"X-Original-URL: {URL}\r\n{lines}Cookie: {cookie}\r\n\r\n"
        )
        for _ in range(3):
            (answer,), _ = outpost.exchange(raw.encode())
            assert answer.status == 200
        assert len(kept) == 0
        assert summary(told(outpost)) == [("admitted", "alice", "192.0.2.7", 3)]

    def test_an_ordinary_chain_of_proxies_is_kept(self, outpost: Outpost) -> None:
        chain = ", ".join(["2001:db8:1111:2222:3333:4444:5555:6666"] + ["10.111.111.111"] * 8)
        assert status(outpost, outpost.cookie(), X_Forwarded_For=chain) == 200
        assert len(outpost.doors.judge.admissions) == 1

    def test_whoever_needs_no_sign_in_is_nobody(self) -> None:
        outpost = Outpost(replace(WIKI, skip_path_regex=("^/",)))
        assert status(outpost, "") == 200
        assert told(outpost) == []


class TestTurnedAway:
    def test_a_session_that_was_ended(self, outpost: Outpost) -> None:
        cookie = outpost.cookie()
        over = Ended(session="", subject="u1", provider="", before=NOW, until=NOW + 3600)
        outpost.commit(**{"ended/subject/u1": over})
        for _ in range(2):
            assert status(outpost, cookie, X_Forwarded_For="192.0.2.7") == 401
        (event,) = told(outpost)
        assert event.action is EventAction.TURNED_AWAY
        assert (event.provider, event.subject, event.username) == ("p1", "u1", "alice")
        assert (event.client_address, event.reason, event.count) == ("192.0.2.7", "session ended", 2)

    def test_a_person_who_may_not_any_more(self, outpost: Outpost) -> None:
        cookie = outpost.cookie()
        denied = Changed(identity=ALICE, at=NOW, until=NOW + 3600, denied_providers=frozenset({"p1"}))
        outpost.commit(**{"changed/u1": denied})
        assert status(outpost, cookie) == 403
        assert [(event.username, event.reason) for event in told(outpost)] == [("alice", "access denied")]

    def test_a_session_signed_out_here(self, outpost: Outpost) -> None:
        cookie = outpost.cookie()
        outpost.doors.sessions.end_here("s1", NOW + 3600)
        assert status(outpost, cookie) == 401
        assert [event.reason for event in told(outpost)] == ["session ended"]

    def test_a_session_that_has_run_out_is_no_news(self, outpost: Outpost) -> None:
        cookie = outpost.cookie()
        outpost.clock.now = session().expires + 1
        assert status(outpost, cookie) == 401
        assert told(outpost) == []

    def test_nor_is_nobody_or_a_cookie_that_nobody_made(self, outpost: Outpost) -> None:
        assert status(outpost, "") == 401
        assert status(outpost, "authentik_proxy_633601a8=v1.k1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") == 401
        assert told(outpost) == []

    def test_what_control_said_is_control_s_to_tell(self, outpost: Outpost) -> None:
        big = replace(ALICE, groups=tuple(sha256(b"%d" % number).hexdigest() for number in range(500)))
        outpost.gate.looked_up = Refusal.SESSION_ENDED
        assert status(outpost, outpost.cookie(session(identity=big))) == 401
        assert outpost.gate.look_ups
        assert told(outpost) == []


class TestSignedOut:
    def test_once_per_session(self, outpost: Outpost) -> None:
        headers = {"Host": "wiki.example.com", "Cookie": outpost.cookie(), "X-Forwarded-For": "192.0.2.7"}
        headers["X-Request-Id"] = "r-1"
        for _ in range(3):
            assert outpost.ask("/outpost.goauthentik.io/sign_out", headers=headers).status == 302
        (event,) = told(outpost)
        assert event.action is EventAction.SIGNED_OUT
        assert (event.provider, event.subject, event.count) == ("p1", "u1", 1)
        assert (event.client_address, event.request_id) == ("192.0.2.7", "r-1")


class TestMisconfigured:
    def test_a_host_that_no_application_has(self, outpost: Outpost) -> None:
        for _ in range(2):
            assert status(outpost, "", UNKNOWN) == 404
        (event,) = told(outpost)
        assert (event.action, event.count) == (EventAction.MISCONFIGURED, 2)
        assert event.reason == "no application has the host other.example.com"

    def test_a_proxy_that_sends_the_wrong_headers(self, outpost: Outpost) -> None:
        assert outpost.ask("/outpost.goauthentik.io/auth/nginx").status == 400
        (event,) = told(outpost)
        assert event.client_address == outpost.peer
        assert "X-Original-URL" in event.reason

    def test_a_proxy_that_names_two_hosts(self) -> None:
        outpost = Outpost(WIKI, DOMAIN)
        headers = {"Host": "a.corp.test", "X-Original-URL": URL}
        assert outpost.ask("/outpost.goauthentik.io/auth/nginx", headers=headers).status == 400
        (event,) = told(outpost)
        assert "wiki.example.com" in event.reason

    def test_before_the_first_config_nothing_is_wrong(self) -> None:
        outpost = Outpost(WIKI)
        outpost.doors = Doors(outpost.outside, outpost.doors.trust, None)
        assert status(outpost, "") == 503
        assert outpost.ask("/outpost.goauthentik.io/auth/nginx").status == 400
        assert told(outpost) == []

    def test_whoever_breaks_http_is_no_proxy(self, outpost: Outpost) -> None:
        (answer,), _ = outpost.exchange(b"GET / HTTP/9.9\r\n\r\n")
        assert answer.status in {400, 505}
        assert told(outpost) == []

    def test_hosts_can_not_forge_lines(self, outpost: Outpost) -> None:
        raw = b"GET /outpost.goauthentik.io/start HTTP/1.1\r\nHost: a\xe2\x80\xae\x85b\r\n\r\n"
        outpost.exchange(raw)
        assert all(event.reason.isprintable() for event in told(outpost))

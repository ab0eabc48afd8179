"""The decision log: what checks and sign-ins come to, each in closed words, with the id that the page shows."""

from dataclasses import replace
from typing import Any

import pytest

from dataplane.config import Logged
from dataplane.gate import Allowed, Denied, DenyReason, Refusal, Unavailable
from dataplane.protocols.proxy.told.decisions import BY_SOURCE, By
from dataplane.protocols.proxy.told.told import Outlets
from dataplane.verifier import Source
from tests.dataplane.protocols.proxy.builders import OPTIONS, WIKI, Outpost, session
from tests.dataplane.protocols.proxy.told.paper import Paper

URL = "https://wiki.example.com/page?token=hunter2"
BASIC = {"Authorization": "Basic YWxpY2U6aHVudGVyMg=="}


class Told(Outpost):
    """An outpost that tells all its decisions."""

    def __init__(self, logged: Logged = Logged.ALL, **changes: Any) -> None:
        self.paper = Paper()
        provider = replace(WIKI, **changes)
        options = replace(OPTIONS, decision_log=logged, bind_cache=60.0)
        super().__init__(provider, outlets=Outlets(sink=self.paper))
        self.commit(options=options)

    @property
    def decision(self) -> dict[str, Any]:
        """The only one."""
        (line,) = self.paper.of("decision")
        return line

    @property
    def words(self) -> tuple[str, ...]:
        """What the only one came to."""
        return tuple(self.decision[name] for name in ("channel", "verdict", "by", "reason", "user"))


class TestChecks:
    def test_a_session(self) -> None:
        outpost = Told()
        outpost.check("nginx", URL, {"Cookie": outpost.cookie()})
        assert outpost.words == ("check", "admitted", "session", "", "alice")
        assert (outpost.decision["provider"], outpost.decision["application"]) == ("Wiki provider", "wiki")
        assert (outpost.decision["host"], outpost.decision["path"]) == ("wiki.example.com", "/page")

    def test_a_stranger(self) -> None:
        outpost = Told()
        answer = outpost.check("nginx", URL)
        assert outpost.words == ("check", "challenged", "session", "no_session", "")
        assert answer.json["request_id"] == outpost.decision["request_id"]

    def test_an_open_path(self) -> None:
        outpost = Told(skip_path_regex=("^/page",))
        outpost.check("nginx", URL)
        assert outpost.words == ("check", "admitted", "open", "", "")

    def test_a_session_that_was_ended(self) -> None:
        outpost = Told()
        outpost.doors.end_here("s1", session().expires)
        outpost.check("nginx", URL, {"Cookie": outpost.cookie()})
        assert outpost.words == ("check", "challenged", "session", "session_ended", "alice")

    def test_credentials(self) -> None:
        outpost = Told()
        outpost.gate.verdict = Allowed(session=session(), attributes="{}", cache=60)
        outpost.check("nginx", URL, BASIC)
        outpost.check("nginx", URL, BASIC)
        lines = outpost.paper.of("decision")
        assert [(line["verdict"], line["by"], line["user"]) for line in lines] == [
            ("admitted", "control", "alice"), ("admitted", "cache", "alice"),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("verdict", "words"),
        [
            (Denied(reason=DenyReason.INVALID_CREDENTIALS), ("challenged", "control", "invalid_credentials")),
            (Denied(reason=DenyReason.LOCKED_OUT), ("challenged", "control", "locked_out")),
            (Denied(reason=DenyReason.SECOND_FACTOR), ("challenged", "control", "second_factor")),
            (Denied(reason=DenyReason.ACCESS_DENIED), ("denied", "control", "access_denied")),
            (Denied(reason=DenyReason.BUSY, retry_after=1), ("unavailable", "control", "busy")),
            (Unavailable("gone"), ("unavailable", "control", "control_away")),
        ],
    )
    def test_credentials_that_let_nobody_in(self, verdict: Any, words: tuple[str, str, str]) -> None:
        outpost = Told(Logged.PROBLEMS)
        outpost.gate.verdict = verdict
        outpost.check("nginx", URL, BASIC)
        assert outpost.words == ("check", *words, "")

    def test_a_host_that_nobody_has(self) -> None:
        outpost = Told(Logged.PROBLEMS)
        outpost.check("nginx", "https://other.example.com/")
        assert outpost.words == ("check", "denied", "settings", "no_application", "")

    def test_problems_only(self) -> None:
        outpost = Told(Logged.PROBLEMS, skip_path_regex=("^/open",))
        outpost.check("nginx", URL, {"Cookie": outpost.cookie()})
        outpost.check("nginx", "https://wiki.example.com/open")
        assert outpost.paper.lines == []
        outpost.check("nginx", URL)
        assert outpost.words[1] == "challenged"

    def test_nothing(self) -> None:
        outpost = Told(Logged.NOTHING)
        outpost.check("nginx", URL)
        assert outpost.paper.lines == []

    def test_no_secret_is_told(self) -> None:
        outpost = Told()
        outpost.check("nginx", URL, {"Cookie": outpost.cookie(), "Referer": "https://x/?hunter2", **BASIC})
        outpost.check("traefik", URL, BASIC)
        told = b"".join(outpost.paper.lines)
        assert told
        for secret in (b"hunter2", b"YWxpY2U6aHVudGVyMg", outpost.cookie().partition("=")[2].encode()):
            assert secret not in told


class TestSignIns:
    def sign_in(self, outpost: Told) -> None:
        start = outpost.ask("/outpost.goauthentik.io/start?rd=%2Fpage", headers={"Host": "wiki.example.com"})
        location = start["Location"]
        query = dict(part.split("=", 1) for part in location.partition("?")[2].split("&"))
        outpost.gate.nonce = query["nonce"]
        cookie = "; ".join(value.partition(";")[0] for value in start.all("Set-Cookie"))
        outpost.ask(
            f"/outpost.goauthentik.io/callback?X-authentik-auth-callback=true&code=hunter2&state={query['state']}",
            headers={"Host": "wiki.example.com", "Cookie": cookie},
        )

    @pytest.mark.parametrize(
        ("redeemed", "words"),
        [
            (session(), ("sign_in", "admitted", "control", "", "alice")),
            (Refusal.ACCESS_DENIED, ("sign_in", "denied", "control", "access_denied", "")),
            (Unavailable("gone"), ("sign_in", "unavailable", "control", "control_away", "")),
        ],
    )
    def test_what_control_says(self, redeemed: Any, words: tuple[str, ...]) -> None:
        outpost = Told()
        outpost.gate.redeemed = redeemed
        self.sign_in(outpost)
        assert outpost.words == words
        assert outpost.decision["path"] == "/outpost.goauthentik.io/callback"
        assert b"hunter2" not in b"".join(outpost.paper.lines)

    def test_where_nobody_is_sent(self) -> None:
        outpost = Told()
        outpost.ask("/outpost.goauthentik.io/start?rd=https%3A%2F%2Fevil.example", headers={"Host": "wiki.example.com"})
        assert outpost.words == ("sign_in", "denied", "settings", "return_refused", "")

    def test_its_paths_have_lines_in_the_access_log(self) -> None:
        outpost = Told()
        self.sign_in(outpost)
        start, callback = outpost.paper.of("access")
        assert (start["path"], start["status"]) == ("/outpost.goauthentik.io/start", 302)
        assert (callback["path"], callback["provider"]) == ("/outpost.goauthentik.io/callback", "Wiki provider")


def test_each_source_of_an_answer_is_a_rule() -> None:
    assert {BY_SOURCE[source].by for source in Source} == {By.CONTROL, By.CACHE, By.OFFLINE}

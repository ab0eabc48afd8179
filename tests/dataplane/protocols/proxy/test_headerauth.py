"""Signing in with each request: who gets in, what the application is told, and what the others are answered."""

from dataclasses import replace

import pytest

from dataplane.config import Changed, Edit
from dataplane.gate import Answer as Verdict
from dataplane.gate import (
    BasicCredentials,
    BearerToken,
    Challenge,
    Channel,
    Denied,
    DenyReason,
    EventAction,
    PasswordCredentials,
    Unavailable,
)
from tests.dataplane.protocols.proxy.builders import ALICE, NOW, WIKI, Answer, Outpost, session
from tests.dataplane.protocols.proxy.programs import BASIC, DIALECTS, SENDING, URL, YES, basic, outpost_of


@pytest.fixture
def outpost() -> Outpost:
    return outpost_of()


def names(answer: Answer) -> list[str]:
    return [name for name, _ in answer.headers]


class TestEntering:
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_the_application_is_told_what_a_session_tells_it(self, outpost: Outpost, dialect: str) -> None:
        by_session = outpost.check(dialect, URL, {"Cookie": outpost.cookie(YES.session)})
        by_header = outpost.check(dialect, URL, basic())
        assert by_header.status == 200
        told = [header for header in by_header.headers if header[0] != "Authorization"]
        assert told == list(by_session.headers)
        assert by_header["X-authentik-username"] == "alice"
        assert by_header["X-authentik-jwt"] == YES.session.id_token

    def test_control_is_asked_about_what_came_and_from_where(self, outpost: Outpost) -> None:
        outpost.check("traefik", URL, {**basic(), "X-Forwarded-For": "203.0.113.9", "X-Request-Id": "r-1"})
        (attempt,) = outpost.gate.attempts
        assert attempt.provider == "p1"
        assert attempt.channel is Channel.HTTP
        assert attempt.credentials == PasswordCredentials(username="alice", password="s3cret")
        assert (attempt.client_address, attempt.request_id, attempt.dialogue) == ("203.0.113.9", "r-1", False)

    def test_the_address_of_a_client_is_believed_of_trusted_proxies_alone(self) -> None:
        outpost = Outpost(WIKI, peer="198.51.100.77")
        for forged in ("127.0.0.1", "203.0.113.9, 10.0.0.1", "not an address"):
            outpost.check("traefik", URL, {**basic(), "X-Forwarded-For": forged})
        assert {each.client_address for each in outpost.gate.attempts} == {"198.51.100.77"}

    def test_clients_of_a_proxy_that_listens_for_both_are_told_apart(self, outpost: Outpost) -> None:
        """nginx with ipv6only=off writes IPv4 clients as IPv4-mapped IPv6."""
        for client in ("66.66.66.66", "77.77.77.77"):
            outpost.check("traefik", URL, {**basic(password=client), "X-Forwarded-For": f"::ffff:{client}"})
        assert [each.client_address for each in outpost.gate.attempts] == ["66.66.66.66", "77.77.77.77"]

    def test_cve_2024_47070_an_address_that_is_none_skips_nothing(self, outpost: Outpost) -> None:
        outpost.gate.verdict = Denied(reason=DenyReason.INVALID_CREDENTIALS)
        for forged in ("a", "1.2.3.4.5", "", "::g", "127.0.0.1\x7f"):
            assert outpost.check("traefik", URL, {**basic(), "X-Forwarded-For": forged}).status in {400, 401}

    @pytest.mark.parametrize(
        ("header", "secret"),
        [("Bearer a.b.c", "a.b.c"), (basic("goauthentik.io/token", "a.b.c")["Authorization"], "a.b.c")],
    )
    def test_a_token_by_itself_and_as_a_password(self, outpost: Outpost, header: str, secret: str) -> None:
        assert outpost.check("envoy", URL, {"Authorization": header}).status == 200
        assert outpost.gate.attempts[0].credentials == BearerToken(secret)

    def test_a_session_comes_first(self, outpost: Outpost) -> None:
        """Then the header is the application's own affair, whatever it says."""
        cookie = {"Cookie": outpost.cookie()}
        for header in (basic(), {"Authorization": "Basic !"}, {"Authorization": "Bearer of-the-application"}):
            answer = outpost.check("traefik", URL, {**cookie, **header})
            assert (answer.status, answer.find("Authorization")) == (200, None)
        assert not outpost.gate.attempts

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_a_path_that_needs_no_sign_in_asks_nobody(self, dialect: str) -> None:
        outpost = outpost_of(replace(WIKI, skip_path_regex=("^/public",)))
        answer = outpost.check(dialect, "https://wiki.example.com/public/hook", basic())
        assert (answer.status, answer["X-authentik-username"], answer.find("Authorization")) == (200, "", None)
        assert not outpost.gate.attempts

    def test_with_each_request_control_is_asked_once(self, outpost: Outpost) -> None:
        for _ in range(5):
            assert outpost.check("traefik", URL, basic()).status == 200
        assert len(outpost.gate.attempts) == 1
        outpost.clock.now += 600
        assert outpost.check("traefik", URL, basic()).status == 200
        assert len(outpost.gate.attempts) == 2

    def test_any_method_gets_in(self, outpost: Outpost) -> None:
        assert outpost.check("traefik", URL, {**basic(), "X-Forwarded-Method": "PUT"}).status == 200


class TestRefusals:
    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize(
        "verdict",
        [
            Denied(reason=DenyReason.INVALID_CREDENTIALS),
            Denied(reason=DenyReason.LOCKED_OUT, retry_after=30.0),
            Denied(reason=DenyReason.SECOND_FACTOR),
            Challenge(state="s", expires_in=60.0),
        ],
    )
    def test_what_opens_nothing_is_401_with_a_challenge(self, dialect: str, verdict: Verdict) -> None:
        answer = outpost_of(verdict=verdict).check(dialect, URL, {**basic(), "Accept": "text/html"})
        assert answer.status == 401
        assert answer.all("WWW-Authenticate") == ['Basic realm="Wiki", charset="UTF-8"']
        assert answer.json["error"] == "credentials_refused"
        assert not [name for name in names(answer) if name.lower().startswith("x-authentik")]

    def test_all_of_them_look_alike(self) -> None:
        """Nobody learns whether it was the name, the password, the lock or the second factor."""
        answers = set()
        for reason in (DenyReason.INVALID_CREDENTIALS, DenyReason.LOCKED_OUT, DenyReason.SECOND_FACTOR):
            verdict = Denied(reason=reason, retry_after=15.0)
            answer = outpost_of(verdict=verdict).check("traefik", URL, {**basic(), "X-Request-Id": "r-1"})
            answers.add((answer.status, answer.headers, answer.body))
        assert len(answers) == 1

    def test_a_token_is_challenged_as_rfc_6750_says(self) -> None:
        outpost = outpost_of(verdict=Denied(reason=DenyReason.INVALID_CREDENTIALS))
        for value in ("Bearer a.b.c", "Bearer not one token"):
            asked = outpost.check("traefik", URL, {"Authorization": value}).all("WWW-Authenticate")
            assert asked == [
                'Basic realm="Wiki", charset="UTF-8"',
                'Bearer realm="Wiki", error="invalid_token"',
            ]

    @pytest.mark.parametrize("value", ["Basic", "Basic Zm9v", "Digest username=alice", "Negotiate YII=", "x"])
    def test_what_is_no_credentials_is_not_asked_about(self, outpost: Outpost, value: str) -> None:
        assert outpost.check("traefik", URL, {"Authorization": value}).status == 401
        assert not outpost.gate.attempts

    @pytest.mark.parametrize("intercepts", [True, False])
    def test_who_may_not_use_the_application_is_told_so(self, intercepts: bool) -> None:
        verdict = Denied(reason=DenyReason.ACCESS_DENIED)
        outpost = outpost_of(replace(WIKI, intercept_header_auth=intercepts), verdict=verdict)
        assert outpost.check("traefik", URL, basic()).status == 403

    @pytest.mark.parametrize(
        ("verdict", "error", "wait"),
        [
            (Unavailable("away"), "unavailable", "5"),
            (Denied(reason=DenyReason.BUSY, retry_after=11.2), "busy", "12"),
            (Denied(reason=DenyReason.BUSY), "busy", "5"),
        ],
    )
    def test_where_nobody_can_tell_it_is_later(self, verdict: Verdict, error: str, wait: str) -> None:
        outpost = outpost_of(verdict=verdict)
        answer = outpost.check("traefik", URL, {**basic(), "Accept": "application/json"})
        assert (answer.status, answer["Retry-After"], answer.json["error"]) == (503, wait, error)
        assert outpost.check("traefik", URL, basic()).status == 503, "as a page too"

    @pytest.mark.parametrize("dialect", ["traefik", "caddy", "envoy"])
    @pytest.mark.parametrize(
        "verdict",
        [
            Denied(reason=DenyReason.INVALID_CREDENTIALS),
            Denied(reason=DenyReason.LOCKED_OUT, retry_after=30.0),
            Denied(reason=DenyReason.BUSY),
            Unavailable("away"),
        ],
    )
    def test_where_the_provider_does_not_intercept_that_is_nobody(self, dialect: str, verdict: Verdict) -> None:
        outpost = outpost_of(replace(WIKI, intercept_header_auth=False), verdict=verdict)
        assert outpost.check(dialect, URL, basic()).status == 302
        script = outpost.check(dialect, URL, {**basic(), "Sec-Fetch-Mode": "cors"})
        assert script.status == 401
        assert script["WWW-Authenticate"].startswith("Garrison "), "no browser asks for a password"

    def test_without_intercepting_the_right_ones_still_get_in(self) -> None:
        outpost = outpost_of(replace(WIKI, intercept_header_auth=False))
        assert outpost.check("traefik", URL, basic()).status == 200

    def test_a_browser_is_not_asked_for_a_password_unless_it_brought_one(self, outpost: Outpost) -> None:
        script = outpost.check("traefik", URL, {"Sec-Fetch-Mode": "cors"})
        assert (script.status, script["WWW-Authenticate"][:8]) == (401, "Garrison")
        assert outpost.check("traefik", URL).status == 302


class TestTelling:
    def test_what_control_did_not_decide_itself_is_told_to_it(self, outpost: Outpost) -> None:
        for _ in range(3):
            outpost.check("traefik", URL, basic())
        outpost.gate.verdict = Unavailable("away")
        outpost.clock.now += 3600
        outpost.check("traefik", URL, basic())
        told = [
            (each.action, each.count, each.provider, each.subject, each.username, each.client_address)
            for each in outpost.doors.take_events(last=False)
        ]
        alice = ("p1", "u1", "alice", "127.0.0.1")
        assert told == [(EventAction.ADMITTED, 2, *alice), (EventAction.ADMITTED_OFFLINE, 1, *alice)]

    def test_outcomes_are_counted(self, outpost: Outpost) -> None:
        outpost.check("traefik", URL, basic())
        outpost.check("traefik", URL, basic())
        outpost.check("traefik", URL, {"Authorization": "Digest x"})
        outpost.gate.verdict = Denied(reason=DenyReason.LOCKED_OUT)
        outpost.check("traefik", URL, basic(password="other"))
        snapshot = outpost.doors.metrics.snapshot("edge", {}, 0, 0, outpost.doors.verifier)
        counted = {
            (each["name"], *each["labels"].values()): each["value"]
            for each in (*snapshot["counters"], *snapshot["gauges"])
            if "auth" in each["name"] or "verifier" in each["name"]
        }
        assert counted == {
            ("garrison_proxy_header_auth_total", "control"): 1,
            ("garrison_proxy_header_auth_total", "cache"): 1,
            ("garrison_proxy_header_auth_total", "unusable"): 1,
            ("garrison_proxy_header_auth_total", "locked_out"): 1,
            ("garrison_verifier_lookups_total", "miss"): 2,
            ("garrison_verifier_lookups_total", "hit"): 1,
            ("garrison_verifier_entries",): 1,
        }


class TestPassthrough:
    """What the application is sent as HTTP Basic."""

    WRITTEN = "Basic d2lraS1hbGljZTp3aWtpIHNlY3JldA=="

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_with_a_session(self, dialect: str) -> None:
        outpost = outpost_of(SENDING)
        answer = outpost.check(dialect, URL, {"Cookie": outpost.cookie(session(basic=BASIC))})
        assert answer.all("Authorization") == [self.WRITTEN]

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_with_credentials_of_a_request_in_their_place(self, dialect: str) -> None:
        verdict = replace(YES, session=replace(YES.session, basic=BASIC))
        answer = outpost_of(SENDING, verdict=verdict).check(dialect, URL, basic())
        assert answer.all("Authorization") == [self.WRITTEN]

    def test_who_has_none_sends_nothing(self) -> None:
        outpost = outpost_of(SENDING)
        for headers in (basic(), {"Cookie": outpost.cookie()}):
            assert outpost.check("traefik", URL, headers).all("Authorization") == [""]

    def test_credentials_for_us_are_not_the_applications(self, outpost: Outpost) -> None:
        assert outpost.check("traefik", URL, basic()).all("Authorization") == [""]

    def test_where_the_provider_sends_none_the_answer_says_nothing(self, outpost: Outpost) -> None:
        """The proxy in front leaves the client's own in its place."""
        answer = outpost.check("traefik", URL, {"Cookie": outpost.cookie(session(basic=BASIC))})
        assert answer.all("Authorization") == []

    def test_additional_headers_of_a_person_come_first(self) -> None:
        own = replace(ALICE, additional_headers=(("authorization", "Bearer own"),))
        outpost = outpost_of(SENDING)
        answer = outpost.check("traefik", URL, {"Cookie": outpost.cookie(session(identity=own, basic=BASIC))})
        assert answer.all("Authorization") == ["Bearer own"]

    def test_a_path_that_needs_no_sign_in_leaves_the_clients_own(self) -> None:
        outpost = outpost_of(replace(SENDING, skip_path_regex=("^/public",)))
        url = "https://wiki.example.com/public"
        assert outpost.check("traefik", url, {"Authorization": "Bearer hook"}).all("Authorization") == ["Bearer hook"]
        assert outpost.check("traefik", url).all("Authorization") == [""]

    def test_a_change_counts_at_once(self) -> None:
        outpost = outpost_of(SENDING)
        cookie = {"Cookie": outpost.cookie(session(basic=BASIC))}
        other = BasicCredentials(username="wiki-alice", password="other")
        for at, sent in ((1, {"p1": other}), (2, {}), (3, {"p2": other})):
            changed = Changed(identity=ALICE, at=NOW + at, until=NOW + 1e5, denied_providers=frozenset(), basic=sent)
            outpost.edit(Edit(changed={"changed/u1": changed}))
            expected = ["Basic d2lraS1hbGljZTpvdGhlcg=="] if "p1" in sent else [""]
            assert outpost.check("traefik", URL, cookie).all("Authorization") == expected

import logging
from dataclasses import replace

import pytest

from dataplane.gate import Refusal, SessionReference, Unavailable
from dataplane.metering import BOUNDS
from dataplane.protocols.proxy.handler import MAX_DISCARD
from tests.dataplane.protocols.proxy.builders import ALICE, DOMAIN, NOW, WIKI, Outpost, session

DIALECTS = ["traefik", "caddy", "nginx", "envoy"]
REDIRECTING = ["traefik", "caddy", "envoy"]
URL = "https://wiki.example.com/page"
OPEN = replace(WIKI, skip_path_regex=("^/public",))


@pytest.fixture
def outpost() -> Outpost:
    return Outpost(OPEN, DOMAIN)


class TestPassing:
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_a_valid_session_passes_without_asking_control(self, outpost: Outpost, dialect: str) -> None:
        for _ in range(3):
            assert outpost.check(dialect, URL, {"Cookie": outpost.cookie()})["X-authentik-username"] == "alice"
        assert not outpost.gate.look_ups

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_an_expired_session_does_not_although_it_is_cached(self, outpost: Outpost, dialect: str) -> None:
        cookie = {"Cookie": outpost.cookie()}
        assert outpost.check(dialect, URL, cookie).status == 200
        outpost.clock.now = session().expires
        assert outpost.check(dialect, URL, cookie).status in {302, 401}

    def test_a_cookie_of_another_provider_is_none(self, outpost: Outpost) -> None:
        foreign = outpost.cookie(provider="p2").replace("authentik_proxy_", "x", 0)
        value = foreign.partition("=")[2]
        for name in ("authentik_proxy_633601a8", foreign.partition("=")[0]):
            assert outpost.check("traefik", URL, {"Cookie": f"{name}={value}"}).status == 302

    def test_the_first_cookie_that_counts_is_taken(self, outpost: Outpost) -> None:
        both = f"authentik_proxy_633601a8=; {outpost.cookie()}"
        assert outpost.check("traefik", URL, {"Cookie": both}).status == 200

    def test_cookies_split_over_headers_are_one(self, outpost: Outpost) -> None:
        raw = (
            "GET /outpost.goauthentik.io/auth/nginx HTTP/1.1\r\nHost: wiki.example.com\r\nX-Original-URL: " + URL
            + f"\r\nCookie: {outpost.cookie()}\r\nCookie: theme=dark\r\n\r\n"
        )  # fmt: skip
        assert outpost.exchange(raw.encode())[0][0].status == 200

    def test_nothing_is_logged(self, outpost: Outpost, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        outpost.check("traefik", URL, {"Cookie": outpost.cookie()})
        assert caplog.records == []

    def test_the_cache_is_bounded(self, outpost: Outpost, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dataplane.protocols.proxy.application.MAX_CACHED", 3)
        for _ in range(10):
            assert outpost.check("traefik", URL, {"Cookie": outpost.cookie()}).status == 200
        application = outpost.doors.routes.find("wiki.example.com")
        assert application is not None
        assert len(application.opened) == 3

    def test_the_cache_is_dropped_with_new_config(self, outpost: Outpost) -> None:
        cookie = {"Cookie": outpost.cookie()}
        outpost.check("traefik", URL, cookie)
        outpost.commit(**{"provider/p1": replace(OPEN, name="Renamed")})
        assert outpost.check("traefik", URL, cookie)["X-authentik-meta-provider"] == "Renamed"


class TestChallenging:
    @pytest.mark.parametrize("dialect", REDIRECTING)
    def test_a_navigation_is_redirected(self, outpost: Outpost, dialect: str) -> None:
        answer = outpost.check(dialect, URL)
        assert answer.status == 302
        assert answer["Location"] == (
            "https://wiki.example.com/outpost.goauthentik.io/start?rd=https%3A%2F%2Fwiki.example.com%2Fpage"
        )

    def test_nginx_gets_401_always(self, outpost: Outpost) -> None:
        answer = outpost.check("nginx", URL, {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"})
        assert answer.status == 401
        assert answer["Location"].endswith("/start?rd=https%3A%2F%2Fwiki.example.com%2Fpage")

    @pytest.mark.parametrize("dialect", REDIRECTING)
    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Mode": "cors", "Accept": "text/html"},
            {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
            {"X-Requested-With": "XMLHttpRequest", "Accept": "text/html"},
            {"Accept": "application/json"},
            {"Accept": "application/json, text/plain, */*"},
            {"Accept": "image/avif,image/webp,*/*"},
            {"Upgrade": "websocket", "Connection": "Upgrade", "Accept": "text/html"},
        ],
    )
    def test_all_else_gets_401(self, outpost: Outpost, dialect: str, headers: dict[str, str]) -> None:
        answer = outpost.check(dialect, URL, headers)
        assert answer.status == 401
        assert answer.json["error"] == "sign_in_required"
        assert answer.json["sign_in"] == answer["Location"]
        assert answer["WWW-Authenticate"]

    @pytest.mark.parametrize("dialect", ["traefik", "caddy"])
    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
    def test_other_methods_get_401(self, outpost: Outpost, dialect: str, method: str) -> None:
        assert outpost.check(dialect, URL, {"X-Forwarded-Method": method, "Accept": "text/html"}).status == 401

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_an_unknown_host_is_refused_in_words(self, outpost: Outpost, dialect: str) -> None:
        answer = outpost.check(dialect, "https://other.example.com/", {"Accept": "application/json"})
        assert answer.status == 404
        assert "other.example.com" in answer.json["message"]

    @pytest.mark.parametrize("dialect", ["traefik", "caddy", "nginx"])
    def test_a_malformed_question_is_400_and_the_connection_lives(self, outpost: Outpost, dialect: str) -> None:
        answers, connection = outpost.exchange(
            f"GET /outpost.goauthentik.io/auth/{dialect} HTTP/1.1\r\nHost: o\r\n\r\n".encode() * 2
        )
        assert [answer.status for answer in answers] == [400, 400]
        assert "header" in answers[0].json["message"] or "X-Original" in answers[0].json["message"]
        assert not connection.finished


class TestElided:
    def reduced(self, outpost: Outpost) -> str:
        import hashlib

        groups = tuple(hashlib.sha256(str(number).encode()).hexdigest() for number in range(500))
        return outpost.cookie(session(identity=replace(ALICE, groups=groups)))

    def test_control_is_asked_once(self, outpost: Outpost) -> None:
        outpost.gate.looked_up = session()
        cookie = {"Cookie": self.reduced(outpost)}
        for _ in range(3):
            assert outpost.check("traefik", URL, cookie)["X-authentik-username"] == "alice"
        assert outpost.gate.look_ups == [
            SessionReference(provider="p1", session="s1", subject="u1", authenticated=NOW - 3600, expires=NOW + 82800)
        ]

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_without_control_it_is_unavailable(self, outpost: Outpost, dialect: str) -> None:
        outpost.gate.looked_up = Unavailable("down")
        answer = outpost.check(dialect, URL, {"Cookie": self.reduced(outpost)})
        assert (answer.status, answer["Retry-After"]) == (503, "5")

    def test_an_ended_one_is_none(self, outpost: Outpost) -> None:
        outpost.gate.looked_up = Refusal.SESSION_ENDED
        assert outpost.check("traefik", URL, {"Cookie": self.reduced(outpost)}).status == 302

    def test_no_access_is_403(self, outpost: Outpost) -> None:
        outpost.gate.looked_up = Refusal.ACCESS_DENIED
        assert outpost.check("traefik", URL, {"Cookie": self.reduced(outpost)}).status == 403

    def test_signing_out_bites_with_control_away(self, outpost: Outpost) -> None:
        outpost.gate.looked_up = Unavailable("down")
        cookie = {"Cookie": self.reduced(outpost)}
        outpost.ask("/outpost.goauthentik.io/sign_out", headers={"Host": "wiki.example.com", **cookie})
        assert outpost.gate.ended == [("p1", "s1")]
        assert outpost.check("traefik", URL, cookie).status == 302


class TestSkipping:
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_an_open_path_passes_without_an_identity(self, outpost: Outpost, dialect: str) -> None:
        answer = outpost.check(dialect, "https://wiki.example.com/public/x?y")
        assert answer.status == 200
        named = {name: value for name, value in answer.headers if name.lower().startswith("x-authentik")}
        assert not [name for name, value in named.items() if value and not name.startswith("X-authentik-meta-")]

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_who_is_signed_in_is_named_there_too(self, outpost: Outpost, dialect: str) -> None:
        answer = outpost.check(dialect, "https://wiki.example.com/public", {"Cookie": outpost.cookie()})
        assert answer["X-authentik-username"] == "alice"

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_a_forged_identity_is_not_let_through_on_an_open_path(self, outpost: Outpost, dialect: str) -> None:
        """Caddy before 2.11 keeps a client's header where the answer has none."""
        forged = {"X-Authentik-Username": "admin"}
        assert outpost.check(dialect, "https://wiki.example.com/public", forged).status in {302, 401}

    def test_a_domain_matches_its_hosts(self) -> None:
        outpost = Outpost(replace(DOMAIN, skip_path_regex=(r"^https://open\.corp\.test/",)))
        assert outpost.check("traefik", "https://open.corp.test/x").status == 200
        assert outpost.check("traefik", "https://shut.corp.test/?https://open.corp.test/").status == 302


class TestConnections:
    ASK = "GET /outpost.goauthentik.io/auth/nginx HTTP/1.1\r\nHost: wiki.example.com\r\nX-Original-URL: " + URL + "\r\n"

    def ask(self, outpost: Outpost, headers: str, body: bytes = b"") -> tuple[list[int], bool]:
        cookie = f"Cookie: {outpost.cookie()}\r\n"
        answers, connection = outpost.exchange((self.ASK + cookie + headers + "\r\n").encode() + body)
        return [answer.status for answer in answers], connection.finished

    def test_a_body_is_discarded_and_the_next_request_answered(self, outpost: Outpost) -> None:
        follow = b"GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: o\r\n\r\n"
        assert self.ask(outpost, "Content-Length: 5\r\n", b"abcde" + follow) == ([200, 204], False)
        assert self.ask(outpost, "Transfer-Encoding: chunked\r\n", b"5\r\nabcde\r\n0\r\n\r\n" + follow) == (
            [200, 204],
            False,
        )

    def test_a_request_inside_a_body_is_not_one(self, outpost: Outpost) -> None:
        inner = b"GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: o\r\n\r\n"
        assert self.ask(outpost, f"Content-Length: {len(inner)}\r\n", inner) == ([200], False)

    def test_a_large_body_closes(self, outpost: Outpost) -> None:
        assert self.ask(outpost, f"Content-Length: {MAX_DISCARD + 1}\r\n") == ([200], True)
        chunk = b"%x\r\n%s\r\n" % (MAX_DISCARD + 1, b"x" * (MAX_DISCARD + 1))
        assert self.ask(outpost, "Transfer-Encoding: chunked\r\n", chunk) == ([200], True)

    def test_one_that_waits_to_send_its_body_is_answered_and_closed(self, outpost: Outpost) -> None:
        assert self.ask(outpost, "Expect: 100-continue\r\nContent-Length: 5\r\n") == ([200], True)

    def test_close_is_honoured(self, outpost: Outpost) -> None:
        assert self.ask(outpost, "Connection: close\r\n") == ([200], True)

    def test_http_1_0_is_served(self, outpost: Outpost) -> None:
        """nginx asks by HTTP/1.0 unless it is told otherwise."""
        asked = f"Host: wiki.example.com\r\nX-Original-URL: {URL}\r\nCookie: {outpost.cookie()}\r\n\r\n"
        raw = f"GET /outpost.goauthentik.io/auth/nginx HTTP/1.0\r\n{asked}"
        (answer,), connection = outpost.exchange(raw.encode())
        assert (answer.status, answer["Connection"], connection.finished) == (200, "close", True)

    def test_broken_http_is_refused_in_words_and_closed(self, outpost: Outpost) -> None:
        (answer,), connection = outpost.exchange(b"GET / HTTP/1.1\r\n\r\n")
        assert (answer.status, answer.json["message"], connection.finished) == (400, "no Host header", True)
        assert outpost.doors.metrics.refusals["malformed"] == 1


class TestVisits:
    @pytest.mark.parametrize("host", ["wiki.example.com", "unknown.test", "127.0.0.1:9000"])
    def test_ping_is_204_on_any_host(self, outpost: Outpost, host: str) -> None:
        answer = outpost.ask("/outpost.goauthentik.io/ping", headers={"Host": host})
        assert (answer.status, answer.body) == (204, b"")

    @pytest.mark.parametrize("path", ["/", "/outpost.goauthentik.io/start", "/outpost.goauthentik.io/nope"])
    def test_an_unknown_host_is_explained(self, outpost: Outpost, path: str) -> None:
        answer = outpost.ask(path, headers={"Host": "unknown.test", "Accept": "text/html"})
        assert answer.status == 404
        assert b"No application for" in answer.body

    def test_before_any_config_it_asks_for_patience(self) -> None:
        outpost = Outpost()
        outpost.doors.common.refusals.configured = False
        answer = outpost.ask("/", headers={"Host": "wiki.example.com"})
        assert (answer.status, answer["Retry-After"]) == (503, "5")

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_before_any_config_a_check_asks_for_patience_too(self, dialect: str) -> None:
        outpost = Outpost()
        outpost.doors.common.refusals.configured = False
        answer = outpost.check(dialect, "https://unknown.test/")
        assert (answer.status, answer["Retry-After"]) == (503, "5")

    def test_an_applications_pages_are_not_served_here(self, outpost: Outpost) -> None:
        answer = outpost.ask("/", headers={"Host": "wiki.example.com", "Accept": "text/html"})
        assert answer.status == 404
        assert b"reverse proxy in front" in answer.body

    def test_a_trusted_proxy_names_the_host(self, outpost: Outpost) -> None:
        headers = {"Host": "outpost:9000", "X-Forwarded-Host": "wiki.example.com"}
        assert outpost.ask("/outpost.goauthentik.io/start", headers=headers).status == 302

    def test_an_untrusted_one_is_named_on_the_page_and_once_in_the_log(
        self, outpost: Outpost, caplog: pytest.LogCaptureFixture
    ) -> None:
        outpost.peer = "203.0.113.7"
        headers = {"Host": "outpost:9000", "X-Forwarded-Host": "wiki.example.com", "Accept": "text/html"}
        for _ in range(3):
            answer = outpost.ask("/outpost.goauthentik.io/start", headers=headers)
            assert answer.status == 404
            assert b"203.0.113.7" in answer.body
            assert b"AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS" in answer.body
        warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == 1
        assert "203.0.113.7" in warnings[0].getMessage()
        assert "AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS" in warnings[0].getMessage()

    def test_static_files_are_served_on_any_host(self, outpost: Outpost) -> None:
        answer = outpost.ask("/outpost.goauthentik.io/static/page.css?v=1")
        assert (answer.status, answer["Content-Type"]) == (200, "text/css; charset=utf-8")
        assert b"prefers-color-scheme: dark" in answer.body

    @pytest.mark.parametrize("name", ["nope.css", "../server.py", "%2e%2e/server.py", "", "page.css/"])
    def test_only_those_there_are(self, outpost: Outpost, name: str) -> None:
        assert outpost.ask(f"/outpost.goauthentik.io/static/{name}").status == 404

    def test_request_ids_of_trusted_peers_are_kept(self, outpost: Outpost) -> None:
        headers = {"Host": "x", "X-Request-Id": "abc-1", "Accept": "application/json"}
        assert outpost.ask("/", headers=headers).json["request_id"] == "abc-1"
        assert outpost.ask("/", headers={**headers, "X-Request-Id": "a b"}).json["request_id"] != "a b"
        outpost.peer = "203.0.113.7"
        assert outpost.ask("/", headers=headers).json["request_id"] != "abc-1"

    def test_pages_are_guarded(self, outpost: Outpost) -> None:
        answer = outpost.ask("/", headers={"Host": "x", "Accept": "text/html"})
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert "unsafe" not in answer["Content-Security-Policy"]
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Cache-Control"] == "no-store"
        assert answer["X-Request-Id"].encode() in answer.body
        assert b"<script" not in answer.body
        assert b"style=" not in answer.body


class TestMetrics:
    def test_checks_are_counted_by_method_host_and_type(self, outpost: Outpost) -> None:
        for _ in range(3):
            outpost.check("traefik", URL)
        outpost.check("traefik", "https://other.corp.test/")
        snapshot = outpost.doors.metrics.snapshot("edge", {"idle_timeout": 2}, 5, 3, outpost.doors.verifier)
        counts = {
            (sample["labels"]["host"], sample["labels"]["type"]): sum(sample["counts"])
            for sample in snapshot["histograms"]
        }
        assert counts == {("wiki.example.com", "app"): 3, ("auth.corp.test", "app"): 1}
        first = snapshot["histograms"][0]
        assert first["name"] == "authentik_outpost_proxy_request_duration_seconds"
        assert first["labels"] == {"outpost_name": "edge", "method": "GET", "host": "wiki.example.com", "type": "app"}
        assert len(first["counts"]) == len(BOUNDS) + 1
        assert {
            "name": "garrison_proxy_limits_total",
            "help": "Limits hit",
            "labels": {"limit": "idle_timeout"},
            "value": 2,
        } in (snapshot["counters"])
        gauges = {each["name"]: each["value"] for each in snapshot["gauges"]}
        assert gauges == {
            "garrison_proxy_connections": 5,
            "garrison_proxy_link_connections": 3,
            "garrison_verifier_entries": 0,
        }

    def test_strangers_can_not_add_labels(self, outpost: Outpost) -> None:
        for number in range(50):
            outpost.check("traefik", f"https://x{number}.example.com/")
            outpost.check("traefik", f"https://x{number}.corp.test/")
            outpost.ask("/", "PROPFIND", {"Host": f"y{number}.test"})
            outpost.ask("/", "MKCOL", {"Host": f"y{number}.test"})
        assert len(outpost.doors.metrics.snapshot("edge", {}, 0, 0, outpost.doors.verifier)["histograms"]) <= 4

    def test_the_cache_is_counted(self, outpost: Outpost) -> None:
        cookie = {"Cookie": outpost.cookie()}
        outpost.check("traefik", URL, cookie)
        outpost.check("traefik", URL, cookie)
        assert outpost.doors.metrics.cache == {"miss": 1, "hit": 1}


def test_strangers_can_not_fill_the_log(outpost: Outpost, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(50):
        outpost.check("traefik", "https://nobody.test/")
        outpost.check("traefik", "https://nobody.test/", {"X-Forwarded-Proto": "gopher"})
    assert len(caplog.records) == 10
    outpost.clock.now += 1
    outpost.check("traefik", "https://nobody.test/")
    assert len(caplog.records) == 11
    assert outpost.doors.metrics.refusals.total() == 101

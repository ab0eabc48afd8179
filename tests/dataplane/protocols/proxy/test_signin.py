import base64
import hashlib
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.gate import Refusal, SessionAnswer, Unavailable
from dataplane.protocols.proxy.signin import read_start, token_nonce
from tests.dataplane.protocols.proxy.browser import Browser
from tests.dataplane.protocols.proxy.builders import ALICE, DOMAIN, NOW, WIKI, Outpost, id_token, session

HOST = "https://wiki.example.com"
START = f"{HOST}/outpost.goauthentik.io/start"


def ready(*, redeemed: SessionAnswer | None = None) -> tuple[Outpost, Browser]:
    outpost = Outpost(WIKI, DOMAIN)
    outpost.gate.redeemed = redeemed or session()
    return outpost, Browser(outpost)


def sign_in(browser: Browser, start: str = START) -> str:
    """Start to finish; where the browser ends up."""
    back = browser.sign_in_at_control(browser.visit(start)["Location"])
    return browser.visit(back)["Location"]


class TestTheWay:
    @pytest.mark.parametrize("dialect", ["traefik", "caddy", "envoy"])
    def test_from_a_check_to_the_page_and_in(self, dialect: str) -> None:
        _outpost, browser = ready()
        url = f"{HOST}/page?a=b&c=%20d"
        refused = browser.check(dialect, url)
        assert refused.status == 302
        assert refused["Location"].startswith(f"{START}?rd=")
        assert sign_in(browser, refused["Location"]) == url
        assert browser.check(dialect, url)["X-authentik-username"] == "alice"

    def test_nginx_with_its_usual_snippet(self) -> None:
        _, browser = ready()
        url = f"{HOST}/page?a=b&c=d"
        assert browser.check("nginx", url).status == 401
        # return 302 /outpost.goauthentik.io/start?rd=$scheme://$http_host$request_uri;
        assert sign_in(browser, f"{START}?rd={url}") == url
        assert browser.check("nginx", url).status == 200

    def test_over_a_domain(self) -> None:
        _outpost, browser = ready()
        url = "https://git.corp.test/repo"
        refused = browser.check("traefik", url)
        assert refused["Location"].startswith("https://auth.corp.test/outpost.goauthentik.io/start?rd=")
        assert sign_in(browser, refused["Location"]) == url
        assert browser.check("traefik", url).status == 200
        assert browser.check("traefik", "https://other.corp.test/").status == 200
        assert browser.check("traefik", f"{HOST}/").status == 302

    def test_control_is_asked_with_all_that_binds_the_code(self) -> None:
        outpost, browser = ready()
        location = browser.visit(f"{START}?rd=%2F")["Location"]
        parts = urlsplit(location)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://sso.example.com/application/o/authorize/"
        assert query["response_type"] == "code"
        assert query["client_id"] == "wiki-client"
        assert query["scope"] == "openid profile email entitlements ak_proxy"
        assert query["redirect_uri"] == f"{HOST}/outpost.goauthentik.io/callback?X-authentik-auth-callback=true"
        assert query["code_challenge_method"] == "S256"
        browser.visit(browser.sign_in_at_control(location, "c0de"))
        (redemption,) = outpost.gate.redemptions
        assert (redemption.provider, redemption.code) == ("p1", "c0de")
        assert redemption.redirect_uri == query["redirect_uri"]
        digest = hashlib.sha256(redemption.code_verifier.encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == query["code_challenge"]
        assert len(redemption.code_verifier) >= 43

    def test_the_verifier_does_not_leave_the_cookie_in_clear(self) -> None:
        outpost, browser = ready()
        answer = browser.visit(START)
        browser.visit(browser.sign_in_at_control(answer["Location"]))
        (redemption,) = outpost.gate.redemptions
        assert redemption.code_verifier not in str(answer.headers)

    def test_the_session_cookie_is_guarded(self) -> None:
        _, browser = ready()
        back = browser.sign_in_at_control(browser.visit(START)["Location"])
        (cookie,) = [
            line for line in browser.visit(back).all("Set-Cookie") if line.startswith("authentik_proxy_633601a8=")
        ]
        assert cookie.split("; ")[1:] == ["Path=/", "Max-Age=82800", "HttpOnly", "SameSite=Lax", "Secure"]

    def test_over_plain_http_it_is_not_secure(self) -> None:
        outpost = Outpost(replace(WIKI, external_host="http://localhost:9000"))
        outpost.gate.redeemed = session()
        browser = Browser(outpost)
        assert sign_in(browser, "http://localhost:9000/outpost.goauthentik.io/start?rd=/x") == "http://localhost:9000/x"
        assert browser.check("traefik", "http://localhost:9000/x").status == 200

    def test_a_shorter_session_removes_the_parts_of_a_longer_one(self) -> None:
        outpost, browser = ready()
        names = tuple(hashlib.sha256(str(number).encode()).hexdigest() for number in range(90))
        outpost.gate.redeemed = session(identity=replace(ALICE, groups=names))
        sign_in(browser)
        assert "authentik_proxy_633601a8_1" in browser.jar
        outpost.gate.redeemed = session()
        sign_in(browser)
        assert "authentik_proxy_633601a8_1" not in browser.jar
        assert browser.check("traefik", f"{HOST}/").status == 200

    @pytest.mark.parametrize("dialect", ["traefik", "caddy", "envoy"])
    def test_it_also_works_where_every_path_goes_through_the_check(self, dialect: str) -> None:
        _, browser = ready()
        start = browser.check(dialect, f"{HOST}/page")["Location"]
        control = browser.check(dialect, start)
        assert control.status == 302
        done = browser.check(dialect, browser.sign_in_at_control(control["Location"]))
        assert done["Location"] == f"{HOST}/page"
        assert browser.check(dialect, f"{HOST}/page").status == 200

    def test_the_callback_is_recognised_by_its_signature_on_any_path(self) -> None:
        _outpost, browser = ready()
        answer = browser.visit(f"{HOST}/?X-authentik-auth-callback=true&code=x&state=0.y")
        assert answer.status == 302
        assert answer["Location"].startswith(START)


class TestReturning:
    @pytest.mark.parametrize(
        "wanted", ["https://evil.test/", "//evil.test", "/\\evil.test", "https://wiki.example.com@evil.test"]
    )
    def test_elsewhere_is_refused_with_a_page(self, wanted: str) -> None:
        _, browser = ready()
        answer = browser.visit(f"{START}?rd={quote(wanted, safe='')}")
        assert answer.status == 400
        assert b"doesn&#39;t belong" in answer.body or b"doesn't belong" in answer.body
        assert answer.find("Location") is None

    def test_without_rd_it_is_the_front_page(self) -> None:
        assert sign_in(ready()[1]) == f"{HOST}/"

    def test_a_url_too_long_to_carry_becomes_its_front_page(self) -> None:
        assert sign_in(ready()[1], f"{START}?rd={quote(HOST + '/' + 'a' * 3000, safe='')}") == f"{HOST}/"

    def test_a_state_sealed_before_a_change_of_hosts_is_judged_anew(self) -> None:
        outpost, browser = ready()
        start = "https://auth.corp.test/outpost.goauthentik.io/start?rd=https%3A%2F%2Fgit.corp.test%2F"
        back = browser.sign_in_at_control(browser.visit(start)["Location"])
        outpost.commit(**{"provider/p2": replace(DOMAIN, cookie_domain="auth.corp.test")})
        assert browser.visit(back)["Location"] == "https://auth.corp.test/"

    @pytest.mark.parametrize(
        ("query", "wanted"),
        [
            ("rd=https%3A%2F%2Fa%2Fb%3Fc%3Dd%26e", "https://a/b?c=d&e"),
            ("rd=https://a/b?c=d&e=f%20g", "https://a/b?c=d&e=f%20g"),
            ("rd=/a?b&c", "/a?b&c"),
            ("tries=1&rd=%2Fa", "/a"),
            ("rd=%2Fa&tries=1", "/a"),
            ("", ""),
            ("xrd=/a", ""),
            ("x=1&rd=", ""),
        ],
    )
    def test_rd_is_read_as_it_is_sent(self, query: str, wanted: str) -> None:
        assert read_start(query) == (wanted, 1 if "tries=1" in query else 0)

    @given(st.text(max_size=100))
    def test_any_query_is_read(self, query: str) -> None:
        read_start(query)


class TestGoingWrong:
    def back(self, browser: Browser) -> str:
        return browser.sign_in_at_control(browser.visit(f"{START}?rd=%2Fdeep")["Location"])

    def retried(self, browser: Browser, callback: str) -> str:
        answer = browser.visit(callback)
        assert answer.status == 302
        assert answer["Location"] == f"{START}?tries=1&rd=https%3A%2F%2Fwiki.example.com%2Fdeep"
        return answer["Location"]

    def test_a_reused_state_of_someone_signed_in_just_returns(self) -> None:
        _, browser = ready()
        back = self.back(browser)
        browser.visit(back)
        assert browser.visit(back)["Location"] == f"{HOST}/deep"

    def test_a_reused_state_of_a_stranger_is_retried_once_then_explained(self) -> None:
        outpost, browser = ready()
        back = self.back(browser)
        browser.visit(back)
        stranger = Browser(outpost)
        again = self.retried(stranger, back)
        second = stranger.sign_in_at_control(stranger.visit(again)["Location"])
        page = Browser(outpost).visit(second)
        assert page.status == 400
        assert b"tried twice" in page.body

    def test_a_stale_attempt_is_retried_with_its_way_kept(self) -> None:
        outpost, browser = ready()
        back = self.back(browser)
        outpost.clock.now += 601
        again = self.retried(browser, back)
        assert browser.visit(browser.sign_in_at_control(browser.visit(again)["Location"]))["Location"] == f"{HOST}/deep"

    def test_a_browser_without_cookies_sees_one_retry_and_a_page(self) -> None:
        outpost, _ = ready()
        browser = Browser(outpost, refuses_cookies=True)
        again = self.retried(browser, self.back(browser))
        page = browser.visit(browser.sign_in_at_control(browser.visit(again)["Location"]))
        assert page.status == 400
        assert b"accept cookies" in page.body
        assert not outpost.gate.redemptions

    @pytest.mark.parametrize("state", ["", "x", "0.x", "1.x", "0.", "0.AAAA.BBBB", "9.x", "0." + "A" * 3000])
    def test_a_state_of_nobodys_making_redeems_nothing(self, state: str) -> None:
        outpost, browser = ready()
        answer = browser.visit(f"{HOST}/outpost.goauthentik.io/callback?code=x&state={state}")
        assert answer.status in {302, 400}
        assert not outpost.gate.redemptions

    def test_states_that_no_replica_can_read_do_not_loop(self) -> None:
        _outpost, browser = ready()
        back = browser.sign_in_at_control(browser.visit(START)["Location"]).replace("state=0.", "state=0.X")
        again = browser.visit(back)["Location"]
        second = browser.sign_in_at_control(browser.visit(again)["Location"]).replace("state=1.", "state=1.X")
        assert browser.visit(second).status == 400

    @pytest.mark.parametrize("refusal", [Refusal.INVALID_CODE, Refusal.SESSION_ENDED])
    def test_a_refused_code_is_retried_once_then_explained(self, refusal: Refusal) -> None:
        _, browser = ready(redeemed=refusal)
        again = self.retried(browser, self.back(browser))
        page = browser.visit(browser.sign_in_at_control(browser.visit(again)["Location"]))
        assert page.status == 400
        assert refusal.value.encode() in page.body

    def test_no_access_is_a_page_that_names_the_application(self) -> None:
        _, browser = ready(redeemed=Refusal.ACCESS_DENIED)
        page = browser.visit(self.back(browser))
        assert page.status == 403
        assert b"No access to Wiki" in page.body

    def test_no_access_as_an_oauth_error_is_the_same_page(self) -> None:
        _, browser = ready()
        back = self.back(browser).replace("code=code", "error=access_denied")
        assert browser.visit(back).status == 403

    def test_another_oauth_error_is_retried_then_explained_and_escaped(self) -> None:
        outpost, browser = ready()
        again = self.retried(browser, self.back(browser).replace("code=code", "error=<script>"))
        back = browser.sign_in_at_control(browser.visit(again)["Location"]).replace("code=code", "error=<script>")
        page = browser.visit(back)
        assert page.status == 400
        assert b"<script>" not in page.body
        assert b"&lt;script&gt;" in page.body
        assert not outpost.gate.redemptions

    def test_nobody_is_sent_to_a_control_that_is_away(self) -> None:
        outpost, browser = ready()
        outpost.gate.outage = Unavailable("connection refused")
        page = browser.visit(f"{START}?rd={HOST}/deep")
        assert (page.status, page["Retry-After"]) == (503, "5")
        assert not browser.jar
        outpost.gate.outage = None
        assert browser.visit(f"{START}?rd={HOST}/deep").status == 302

    def test_control_away_is_503_and_the_attempt_lives_on(self) -> None:
        outpost, browser = ready(redeemed=Unavailable("down"))
        back = self.back(browser)
        page = browser.visit(back)
        assert (page.status, page["Retry-After"]) == (503, "5")
        outpost.gate.redeemed = session()
        assert browser.visit(back)["Location"] == f"{HOST}/deep"

    def test_a_token_for_another_nonce_is_no_sign_in(self) -> None:
        outpost, browser = ready()
        back = self.back(browser)
        outpost.gate.nonce = "another"
        assert browser.visit(back)["Location"].startswith(f"{START}?tries=1")
        assert "authentik_proxy_633601a8" not in browser.jar

    @pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c", "..", "a.bnVsbA.c", "a.W10.c", "a.eyJub25jZSI6MX0.c"])
    def test_a_token_without_a_nonce_has_none(self, token: str) -> None:
        assert token_nonce(token) == ""

    @given(st.text(max_size=60))
    def test_any_token_is_read(self, token: str) -> None:
        token_nonce(token)

    def test_a_session_that_is_over_already_is_retried(self) -> None:
        _, browser = ready(redeemed=session(expires=NOW))
        self.retried(browser, self.back(browser))


class TestAttempts:
    def names(self, browser: Browser) -> list[str]:
        return [name for name in browser.jar if "_a_" in name]

    def test_several_tabs_do_not_disturb_each_other(self) -> None:
        _, browser = ready()
        first = browser.visit(f"{START}?rd=%2F1")["Location"]
        second = browser.visit(f"{START}?rd=%2F2")["Location"]
        assert browser.visit(browser.sign_in_at_control(first))["Location"] == f"{HOST}/1"
        assert browser.visit(browser.sign_in_at_control(second))["Location"] == f"{HOST}/2"

    def test_there_are_at_most_five_and_the_oldest_goes(self) -> None:
        outpost, browser = ready()
        browser.visit(START)
        (oldest,) = self.names(browser)
        for _ in range(7):
            outpost.clock.now += 1
            browser.visit(START)
        assert len(self.names(browser)) == 5
        assert oldest not in self.names(browser)

    def test_a_check_makes_none(self) -> None:
        _, browser = ready()
        assert browser.check("traefik", f"{HOST}/").all("Set-Cookie") == []

    def test_a_used_attempt_is_removed(self) -> None:
        _, browser = ready()
        sign_in(browser)
        assert self.names(browser) == []

    def test_another_tabs_attempt_does_not_fit(self) -> None:
        outpost, browser = ready()
        first = browser.visit(START)["Location"]
        (name,) = self.names(browser)
        other = Browser(outpost)
        second = other.visit(START)["Location"]
        (other_name,) = [key for key in other.jar if "_a_" in key]
        browser.jar[name] = replace(browser.jar[name], value=other.jar[other_name].value)
        answer = browser.visit(browser.sign_in_at_control(first))
        assert "tries=1" in answer["Location"]
        assert second != first


def test_the_nonce_helper_makes_what_the_product_reads() -> None:
    assert token_nonce(id_token("abc")) == "abc"


class TestQueriesOfStrangers:
    CALLBACK = f"{HOST}/outpost.goauthentik.io/callback"

    @pytest.mark.parametrize("count", [51, 120, 1000])
    def test_many_fields_are_only_many_fields(self, count: int) -> None:
        fields = "&".join(f"a{number}=1" for number in range(count))
        _, browser = ready()
        assert browser.visit(f"{self.CALLBACK}?{fields}").status == 302
        assert browser.check("traefik", f"{HOST}/x?{fields}&X-authentik-auth-callback=true").status == 302
        assert browser.visit(f"{HOST}/x?{fields}&X-authentik-logout=true").status == 302

    def test_of_many_fields_the_first_counts(self) -> None:
        outpost, browser = ready()
        back = browser.sign_in_at_control(browser.visit(START)["Location"], "c0de")
        browser.visit(f"{back}&code=other&state=other")
        assert [redemption.code for redemption in outpost.gate.redemptions] == ["c0de"]

    def test_nobody_is_told_by_a_link_that_access_is_denied(self) -> None:
        _, browser = ready()
        assert browser.visit(f"{self.CALLBACK}?error=access_denied").status == 302
        assert browser.visit(f"{self.CALLBACK}?error=access_denied&state=0.x").status == 302

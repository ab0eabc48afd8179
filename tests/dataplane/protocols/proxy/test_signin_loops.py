"""A browser that keeps coming back signed in, and is asked again each time, gets an explanation."""

from dataplane.protocols.proxy.signin import LOOP_COUNT, LOOP_SECONDS
from tests.dataplane.protocols.proxy.test_signin import START, ready, sign_in


class TestLoops:
    def test_a_cookie_that_never_arrives_ends_in_an_explanation(self) -> None:
        outpost, browser = ready()
        for _ in range(LOOP_COUNT):
            sign_in(browser, f"{START}?rd=%2F")
            browser.jar.pop("authentik_proxy_633601a8")
            outpost.clock.now += 1
        page = browser.visit(f"{START}?rd=%2F")
        assert page.status == 400
        assert b"keeps asking you to sign in" in page.body
        assert b"external host is <code>https://wiki.example.com</code>" in page.body
        assert outpost.doors.metrics.refusals["redirect_loop"] == 1

    def test_trying_again_is_possible(self) -> None:
        _outpost, browser = ready()
        for _ in range(LOOP_COUNT):
            sign_in(browser)
        assert browser.visit(START).status == 400
        assert browser.visit(START).status == 302

    def test_sign_ins_far_apart_are_no_loop(self) -> None:
        outpost, browser = ready()
        for _ in range(3 * LOOP_COUNT):
            sign_in(browser)
            outpost.clock.now += LOOP_SECONDS / (LOOP_COUNT - 2)
        assert browser.visit(START).status == 302

    def test_many_tabs_restored_at_once_are_no_loop(self) -> None:
        _, browser = ready()
        for tab in range(3 * LOOP_COUNT):
            sign_in(browser, f"{START}?rd=%2Ftab{tab}")
        assert browser.visit(f"{START}?rd=%2Ftab1").status == 302

    def test_the_untrusted_proxy_is_named_with_its_setting(self) -> None:
        outpost, browser = ready()
        for _ in range(LOOP_COUNT):
            sign_in(browser)
        outpost.peer = "203.0.113.7"
        page = browser.visit(START)
        assert b"203.0.113.7" in page.body
        assert b"AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS" in page.body

    def test_a_domain_mismatch_is_named(self) -> None:
        _outpost, browser = ready()
        start = "https://auth.corp.test/outpost.goauthentik.io/start"
        for _ in range(LOOP_COUNT):
            sign_in(browser, start)
        assert b"cookie domain is <code>corp.test</code>" in browser.visit(start).body

import pytest

from dataplane.config import Ended
from tests.dataplane.protocols.proxy.browser import Browser
from tests.dataplane.protocols.proxy.builders import DOMAIN, NOW, WIKI, Outpost, session

HOST = "https://wiki.example.com"


def signed_in() -> tuple[Outpost, Browser]:
    outpost = Outpost(WIKI, DOMAIN)
    outpost.gate.redeemed = session()
    browser = Browser(outpost)
    back = browser.sign_in_at_control(browser.visit(f"{HOST}/outpost.goauthentik.io/start")["Location"])
    browser.visit(back)
    assert browser.check("traefik", f"{HOST}/").status == 200
    return outpost, browser


@pytest.mark.parametrize("path", ["/outpost.goauthentik.io/sign_out", "/any/path?X-authentik-logout=true"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_cookies_go_control_hears_and_the_browser_is_sent_there(path: str, method: str) -> None:
    outpost, browser = signed_in()
    answer = browser.visit(HOST + path, method)
    assert (answer.status, answer["Location"]) == (302, "https://sso.example.com/application/o/wiki/end-session/")
    assert browser.jar == {}
    assert outpost.gate.ended == [("p1", "s1")]


def test_it_bites_at_once_even_for_a_copied_cookie() -> None:
    outpost, browser = signed_in()
    copied = browser.cookies(f"{HOST}/")
    browser.visit(f"{HOST}/outpost.goauthentik.io/sign_out")
    assert outpost.check("traefik", f"{HOST}/", copied).status == 302
    outpost.commit()
    assert outpost.check("traefik", f"{HOST}/", copied).status == 302


def test_through_the_check() -> None:
    outpost, browser = signed_in()
    answer = browser.check("traefik", f"{HOST}/page?X-authentik-logout=true")
    assert answer["Location"].endswith("/end-session/")
    assert outpost.gate.ended == [("p1", "s1")]


def test_a_head_request_signs_nobody_out() -> None:
    outpost, browser = signed_in()
    browser.visit(f"{HOST}/outpost.goauthentik.io/sign_out", "HEAD")
    assert outpost.gate.ended == []
    assert browser.check("traefik", f"{HOST}/").status == 200


@pytest.mark.parametrize("path", ["/outpost.goauthentik.io/sign_out", "/x?X-authentik-logout=true"])
@pytest.mark.parametrize(
    "asked",
    [
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Accept": "image/avif,image/webp,*/*;q=0.8"},
    ],
)
def test_what_a_page_loads_signs_nobody_out(path: str, asked: dict[str, str]) -> None:
    """Else an image in a page ends the session of everyone who opens it."""
    outpost, browser = signed_in()
    headers = {"Host": "wiki.example.com", **browser.cookies(HOST + path), **asked}
    outpost.ask(path, headers=headers)
    outpost.check("traefik", HOST + path, headers)
    assert outpost.gate.ended == []
    assert browser.check("traefik", f"{HOST}/").status == 200


def test_without_a_session_it_is_harmless() -> None:
    outpost = Outpost(WIKI)
    answer = Browser(outpost).visit(f"{HOST}/outpost.goauthentik.io/sign_out")
    assert answer.status == 302
    assert outpost.gate.ended == []


def test_the_cookie_of_a_domain_is_removed_from_the_domain() -> None:
    answer = Browser(Outpost(DOMAIN)).visit("https://auth.corp.test/outpost.goauthentik.io/sign_out")
    assert any("Domain=corp.test" in cookie and "Max-Age=0" in cookie for cookie in answer.all("Set-Cookie"))


class TestReplayed:
    """A cookie is good for one end: each is a message to every worker and to control."""

    def replay(self, outpost: Outpost, cookies: str) -> int:
        headers = {"Host": "wiki.example.com", "Cookie": cookies}
        return outpost.ask("/outpost.goauthentik.io/sign_out", headers=headers).status

    def test_it_ends_once(self) -> None:
        outpost = Outpost(WIKI)
        cookie = outpost.cookie()
        for _ in range(3):
            assert self.replay(outpost, cookie) == 302
            outpost.commit()
        assert outpost.gate.ended == [("p1", "s1")]

    def test_one_that_has_run_out_ends_once_too(self) -> None:
        """The sign-in behind it may go on."""
        outpost = Outpost(WIKI)
        cookie = outpost.cookie()
        outpost.clock.now = session().expires + 1
        for _ in range(3):
            self.replay(outpost, cookie)
            outpost.commit()
        assert outpost.gate.ended == [("p1", "s1")]

    @pytest.mark.parametrize("of", [{"session": "s1"}, {"subject": "u1"}])
    def test_what_control_has_ended_is_no_news(self, of: dict[str, str]) -> None:
        fields = {"session": "", "subject": "", "provider": "", **of}
        outpost = Outpost(WIKI, resources={"ended": Ended(**fields, before=NOW, until=NOW + 1e6)})
        self.replay(outpost, outpost.cookie())
        assert outpost.gate.ended == []

    def test_a_lost_permission_leaves_the_sign_in_to_be_ended(self) -> None:
        over = Ended(session="", subject="", provider="p1", before=NOW, until=NOW + 1e6)
        outpost = Outpost(WIKI, resources={"ended": over})
        self.replay(outpost, outpost.cookie())
        assert outpost.gate.ended == [("p1", "s1")]

    def test_every_session_of_the_browser_ends(self) -> None:
        outpost = Outpost(WIKI)
        self.replay(outpost, f"{outpost.cookie()}; {outpost.cookie(session(id='s2'))}")
        assert outpost.gate.ended == [("p1", "s1"), ("p1", "s2")]


def test_cookies_of_an_earlier_domain_go_too() -> None:
    answer = Browser(Outpost(WIKI)).visit(f"{HOST}/outpost.goauthentik.io/sign_out")
    domains = {part for line in answer.all("Set-Cookie") for part in line.split("; ") if part.startswith("Domain=")}
    assert domains == {"Domain=wiki.example.com", "Domain=example.com"}

import pytest

from tests.dataplane.protocols.proxy.browser import Browser
from tests.dataplane.protocols.proxy.builders import DOMAIN, WIKI, Outpost, session

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


def test_without_a_session_it_is_harmless() -> None:
    outpost = Outpost(WIKI)
    answer = Browser(outpost).visit(f"{HOST}/outpost.goauthentik.io/sign_out")
    assert answer.status == 302
    assert outpost.gate.ended == []


def test_the_cookie_of_a_domain_is_removed_from_the_domain() -> None:
    answer = Browser(Outpost(DOMAIN)).visit("https://auth.corp.test/outpost.goauthentik.io/sign_out")
    assert any("Domain=corp.test" in cookie and "Max-Age=0" in cookie for cookie in answer.all("Set-Cookie"))

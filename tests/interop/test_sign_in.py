"""The way through sign-in when browsers do what browsers do: go back, open many tabs, come late, share links."""

import pytest

from tests.interop.world import PASSWORD, World, seen
from tests.support.browser_http import Visitor, links
from tests.support.peers_sites import Site

pytestmark = pytest.mark.interop


def callback_of(site: Site, visitor: Visitor, username: str = "alice") -> str:
    """The callback address of a completed sign-in."""
    page = visitor.sign_in(site.url + "/", username, PASSWORD)
    assert page.status == 200
    (callback,) = [address for address in page.via if "/outpost.goauthentik.io/callback" in address]
    return callback


def test_going_back_to_a_used_callback_ends_at_the_application(site: Site) -> None:
    visitor = Visitor()
    callback = callback_of(site, visitor)
    assert seen(visitor.get(callback)).identity["username"] == "alice"


def test_a_callback_in_a_stranger_s_browser_signs_nobody_in(site: Site) -> None:
    callback = callback_of(site, Visitor())
    stranger = Visitor()
    page = stranger.get(callback)
    assert site.cookies(stranger) == {}
    # One clean retry: the stranger is asked to sign in, not shown a bare error.
    assert page.form("username", "password")


def test_a_forged_state_is_explained_and_the_way_to_sign_in_offered(site: Site) -> None:
    visitor = Visitor()
    address = f"{site.external_host}/outpost.goauthentik.io/callback?X-authentik-auth-callback=true&state=x&code=y"
    page = visitor.get(address)
    assert site.cookies(visitor) == {}
    assert page.status == 400
    again = dict(links(page))["Try again"]
    assert visitor.get(again).form("username", "password")


def test_tabs_opened_before_signing_in_all_arrive(site: Site) -> None:
    visitor = Visitor()
    tabs = {path: visitor.get(site.url + path) for path in ("/one?tab=1", "/two", "/three")}
    for path, tab in tabs.items():
        page = visitor.submit(tab, {"username": "alice", "password": PASSWORD})
        assert page.url == site.url + path
        assert seen(page).identity["username"] == "alice"


def test_many_unfinished_attempts_do_not_lock_anyone_out(site: Site) -> None:
    visitor = Visitor()
    for number in range(12):
        last = visitor.get(f"{site.url}/page{number}")
    page = visitor.submit(last, {"username": "alice", "password": PASSWORD})
    assert page.url == site.url + "/page11"
    sent = sum(len(name) + len(value) for name, value in visitor.cookies(site.host).items())
    assert sent < 8192, "cookies of attempts pile up"


def test_a_path_of_every_kind_comes_back_as_asked_for(world: World) -> None:
    site = world.sites["traefik"]
    for path in ("/a%20b/%C3%BC?q=%26%3D%2B+x", "/?a=1&a=2&rd=https://evil.example.net/", "/x;y=1/@z?n"):
        page = Visitor().sign_in(site.url + path, "alice", PASSWORD)
        assert page.url == site.url + path
        assert seen(page).path == path

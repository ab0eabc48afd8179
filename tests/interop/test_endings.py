"""How sessions end early: signing out, and every change in control that takes something away."""

import time

import pytest

from tests.interop.world import PASSWORD, World, seen
from tests.support.browser_http import Visitor
from tests.support.peers_program import eventually
from tests.support.peers_sites import Site

pytestmark = pytest.mark.interop
SOON = 5.0
# One application, and one below a domain: whom an outpost refuses has nothing to do with the front it is asked through.
EITHER_MODE = pytest.mark.parametrize("site", ["nginx", "domain"], indirect=True)


def refused(world: World, site: Site, visitor: Visitor, status: int = 401) -> float:
    """Seconds until the outpost refuses the visitor with this status."""
    began = time.monotonic()
    eventually(lambda: world.verdict(site, visitor).status == status, f"{site.provider}: {status}", within=SOON)
    return time.monotonic() - began


def test_sign_out_ends_the_session_everywhere(world: World, site: Site) -> None:
    other = world.sites["caddy" if site.provider == "nginx" else "nginx"]
    visitor = world.signed_in(site, "alice")
    seen(visitor.get(other.url + "/"))
    page = visitor.get(site.own("sign_out"))
    assert page.status == 200, f"{page.status} {page.url}\n{page.text[:1000]}"
    refused(world, site, visitor)
    refused(world, other, visitor)
    assert visitor.get(site.url + "/").form("username", "password")
    assert visitor.get(other.url + "/").form("username", "password")


def test_a_kept_cookie_is_worth_nothing_after_sign_out(world: World) -> None:
    site = world.sites["nginx"]
    visitor = world.signed_in(site, "alice")
    kept = Visitor()
    for cookie in visitor.jar:
        kept.jar.set_cookie(cookie)
    visitor.get(site.own("sign_out"))
    refused(world, site, kept)


def test_signing_out_at_garrison_signs_out_of_applications(world: World) -> None:
    site = world.sites["nginx"]
    visitor = world.signed_in(site, "alice")
    visitor.submit(visitor.get(f"{world.garrison.url}/sign-out"), {})
    refused(world, site, visitor)


@EITHER_MODE
def test_a_deactivated_user_is_out_at_once_and_back_after(world: World, site: Site) -> None:
    name = world.person("staff")
    visitor = world.signed_in(site, name)
    world.garrison.apply({"users": [{"username": name, "active": False}]})
    refused(world, site, visitor)
    assert Visitor().sign_in(site.url + "/", name, PASSWORD).form("username", "password")
    world.garrison.apply({"users": [{"username": name, "active": True}]})
    assert world.verdict(site, visitor).status == 401
    world.signed_in(site, name)


@EITHER_MODE
def test_bug_15_a_user_taken_out_of_the_group_is_refused(world: World, site: Site) -> None:
    name = world.person("staff")
    visitor = world.signed_in(site, name)
    world.garrison.apply({"users": [{"username": name, "groups": []}]})
    refused(world, site, visitor, 403)
    world.garrison.apply({"users": [{"username": name, "groups": ["staff"]}]})
    eventually(lambda: world.verdict(site, visitor).status == 200, "access again", within=SOON)


def test_a_renamed_user_is_known_by_the_new_name_without_signing_in_again(world: World) -> None:
    site = world.sites["nginx"]
    name = world.person("staff")
    visitor = world.signed_in(site, name)
    world.garrison.apply({"users": [{"username": name, "name": "Newly Wed", "email": "new@example.test"}]})
    eventually(lambda: world.verdict(site, visitor).header("X-authentik-name") == "Newly Wed", "new name", within=SOON)


def test_a_new_password_ends_sessions(world: World) -> None:
    site = world.sites["nginx"]
    name = world.person("staff")
    visitor = world.signed_in(site, name)
    world.garrison.apply({"users": [{"username": name, "password": "another-long-one", "password_policy": "enforce"}]})
    refused(world, site, visitor)


def test_a_binding_taken_away_closes_the_application(world: World) -> None:
    site = world.sites["caddy"]
    name = world.person("staff")
    visitor = world.signed_in(site, name)
    world.garrison.apply({"applications": [{"slug": site.provider, "bindings": [{"user": "alice"}]}]})
    try:
        eventually(lambda: world.verdict(site, visitor).status in (401, 403), "closed", within=SOON)
        assert visitor.get(site.url + "/").status == 403
    finally:
        world.garrison.apply({"applications": [{"slug": site.provider, "bindings": [{"group": "staff"}]}]})
    eventually(lambda: visitor.get(site.url + "/").status == 200, "open again", within=SOON)

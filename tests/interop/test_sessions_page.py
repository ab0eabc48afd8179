"""Sessions that are ended on a page of Garrison end at the applications they opened, and no others do."""

import re
import time
from urllib.parse import urljoin

import pytest

from tests.interop.world import PASSWORD, World
from tests.support.browser_http import Page, Visitor
from tests.support.garrison import ADMIN_PASSWORD
from tests.support.peers_sites import Site

pytestmark = pytest.mark.interop
# Seconds that the outpost may go on to let a session in that was ended, and how long it is watched.
BITES, WATCHED = 0.25, 0.6


def press(visitor: Visitor, page: Page, action: str) -> Page:
    """Send the form of a page whose address matches, and stay at its answer."""
    forms = re.findall(r'action="([^"]+)"[^>]*><input type="hidden" name="csrf_token" value="([^"]+)"', page.text)
    (found,) = {(path, token) for path, token in forms if re.search(action, path)}
    answer = visitor.post(urljoin(page.url, found[0]), [("csrf_token", found[1])], follow=0)
    assert answer.status == 303, f"{answer.status}\n{answer.text[:1000]}"
    return answer


def last_let_in(world: World, site: Site, visitor: Visitor) -> float:
    """Seconds after which the outpost no longer let the visitor in."""
    began, last = time.monotonic(), 0.0
    while (now := time.monotonic() - began) < WATCHED:
        if world.verdict(site, visitor).status == 200:
            last = now
    assert world.verdict(site, visitor).status == 401
    return last


def test_other_sessions_of_ones_own_end_at_once_and_this_one_goes_on(world: World) -> None:
    site, name, own = world.sites["nginx"], world.person("staff"), f"{world.garrison.url}/account/sessions"
    mine, other = world.signed_in(site, name), world.signed_in(site, name)
    for button in ("/account/sessions/[0-9a-f-]+/end$", "/end-others$"):
        page = mine.get(own)
        assert page.text.count(">this session<") == 1
        press(mine, page, button)
        assert last_let_in(world, site, other) < BITES
        assert world.verdict(site, mine).status == 200
        assert other.sign_in(site.url + "/", name, PASSWORD).status == 200
    assert mine.get(own).text.count("Nginx") == 2


def test_an_admin_ends_anybodys_session_at_once(world: World) -> None:
    site, name = world.sites["nginx"], world.person("staff")
    theirs, others, admin = world.signed_in(site, name), world.signed_in(site, "alice"), Visitor()
    assert admin.sign_in(f"{world.garrison.url}/admin/", "akadmin", ADMIN_PASSWORD).status == 200
    found = admin.get(f"{world.garrison.url}/admin/sessions/?q={name}")
    assert "Nginx" in found.text
    press(admin, found, r"/admin/sessions/[0-9a-f-]+/end\?q=")
    assert last_let_in(world, site, theirs) < BITES
    assert theirs.sign_in(site.url + "/", name, PASSWORD).status == 200
    press(admin, users_page(world, admin, name), "/sessions/end$")
    assert last_let_in(world, site, theirs) < BITES
    assert world.verdict(site, others).status == 200


def users_page(world: World, admin: Visitor, name: str) -> Page:
    listed = admin.get(f"{world.garrison.url}/admin/users/?q={name}")
    found = re.search(r'href="(/admin/users/[0-9a-f-]{36}/)"', listed.text)
    assert found is not None
    return admin.get(urljoin(listed.url, found[1]))
